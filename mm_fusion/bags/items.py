"""A recording as the sequence of calls that a live host makes: sensor, item, receipt."""

from __future__ import annotations

from collections.abc import Iterator

from mm_fusion.bags.read import BagReader
from mm_fusion.config import VehicleConfig
from mm_fusion.errors import DropLog, MeasurementError
from mm_fusion.measurements import Item
from mm_fusion.messages.routes import decode, routes


def bag_items(
    reader: BagReader, vehicle: VehicleConfig, drops: DropLog | None = None
) -> Iterator[tuple[str, Item, int]]:
    """(sensor, item, receipt_ns) of every message that `vehicle` names, in order of receipt, topic and stamp.

    Payloads stay undecoded. A message whose header cannot be used is counted in `drops` and left out.
    """
    table = routes(vehicle)
    for topic, _, message, receipt_ns in reader.messages(set(table) & set(reader.topics)):
        for route in table[topic]:
            try:
                item = decode(route, message, vehicle, receipt_ns)
            except MeasurementError as error:
                if drops is not None:
                    drops.add(route.sensor, error.reason, str(error))
                continue
            yield route.sensor, item, receipt_ns
