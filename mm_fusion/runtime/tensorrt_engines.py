"""The four engines of a model: loaded from the cache, or built, compared with ONNX Runtime, and kept.

An engine that failed the comparison is never worked with: silent wrong results are a known failure of
TensorRT.
"""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mm_fusion.errors import BackendError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime import engine_cache
from mm_fusion.runtime.cache_folder import cache_folder
from mm_fusion.runtime.cuda_device import CudaDevice, Device
from mm_fusion.runtime.device_probe import Probe, operating_system, probe
from mm_fusion.runtime.engine_builder import PROFILES, Job, Report, build_plans
from mm_fusion.runtime.engine_cache import EngineFileError, EngineKey, engine_path
from mm_fusion.runtime.frame_run import Graphs
from mm_fusion.runtime.gate import passes
from mm_fusion.runtime.model_files import GRAPHS
from mm_fusion.runtime.onnx_header import model_hash
from mm_fusion.runtime.tensorrt_backend import TensorRtBackend

Plans = dict[str, bytes]


class EngineShop:
    """Engines of one model for one device and profile.

    cache: folder of engines, None to keep none; device and trt are made where they are needed, unless given.
    """

    def __init__(
        self,
        folder: Path,
        config: LearnedConfig,
        profile: str,
        report: Report,
        *,
        cache: Path | None = None,
        machine: Probe | None = None,
        trt: Any = None,
        device: Device | None = None,
    ) -> None:
        if profile not in PROFILES:
            raise BackendError(f"profile {profile!r}: no such profile; choices are {', '.join(PROFILES)}")
        self._folder, self._config, self._report = folder, config, report
        self._machine = machine or probe()
        if self._machine.problem:
            raise BackendError(f"tensorrt: {self._machine.problem}")
        self._trt = trt or importlib.import_module("tensorrt")
        self._device = device or CudaDevice()
        self._cache = cache or cache_folder()
        self._profile, self._keys = profile, self._make_keys(profile)

    def open(self) -> dict[str, TensorRtBackend]:
        """The four engines, from the cache where they are whole, else built once; raises `BackendError`."""
        refused = [engine_cache.refusal(path) for path in self.paths().values()]
        if any(refused):
            raise BackendError(
                f"tensorrt: refused before: {next(filter(None, refused))}; build-engine tries again"
            )
        try:
            return self._loaded({name: self._stored(name) for name in GRAPHS})
        except (EngineFileError, BackendError) as error:
            # once: an engine that was just built and does not load either is the end of it
            self._report(f"building engines: {error}")
            return self.build()

    def build(self) -> dict[str, TensorRtBackend]:
        """The four engines built anew, kept once they have passed; raises `BackendError`."""
        for path in self.paths().values():
            engine_cache.forget_refusal(path)
        plans = self._built()
        engines = self._loaded(plans)
        self._report("comparing with ONNX Runtime")
        reason = self._difference(engines)
        if reason:
            self._refuse(reason)
            raise BackendError(f"tensorrt: refused, since its outputs differ from ONNX Runtime's: {reason}")
        self._keep(plans)
        return engines

    def paths(self) -> dict[str, Path]:
        """Where the engines lie by graph, empty without a cache."""
        if self._cache is None:
            return {}
        return {name: engine_path(self._cache, self._config.name, key) for name, key in self._keys.items()}

    def _make_keys(self, profile: str) -> dict[str, EngineKey]:
        machine = self._machine
        about = (machine.tensorrt, machine.gpu, machine.compute, machine.driver, operating_system(), profile)
        return {name: EngineKey(name, self._digest(name), *about) for name in GRAPHS}

    def _digest(self, name: str) -> str:
        return hashlib.sha256((self._folder / f"{name}.onnx").read_bytes()).hexdigest()

    def _stored(self, name: str) -> bytes:
        paths = self.paths()
        if name not in paths:
            raise EngineFileError("no cache to look in")
        return engine_cache.read_engine(paths[name], self._keys[name])

    def _loaded(self, plans: Mapping[str, bytes]) -> dict[str, TensorRtBackend]:
        return {
            name: TensorRtBackend(
                self._trt, plan, name, model_hash(self._folder / f"{name}.onnx"), self._device
            )
            for name, plan in plans.items()
        }

    def _built(self) -> Plans:
        with tempfile.TemporaryDirectory(prefix="mm_fusion_engines_") as scratch:
            plans = {name: Path(scratch) / f"{name}.plan" for name in GRAPHS}
            onnx = tuple(str(self._folder / f"{name}.onnx") for name in GRAPHS)
            out = tuple(str(path) for path in plans.values())
            build_plans(Job(onnx, out, self._profile, self._timing_cache()), self._report)
            return {name: path.read_bytes() for name, path in plans.items()}

    def _timing_cache(self) -> str:
        """File of kernel timings: of this device and version alone, a stranger's can be a hard error."""
        if self._cache is None:
            return ""
        words = (self._machine.tensorrt, self._machine.gpu, self._machine.compute, self._machine.driver)
        return str(self._cache / f"timing-{hashlib.sha256(repr(words).encode()).hexdigest()[:16]}.cache")

    def _difference(self, engines: Graphs) -> str:
        return passes(engines, self._folder, self._config)

    def _keep(self, plans: Plans) -> None:
        for name, path in self.paths().items():
            try:
                engine_cache.write_engine(
                    path, self._keys[name], plans[name], "ONNX Runtime on stored samples"
                )
            except OSError as error:
                self._report(f"{path}: not kept, the next start builds it again: {error.strerror}")

    def _refuse(self, reason: str) -> None:
        for path in self.paths().values():
            try:
                engine_cache.remember_refusal(path, reason)
            except OSError:
                return
