from __future__ import annotations

from mm_fusion.messages.encode import DiagnosticStatus, encode_diagnostics, encode_mode


def test_mode(types, on_the_wire):
    assert on_the_wire(encode_mode("CLR", types)).data == "CLR"


def test_diagnostics(types, on_the_wire):
    assert len(on_the_wire(encode_diagnostics([], 5, types)).status) == 0
    sent = DiagnosticStatus("fusion: lidar", 1, "silent", {"rate_hz": "9.8", "drops": "3"}, "top")
    (got,) = on_the_wire(encode_diagnostics([sent], 5, types)).status
    assert (got.name, got.message, got.hardware_id) == ("fusion: lidar", "silent", "top")
    assert got.level in (1, b"\x01") and [(v.key, v.value) for v in got.values] == list(sent.values.items())
