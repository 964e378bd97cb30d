from __future__ import annotations

from test.benchmarks.harness import print_table, side_by_side


def test_runs_both_in_turn_and_prints_a_row(capsys):
    calls: list[str] = []
    ratio = side_by_side(lambda: calls.append("ours"), lambda: calls.append("plain"), 3, "nothing", "1x")
    print_table([ratio])
    assert calls == ["ours", "plain"] * 4
    assert "nothing" in capsys.readouterr().out and ratio.ours_ms >= 0
