"""The fusion node: a lifecycle node that configures and activates itself unless told otherwise."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher

from mm_fusion.config import VehicleConfig
from mm_fusion.detectors.choice import make_detector
from mm_fusion.detectors.protocol import Detector
from mm_fusion.errors import FusionError
from mm_fusion.messages.encode_status import OK, DiagnosticStatus, encode_diagnostics
from mm_fusion.nodes.dds import prepare_process
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.parameters import VehicleParameters
from mm_fusion.nodes.session import Session
from mm_fusion.nodes.warm_up import warm_up


class FusionNode(LifecycleNode):
    """Configure loads and warms up, activate subscribes and publishes, the way back frees it all."""

    def __init__(self, **options: Any) -> None:
        super().__init__("fusion", **options)
        self._tree = VehicleParameters(self)
        self._vehicle: VehicleConfig | None = None
        self._detector: Detector | None = None
        self._diagnostics: Publisher | None = None
        self._session: Session | None = None
        if self._tree.own("vehicle"):
            self._attempt(self._tree.declare, quiet=True)

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
        self._progress(f"loading model {vehicle.model}")
        detector = make_detector(vehicle.model, vehicle)
        self._progress("compiling and warming up")
        warm_up(vehicle, detector, message_class)
        gc.collect()
        gc.freeze()  # what libraries hold lives as long as the node: looking through it again costs 100 ms
        self._vehicle, self._detector = vehicle, detector
        self._progress(f"configured {len(vehicle.sensors)} sensors in {time.monotonic() - began:.1f} s")

    def _activate(self) -> None:
        assert self._vehicle is not None and self._detector is not None and self._diagnostics is not None
        receipts = self._tree.own("record_receipts")
        self._session = Session(self, self._vehicle, self._detector, self._diagnostics, receipts)
        self._progress("active")

    def _stop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _forget(self) -> None:
        self._vehicle = self._detector = None
        self._tree.locked = False
        if self._diagnostics is not None:
            self.destroy_publisher(self._diagnostics)
            self._diagnostics = None

    def _progress(self, text: str) -> None:
        self.get_logger().info(text)
        assert self._diagnostics is not None
        name = self.get_fully_qualified_name().lstrip("/")
        status = DiagnosticStatus(f"{name}: state", OK, text, hardware_id=name)
        stamp_ns = int(self.get_clock().now().nanoseconds)
        self._diagnostics.publish(encode_diagnostics([status], stamp_ns, message_class))

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


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    prepare_process()
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
