"""Waiting until those who want to hear are there, before a recording or a drive begins."""

from __future__ import annotations

import time
from collections.abc import Collection

from rclpy.publisher import Publisher

SETTLED_S = 1.0
"""So long nobody new has come: discovery finds a process's subscriptions one after another."""


def wait_for_listeners(publishers: Collection[Publisher], at_most_s: float) -> int:
    """Number of subscriptions, once the first have come and no further for a while, or time is over."""
    deadline = time.monotonic() + at_most_s
    count, since = 0, time.monotonic()
    while time.monotonic() < deadline:
        found = sum(publisher.get_subscription_count() for publisher in publishers)
        if found != count:
            count, since = found, time.monotonic()
        if count and time.monotonic() - since >= SETTLED_S:
            break
        time.sleep(0.05)
    return count
