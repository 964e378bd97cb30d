"""The page in docs is the one that the configuration tree gives."""

from __future__ import annotations

from pathlib import Path

from vehicle_page import page

DOCS = Path(__file__).parents[2] / "docs" / "vehicle.md"


def test_the_page_names_every_key_and_is_up_to_date():
    assert DOCS.read_text(encoding="utf-8").rstrip() == page().rstrip()
    assert (
        "| `budget_ms` | number, ≥ 0, ≤ 5000 | `60.0` | longest wait after the opening message, ms |"
        in page()
    )
