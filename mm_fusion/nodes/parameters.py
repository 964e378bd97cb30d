"""The vehicle's configuration as ROS parameters with descriptions and ranges, overridable at launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter

from mm_fusion.config import VehicleConfig, load_vehicle, parse_config
from mm_fusion.errors import ConfigurationError
from mm_fusion.nodes.parameter_tree import Leaf, check_names, leaves, overridden, tree
from mm_fusion.runtime.backends import BACKENDS

CHOICES = ("auto", *BACKENDS)
OWN: dict[str, tuple[Any, str]] = {
    "vehicle": ("", "vehicle file, or the name of a shipped one (astyx, nuscenes_like, minimal)"),
    "autostart": (True, "configure and activate without being asked"),
    "record_receipts": (
        "",
        "file to log what is received, for replaying it through the pipeline; empty: none",
    ),
    "backend": ("auto", "what runs a learned model: " + ", ".join(CHOICES)),
    "threads": (1, "threads of one inference; 0 or less is 1"),
    "deadline_ms": (
        0.0,
        "from the release of a frame to its publication, ms; what takes longer sheds load; 0: as frames come",
    ),
}
SWAPPED = ("model", "backend", "threads")
"""May be set while the node is configured: another detector is made, and takes over when it is ready."""
_SYSTEM = ("use_sim_time", "start_type_description_service")
_LARGEST = 1.7976931348623157e308
_TYPES = {bool: "BOOL", int: "INTEGER", float: "DOUBLE", str: "STRING"}


class VehicleParameters:
    """The parameters of a node that hold its vehicle; they can be set only while `locked` is False.

    on_swap: called with those of `SWAPPED` that are set while `locked`; says why it cannot be, or ''.
    """

    def __init__(self, node: Node, on_swap: Callable[[dict[str, Any]], str] = lambda values: "") -> None:
        self._node, self._on_swap = node, on_swap
        self._leaves: list[Leaf] = []
        self._vehicle: str | None = None
        self._busy = False
        self.locked = False
        for name, (default, text) in OWN.items():
            free = isinstance(default, float)  # takes whole numbers too
            node.declare_parameter(name, default, ParameterDescriptor(description=text, dynamic_typing=free))
        node.add_on_set_parameters_callback(self._on_set)

    def own(self, name: str) -> Any:
        """The value of one of the node's own parameters (`OWN`)."""
        return self._node.get_parameter(name).value

    def declare(self) -> None:
        """Declare the tree of the vehicle that `vehicle` names; what was set stays while it is the same."""
        name = self.own("vehicle")
        if name == self._vehicle:
            return
        if not name:
            raise ConfigurationError(
                "parameter vehicle is empty; give a vehicle file or name, such as vehicle:=astyx"
            )
        found = leaves(load_vehicle(name))
        self._check_overrides(found)
        self._forget()
        self._busy = True
        try:
            for leaf in found:
                self._declare(leaf)
                self._leaves.append(leaf)
        finally:
            self._busy = False
        self._vehicle = name

    def resolve(self) -> VehicleConfig:
        """The vehicle with every parameter as set now; raises `ConfigurationError` naming what is wrong."""
        self.declare()
        return self._parse({})

    def _parse(self, changes: dict[str, Any]) -> VehicleConfig:
        values = {leaf.name: self._value(leaf.name) for leaf in self._leaves}
        values.update(changes)
        return parse_config(tree(overridden(self._leaves, values)), VehicleConfig, f"vehicle {self._vehicle}")

    def _value(self, name: str) -> Any:
        try:
            return self._node.get_parameter(name).value
        except ParameterUninitializedException:
            return None

    def _check_overrides(self, found: list[Leaf]) -> None:
        given = getattr(self._node, "_parameter_overrides", {})
        names = [name for name in given if name not in _SYSTEM and not name.startswith("qos_overrides.")]
        check_names(names, [*OWN, *(leaf.name for leaf in found)])

    def _forget(self) -> None:
        self._busy = True
        for leaf in self._leaves:
            self._node.undeclare_parameter(leaf.name)
        self._busy = False
        self._leaves = []
        self._vehicle = None

    def _declare(self, leaf: Leaf) -> None:
        unset = leaf.value is None or leaf.value == []
        type_name = _TYPES[leaf.kind] + ("_ARRAY" if leaf.many else "")
        numeric = leaf.kind is float
        value = getattr(Parameter.Type, type_name) if unset and not numeric else leaf.value
        try:
            self._node.declare_parameter(leaf.name, None if unset and numeric else value, descriptor(leaf))
        except Exception as error:
            raise ConfigurationError(f"parameter {leaf.name}: {error}") from error

    def put_back(self, values: dict[str, Any]) -> None:
        """Set parameters as they were, without asking or telling anybody."""
        self._busy = True
        try:
            self._node.set_parameters([Parameter(name, value=value) for name, value in values.items()])
        finally:
            self._busy = False

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        names = {leaf.name for leaf in self._leaves} | {*SWAPPED, "deadline_ms"}
        changes = {p.name: p.value for p in parameters if p.name in names}
        if self._busy or not changes:
            return SetParametersResult(successful=True)
        reason = self._refused(changes)
        return SetParametersResult(successful=not reason, reason=reason)

    def _refused(self, changes: dict[str, Any]) -> str:
        """Why `changes` cannot be, '' where they can."""
        if changes.get("backend", "auto") not in CHOICES:
            return f"backend {changes['backend']!r}: choices are {', '.join(CHOICES)}"
        if self.locked and not changes.keys() <= set(SWAPPED):
            return "set it while unconfigured (lifecycle cleanup first)"
        if self.locked:
            return self._on_swap(changes)
        try:
            self._parse({name: value for name, value in changes.items() if name not in OWN})
        except ConfigurationError as error:
            return str(error)
        return ""


def descriptor(leaf: Leaf) -> ParameterDescriptor:
    """What `ros2 param describe` shows of a parameter: text, range, choices.

    Numbers with a fraction take whole ones too (rclpy rejects `60` for a typed `60.0`); the tree checks them.
    """
    found = ParameterDescriptor(description=leaf.description, dynamic_typing=leaf.kind is float)
    if leaf.choices:
        found.additional_constraints = "one of: " + ", ".join(str(choice) for choice in leaf.choices)
    if leaf.minimum is None and leaf.maximum is None:
        return found
    if leaf.kind is float:
        low = -_LARGEST if leaf.minimum is None else float(leaf.minimum)
        high = _LARGEST if leaf.maximum is None else float(leaf.maximum)
        found.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
    elif leaf.kind is int:
        low_int = -(2**63) if leaf.minimum is None else int(leaf.minimum)
        high_int = 2**63 - 1 if leaf.maximum is None else int(leaf.maximum)
        found.integer_range = [IntegerRange(from_value=low_int, to_value=high_int, step=1)]
    return found
