from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from mm_fusion.config import find_file
from mm_fusion.nodes import dds


@pytest.fixture(autouse=True)
def _no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in dds.PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_segment_size_follows_free_memory() -> None:
    cases = {0: 4 << 20, 64 << 20: 16 << 20, 512 << 20: 128 << 20, 1 << 40: 128 << 20}
    assert {free: dds.segment_bytes(free) for free in cases} == cases


def test_shipped_profile_has_the_large_segment_beside_udp() -> None:
    text = find_file("config/dds", "fastdds.xml").read_text(encoding="utf-8")
    tree = ElementTree.fromstring(text)
    strip = {element.tag.split("}")[-1]: element.text for element in tree.iter()}
    assert int(strip["segment_size"]) == dds.SEGMENT_BYTES
    assert strip["useBuiltinTransports"] == "false"
    assert re.findall(r"<type>(\w+)</type>", text) == ["SHM", "UDPv4"]


def test_both_variables_name_the_shipped_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dds, "free_bytes", lambda folder: 1 << 40)
    environment = dds.dds_environment()
    assert set(environment) == set(dds.PROFILE_VARIABLES)
    assert {path.rsplit("/", 1)[1] for path in environment.values()} == {"fastdds.xml"}


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "mine.xml")
    assert dds.dds_environment() == {}


def test_little_shared_memory_gives_a_smaller_segment_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    monkeypatch.setattr(dds, "free_bytes", lambda folder: 64 << 20)
    monkeypatch.setattr(dds.tempfile, "gettempdir", lambda: str(tmp_path))
    path = dds.dds_environment()["FASTDDS_DEFAULT_PROFILES_FILE"]
    with open(path, encoding="utf-8") as file:
        assert f"<segment_size>{16 << 20}</segment_size>" in file.read()
    assert "16 MB" in capsys.readouterr().err
