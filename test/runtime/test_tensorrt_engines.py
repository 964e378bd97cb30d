"""Engines of a model: built once, kept, refused when wrong, built again when they do not load."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.errors import BackendError, MeasurementError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime import tensorrt_engines
from mm_fusion.runtime.choice import open_graphs
from mm_fusion.runtime.device_array import DeviceArray
from mm_fusion.runtime.device_probe import Probe
from mm_fusion.runtime.engine_builder import Job, Report, build_plan
from mm_fusion.runtime.frame_run import run_frame
from mm_fusion.runtime.model_files import GRAPHS
from mm_fusion.runtime.samples import made_samples
from mm_fusion.runtime.tensorrt_engines import EngineShop
from test.runtime import fake_tensorrt
from test.runtime.fake_tensorrt import Engine, HostDevice

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
MACHINE = Probe("11.4.1", "NVIDIA Thor", "11.0", "580.1")


@pytest.fixture(autouse=True)
def builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Job]]:
    """Jobs that were built; in this process, since the fake lives here alone."""
    done: list[Job] = []

    def build(job: Job, report: Report) -> None:
        done.append(job)
        for onnx, plan in zip(job.onnx, job.plans):
            Path(plan).write_bytes(build_plan(fake_tensorrt, Path(onnx), job.profile, b"", report)[0])

    monkeypatch.setattr(tensorrt_engines, "build_plans", build)
    yield done
    Engine.twist, Engine.broken = staticmethod(lambda array: array), None


class Said(list[str]):
    """What was reported, as one text."""

    def __str__(self) -> str:
        return "\n".join(self)


@pytest.fixture
def said() -> Said:
    return Said()


def shop(
    folder: Path,
    config: LearnedConfig,
    said: Said | None = None,
    machine: Probe = MACHINE,
    profile: str = "default",
) -> EngineShop:
    report = said.append if said is not None else (lambda text: None)
    return EngineShop(
        folder, config, profile, report, machine=machine, trt=fake_tensorrt, device=HostDevice()
    )


def test_without_a_device_it_says_why(exported: Path, config: LearnedConfig) -> None:
    with pytest.raises(BackendError, match="no NVIDIA GPU"):
        shop(exported, config, machine=Probe(problem="no NVIDIA GPU was found"))
    with pytest.raises(BackendError, match="choices are quick, default, best"):
        shop(exported, config, profile="fastest")


def test_built_once_with_progress_then_loaded(
    exported: Path, config: LearnedConfig, builds: list[Job], said: Said
) -> None:
    shop(exported, config, said).open()
    assert len(builds) == 1 and "building engines: not built yet" in str(said)
    assert "camera: Building 50 %" in str(said) and "inner" not in str(said)
    paths = shop(exported, config).paths()
    assert all(path.is_file() for path in paths.values()) and len({*paths.values()}) == 4
    shop(exported, config).open()
    assert len(builds) == 1


def test_outputs_are_those_of_onnxruntime(exported: Path, config: LearnedConfig) -> None:
    from mm_fusion.runtime.onnxruntime_backend import OnnxRuntimeBackend

    frame = made_samples(config, 1)[0]
    one = run_frame(shop(exported, config).open(), frame, config)
    other = run_frame({n: OnnxRuntimeBackend(exported / f"{n}.onnx") for n in GRAPHS}, frame, config)
    for name in other.outputs:
        assert np.array_equal(one.outputs[name], other.outputs[name]), name


@pytest.mark.parametrize(
    ("field", "value"),
    [("gpu", "NVIDIA Orin"), ("tensorrt", "10.3.0"), ("compute", "8.7"), ("driver", "540.4")],
)
def test_an_engine_of_another_gpu_or_version_is_not_taken(
    exported: Path, config: LearnedConfig, builds: list[Job], field: str, value: str
) -> None:
    shop(exported, config).open()
    shop(exported, config, machine=replace(MACHINE, **{field: value})).open()
    assert len(builds) == 2


def test_one_that_was_copied_under_its_name_says_what_differs(
    exported: Path, config: LearnedConfig, said: Said
) -> None:
    mine, other = shop(exported, config), shop(exported, config, machine=replace(MACHINE, gpu="NVIDIA Orin"))
    other.open()
    for name in GRAPHS:
        mine.paths()[name].write_bytes(other.paths()[name].read_bytes())
    shop(exported, config, said).open()
    assert "was built for gpu NVIDIA Orin, here is NVIDIA Thor" in str(said)


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "strange"])
def test_a_harmed_engine_is_built_once_more_with_the_reason(
    exported: Path, config: LearnedConfig, builds: list[Job], said: Said, harm: str
) -> None:
    shop(exported, config).open()
    path = shop(exported, config).paths()["radar"]
    content = path.read_bytes()
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"cut": content[:-1], "changed": changed, "empty": b"", "strange": b"x" * 99}[harm])
    shop(exported, config, said).open()
    assert len(builds) == 2 and path.name in str(said)
    assert path.read_bytes() == content


def test_one_that_loads_as_none_is_built_once_more_and_then_given_up(
    exported: Path, config: LearnedConfig, builds: list[Job], said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(exported, config).open()
    monkeypatch.setattr(fake_tensorrt.Runtime, "deserialize_cuda_engine", lambda self, plan: None)
    with pytest.raises(BackendError, match="does not load"):
        shop(exported, config, said).open()
    assert len(builds) == 2 and "does not load" in str(said)


def test_wrong_results_are_refused_and_the_refusal_is_remembered(
    exported: Path, config: LearnedConfig, builds: list[Job]
) -> None:
    Engine.twist = staticmethod(lambda array: array * 1.2 if array.dtype == np.float32 else array)
    with pytest.raises(BackendError, match=r"refused, since its outputs differ.*camera_rows"):
        shop(exported, config).open()
    assert not any(path.is_file() for path in shop(exported, config).paths().values())
    with pytest.raises(BackendError, match="refused before.*build-engine tries again"):
        shop(exported, config).open()
    assert len(builds) == 1
    Engine.twist = staticmethod(lambda array: array)
    shop(exported, config).build()
    shop(exported, config).open()
    assert len(builds) == 2


def test_two_builders_of_one_engine_do_not_disturb_each_other(exported: Path, config: LearnedConfig) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            shop(exported, config).build()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []
    shop(exported, config).open()
    assert not list(shop(exported, config).paths()["camera"].parent.glob(".*"))


def test_without_a_cache_engines_are_built_each_time(
    exported: Path, config: LearnedConfig, builds: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MM_FUSION_CACHE", str(tmp_path / "file"))
    shop(exported, config).open()
    shop(exported, config).open()
    assert len(builds) == 2 and builds[0].timing_cache == ""


def test_the_timing_cache_belongs_to_one_device_and_version(
    exported: Path, config: LearnedConfig, builds: list[Job]
) -> None:
    shop(exported, config).open()
    shop(exported, config, profile="best").open()
    shop(exported, config, machine=replace(MACHINE, gpu="NVIDIA Orin")).open()
    caches = [job.timing_cache for job in builds]
    assert caches[0] == caches[1] != caches[2] and builds[1].profile == "best"


def test_features_stay_on_the_device_until_somebody_looks(exported: Path, config: LearnedConfig) -> None:
    shop(exported, config).open()
    device = HostDevice()
    engines = EngineShop(
        exported, config, "default", lambda t: None, machine=MACHINE, trt=fake_tensorrt, device=device
    ).open()
    frame = made_samples(config, 1)[0]
    left = engines["lidar"].run({"raster": frame["lidar"]})["features"]
    assert isinstance(left, DeviceArray) and device.waits == 0
    assert np.array_equal(np.asarray(left), np.asarray(left)) and device.waits == 1
    late = engines["lidar"].run({"raster": frame["lidar"]})["features"]
    engines["lidar"].run({"raster": frame["lidar"]})
    with pytest.raises(BackendError, match="earlier frame"):
        np.asarray(late)


def test_wrong_inputs_and_a_lost_gpu_are_told_apart(exported: Path, config: LearnedConfig) -> None:
    engines = shop(exported, config).open()
    with pytest.raises(MeasurementError, match="expected input image"):
        engines["camera"].run({"image": np.zeros((1, 3, 2, 2), np.uint8)})
    Engine.broken = RuntimeError("CUDA error: an illegal memory access was encountered\nmore")
    with pytest.raises(
        BackendError, match="tensorrt: camera: CUDA error: an illegal memory access was encountered$"
    ):
        engines["camera"].run({"image": made_samples(config, 1)[0]["images"][:1]})


def test_outputs_that_are_not_finite_are_named(exported: Path, config: LearnedConfig) -> None:
    engines = shop(exported, config).open()
    Engine.twist = staticmethod(lambda array: array * np.nan if array.dtype == np.float32 else array)
    with pytest.raises(BackendError, match="tensorrt: camera: output rows is not finite"):
        engines["camera"].run({"image": made_samples(config, 1)[0]["images"][:1]})


def test_the_key_is_in_the_file(exported: Path, config: LearnedConfig) -> None:
    shop(exported, config).open()
    content = shop(exported, config).paths()["fusion"].read_bytes()
    header = json.loads(content[content.index(b"{") : content.index(b"}", content.index(b'"parity"')) + 1])
    assert header["key"]["tensorrt"] == "11.4.1" and header["key"]["profile"] == "default"


def test_no_memory_on_the_device_is_named(
    exported: Path, config: LearnedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: HostDevice, shape: tuple[int, ...], dtype: np.dtype) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nmore words")

    shop(exported, config).open()
    monkeypatch.setattr(HostDevice, "zeros", full)
    with pytest.raises(BackendError, match="no memory to run it: CUDA out of memory"):
        shop(exported, config).build()


def test_a_gpu_that_is_lost_in_the_middle_costs_one_frame_at_most(
    exported: Path, config: LearnedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_engines, "probe", lambda: MACHINE)
    monkeypatch.setattr(tensorrt_engines, "CudaDevice", HostDevice)
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt)
    graphs = open_graphs(exported, config, "tensorrt")
    frame = made_samples(config, 1)[0]
    expected = run_frame(graphs, frame, config).outputs
    assert graphs.backend == "tensorrt" and graphs.problems == ()
    Engine.broken = RuntimeError("CUDA error: device lost")
    found = run_frame(graphs, frame, config).outputs
    assert graphs.backend == "onnxruntime" and "device lost" in graphs.reason
    assert np.array_equal(found["cell"], expected["cell"])
