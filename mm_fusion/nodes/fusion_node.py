"""The fusion node: a lifecycle node that configures and activates itself unless told otherwise."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher

from mm_fusion.config import VehicleConfig
from mm_fusion.detectors.protocol import Detector
from mm_fusion.errors import FusionError
from mm_fusion.messages.encode_status import ERROR, OK, DiagnosticStatus, encode_diagnostics
from mm_fusion.nodes.dds import prepare_process
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.model_swap import Choice, ModelSwap, changed
from mm_fusion.nodes.parameters import VehicleParameters
from mm_fusion.nodes.session import Session

WATCH_S = 0.1
SWITCH_S = 0.0005
"""A thread that needs the interpreter waits so long at most, 5 ms by default: as much as the node may add."""


class FusionNode(LifecycleNode):
    """Configure loads and warms up, activate subscribes and publishes, the way back frees it all."""

    def __init__(self, **options: Any) -> None:
        super().__init__("fusion", **options)
        self._tree = VehicleParameters(self, self._begin_swap)
        self._vehicle: VehicleConfig | None = None
        self._detector: Detector | None = None
        self._choice = Choice("geometric")
        self._swap: ModelSwap | None = None
        self._diagnostics: Publisher | None = None
        self._session: Session | None = None
        if self._tree.own("vehicle"):
            self._attempt(self._tree.declare, quiet=True)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._watch_timer = self.create_timer(WATCH_S, self._watch, clock=steady)

    def start_itself(self) -> None:
        """Configure and activate, where parameter `autostart` says so."""
        if not self._tree.own("autostart"):
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # Transitions.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load vehicle and model, warm up; FAILURE with one error line leaves the node unconfigured."""
        return self._attempt(self._configure, undo=self._forget)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe, start the threads, publish."""
        done = self._attempt(self._activate, undo=self._stop)
        return super().on_activate(state) if done == TransitionCallbackReturn.SUCCESS else done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the threads and give subscriptions and publishers back."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give vehicle and model back; parameters can be set again."""
        self._forget()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back and be unconfigured again."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Give everything back, whatever state the node is in."""
        self._stop()
        self._forget()
        gc.unfreeze()  # else the DDS participant is never collected, and leaves its shared memory behind

    # What they do.

    def _configure(self) -> None:
        began = time.monotonic()
        vehicle = self._tree.resolve()
        self._tree.locked = True
        self._diagnostics = self.create_publisher(
            message_class("diagnostic_msgs/msg/DiagnosticArray"), "/diagnostics", 10
        )
        self._choice = Choice(vehicle.model, self._tree.own("backend"), max(1, self._tree.own("threads")))
        self._progress(f"loading model {vehicle.model}")
        detector = self._choice.build(vehicle, self._progress)
        gc.collect()
        gc.freeze()  # what libraries hold lives as long as the node: looking through it again costs 100 ms
        self._vehicle, self._detector = vehicle, detector
        about = _words(self._choice.describe(detector))
        seconds = time.monotonic() - began
        self._progress(f"configured {len(vehicle.sensors)} sensors with {about} in {seconds:.1f} s")

    def _activate(self) -> None:
        assert self._vehicle is not None and self._detector is not None and self._diagnostics is not None
        about = partial(self._choice.describe, self._detector)
        receipts, deadline_ms = self._tree.own("record_receipts"), float(self._tree.own("deadline_ms"))
        self._session = Session(
            self, self._vehicle, self._detector, about, self._diagnostics, receipts, deadline_ms
        )
        self._progress("active")

    def _stop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _forget(self) -> None:
        self._vehicle = self._detector = self._swap = None
        self._tree.locked = False
        if self._diagnostics is not None:
            self.destroy_publisher(self._diagnostics)
            self._diagnostics = None

    # Another model while configured, and a detector that fails.

    def _begin_swap(self, values: dict[str, Any]) -> str:
        """Start to make the detector that parameters now name; why that cannot be, ''."""
        if self._swap is not None:
            return f"model {self._swap.choice.model} is being loaded; set it when that is done"
        if self._vehicle is None:
            return "the node is being configured; set it when that is done"
        self._swap = ModelSwap(self._vehicle, changed(self._choice, values), self._progress)
        self._swap.start()
        self._progress(f"loading model {self._swap.choice.model} beside {self._choice.model}")
        return ""

    def _watch(self) -> None:
        """What other threads have to say to the lifecycle, a few times a second."""
        if self._swap is not None and not self._swap.is_alive():
            swap, self._swap = self._swap, None
            self._attempt(lambda: self._end_swap(swap))
        if self._session is not None and self._session.broken:
            self._progress(
                f"going back to unconfigured, the detector fails: {self._session.broken}; set another model "
                "or backend and configure again",
                ERROR,
            )
            self.trigger_deactivate()
            self.trigger_cleanup()

    def _end_swap(self, swap: ModelSwap) -> None:
        """Let the new detector take over, or say why the old one goes on."""
        if swap.detector is None:
            self.get_logger().error(
                f"model {swap.choice.model} is not used, {self._choice.model} goes on: {swap.error}"
            )
            self._tree.put_back(asdict(self._choice))
            if self._session is not None:
                self._session.say("model_error", swap.error.strip().splitlines()[-1])
            return
        self._vehicle, self._detector, self._choice = swap.vehicle, swap.detector, swap.choice
        about = partial(swap.choice.describe, swap.detector)
        if self._session is not None:
            self._session.use(swap.detector, about)
        self._progress(f"from now on {_words(about())}, made in {swap.took_s:.1f} s")

    def _progress(self, text: str, level: int = OK) -> None:
        if level == OK:
            self.get_logger().info(text)
        else:
            self.get_logger().error(text)
        publisher = self._diagnostics
        if publisher is None:
            return  # a model that is still being loaded when the node is cleaned up
        name = self.get_fully_qualified_name().lstrip("/")
        status = DiagnosticStatus(f"{name}: state", level, text, hardware_id=name)
        stamp_ns = int(self.get_clock().now().nanoseconds)
        publisher.publish(encode_diagnostics([status], stamp_ns, message_class))

    def _attempt(
        self, work: Callable[[], None], undo: Callable[[], None] = lambda: None, quiet: bool = False
    ) -> TransitionCallbackReturn:
        """SUCCESS, or FAILURE after `undo` and one line; an exception would end the node's life."""
        try:
            work()
        except FusionError as error:
            if not quiet:
                self.get_logger().error(str(error))
        except Exception:
            self.get_logger().error(traceback.format_exc())
        else:
            return TransitionCallbackReturn.SUCCESS
        undo()
        return TransitionCallbackReturn.FAILURE


def _words(about: Mapping[str, str]) -> str:
    return ", ".join(text for text in about.values() if text)


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    prepare_process()
    sys.setswitchinterval(SWITCH_S)
    rclpy.init(args=args)
    node = FusionNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        node.start_itself()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
