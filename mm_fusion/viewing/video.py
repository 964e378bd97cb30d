"""Pictures on disk: single PNG files, sequences, and MP4 where OpenCV has an encoder for it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import cv2

from mm_fusion.errors import ResultError
from mm_fusion.viewing.drawing import Picture


def write_picture(path: str | Path, picture: Picture) -> Path:
    """Write (H, W, 3) uint8 RGB as PNG or JPEG by the name's ending; it takes its name only when whole."""
    target = Path(path)
    beside = _beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        written, encoded = cv2.imencode(target.suffix, picture[:, :, ::-1])
        if not written:
            raise ResultError(f"{path}: OpenCV cannot write this kind of picture; use .png or .jpg")
        beside.write_bytes(encoded.tobytes())
        os.replace(beside, target)
    except OSError as error:
        raise ResultError(f"{path}: cannot be written: {error}; choose another --out") from error
    except cv2.error as error:
        raise ResultError(f"{path}: expected a name ending in .png or .jpg: {error.err}") from error
    return target


def write_video(path: str | Path, pictures: Iterable[Picture], rate_hz: float = 10.0) -> Path:
    """Write the pictures, all of one size, as MP4, or without an encoder as PNG files in a folder of that
    name. Returns what was written: `path`, or `path` without its ending.
    """
    with Film(path, rate_hz) as film:
        for picture in pictures:
            film.add(picture)
    return film.path


class Film:
    """Pictures written one by one, a context manager: MP4 for a path that ends so and where OpenCV can, else
    PNG files 000000.png ... in a folder. A video takes its name only when whole, and is cut where an
    exception ends it.

    path: what is written; known for sure after the first picture.
    """

    def __init__(self, path: str | Path, rate_hz: float = 10.0) -> None:
        self.path = Path(path)
        self._rate_hz = rate_hz
        self._encoder: cv2.VideoWriter | None = None
        self._count = 0

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._encoder is not None:
            self._encoder.release()
            os.replace(_beside(self.path), self.path)

    def add(self, picture: Picture) -> None:
        """Append one picture (H, W, 3) uint8 RGB, of the size of the first."""
        if self._count == 0 and self.path.suffix == ".mp4":
            self._open(picture)
        if self._encoder is None:
            write_picture(self.path / f"{self._count:06d}.png", picture)
        else:
            self._encoder.write(_even(picture)[:, :, ::-1].copy())
        self._count += 1

    def _open(self, picture: Picture) -> None:
        height, width = _even(picture).shape[:2]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(self.path)
        encoder = cv2.VideoWriter(
            str(beside), cv2.VideoWriter.fourcc(*"mp4v"), self._rate_hz, (width, height)
        )
        if encoder.isOpened():
            self._encoder = encoder
            return
        beside.unlink(missing_ok=True)
        self.path = self.path.with_suffix("")


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")


def _even(picture: Picture) -> Picture:
    """Video encoders want an even number of rows and columns."""
    return picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
