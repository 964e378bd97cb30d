"""Pictures on disk: whole or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mm_fusion.errors import ResultError
from mm_fusion.viewing import video
from mm_fusion.viewing.video import Film, write_picture, write_video


def picture(shade: int = 100) -> np.ndarray:
    """Red on the left half; odd sizes on purpose."""
    out = np.full((65, 97, 3), shade, np.uint8)
    out[:, :48] = (255, 0, 0)
    return out


def test_no_pictures_write_nothing(tmp_path: Path) -> None:
    write_video(tmp_path / "none.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_a_picture_comes_back_in_its_colours(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "new" / "one.png", picture())
    np.testing.assert_array_equal(cv2.imread(str(path))[:, :, ::-1], picture())
    assert [p.name for p in path.parent.iterdir()] == ["one.png"]


@pytest.mark.parametrize("name", ["one.nothing", "one"])
def test_an_unknown_kind_of_picture_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResultError, match=r"\.png"):
        write_picture(tmp_path / name, picture())


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot be written"):
        write_picture(tmp_path / "file" / "one.png", picture())


def test_a_sequence_is_numbered(tmp_path: Path) -> None:
    with Film(tmp_path / "film") as film:
        for shade in (0, 50):
            film.add(picture(shade))
    assert sorted(p.name for p in film.path.iterdir()) == ["000000.png", "000001.png"]


def test_a_video_plays_or_becomes_a_sequence(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", [picture(shade) for shade in (0, 100, 200)])
    if path.suffix == "":
        assert len(list(path.iterdir())) == 3
        return
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]
    reader = cv2.VideoCapture(str(path))
    assert int(reader.get(cv2.CAP_PROP_FRAME_COUNT)) == 3
    _, first = reader.read()
    assert first.shape == (64, 96, 3)


def test_without_an_encoder_it_is_a_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        fourcc = staticmethod(lambda *letters: 0)

        def __init__(self, *arguments: object) -> None: ...

        def isOpened(self) -> bool:
            return False

    monkeypatch.setattr(video.cv2, "VideoWriter", Closed)
    path = write_video(tmp_path / "film.mp4", [picture()])
    assert path == tmp_path / "film" and [p.name for p in path.iterdir()] == ["000000.png"]
