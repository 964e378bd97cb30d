"""The log of what the pipeline was given, in order: one MCAP file that any bag reader opens."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from mm_fusion.bags.write import McapFileWriter
from mm_fusion.nodes.inbox import Received


class NoReceipts:
    """Logs nothing."""

    def write(self, received: Received) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class ReceiptLog(NoReceipts):
    """Writes each message with its receipt time; whole under its name after `close`."""

    def __init__(self, path: Path) -> None:
        self._stack = ExitStack()
        self._writer = self._stack.enter_context(McapFileWriter(path))

    def write(self, received: Received) -> None:
        """Append one message."""
        self._writer.write_raw(received.topic, received.kind, received.data, received.receipt_ns)

    def close(self) -> None:
        """Finish the file."""
        self._stack.close()


def receipt_log(path: str) -> NoReceipts:
    """A log at `path`, or one that writes nothing where `path` is empty."""
    return ReceiptLog(Path(path)) if path else NoReceipts()
