"""The figures of a benchmark as text that a person reads; no number is made here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def benchmark_report(tree: Mapping[str, Any]) -> str:
    """A table of stages and sides, the ratios, and what it was measured on."""
    sides = {"ours": tree, "plain": tree["plain"], "plain, ONNX Runtime": tree["plain_onnxruntime"]}
    head = f"{'p50 / p95 ms':<18}" + "".join(f"{name:>24}" for name in sides)
    names = list(dict.fromkeys(name for side in sides.values() for name in side["stages"]))
    rows = [_row(name, [side["stages"].get(name) for side in sides.values()]) for name in names]
    rows.append(_row("end to end", [side["end_to_end"] for side in sides.values()]))
    rest = tree["everything_but_inference"]
    conf, machine = tree["configuration"], tree["hardware"]
    return "\n".join(
        [
            head,
            "-" * len(head),
            *rows,
            "",
            f"faster than plain {tree['ratio_to_plain']:.2f} times, than plain with ONNX Runtime "
            f"{tree['ratio_to_plain_onnxruntime']:.2f} times; p99 {tree['end_to_end']['p99_ms']:.1f} ms",
            f"everything but inference {rest['p50_ms']:.1f} / {rest['p95_ms']:.1f} ms; copying the same "
            f"{tree['data']['payload_bytes_per_frame'] / 1e6:.1f} MB once {tree['copy_ms']:.2f} ms",
            f"peak memory {tree['peak_rss_mb']:.0f} MB alone, {tree['peak_rss_with_plain_mb']:.0f} MB with "
            "the plain sides loaded",
            f"model {conf['model']} {conf['model_hash']}, backend {_backend(conf)}, {conf['threads']} "
            f"thread(s), {conf['frames']} frames of {tree['data']['name']} "
            f"({tree['data'].get('changed') or 'as recorded'})",
            f"plain sides agree: {_agreement(tree['plain_agrees'])}",
            f"{machine['processor']}, {machine['cores']} cores, load {machine['load_1min']}",
        ]
    )


def _backend(conf: Mapping[str, Any]) -> str:
    """The backend that ran, and what was asked for where that is another word."""
    used, asked = str(conf["backend_used"]), str(conf["backend"])
    return used if used == asked else f"{used} ({asked})"


def _row(name: str, values: list[Mapping[str, float] | None]) -> str:
    cells = ["-" if value is None else f"{value['p50_ms']:.2f} / {value['p95_ms']:.2f}" for value in values]
    return f"{name:<18}" + "".join(f"{cell:>24}" for cell in cells)


def _agreement(found: Mapping[str, Any]) -> str:
    shares = ", ".join(
        f"{name.removesuffix('_matched_percent')} finds {value:.1f} % of ours"
        for name, value in found.items()
        if name.endswith("_matched_percent")
    )
    apart = ", ".join(f"{name} {value:.2f}" for name, value in found["inputs"].items())
    return f"{shares}; inputs: {apart}"
