from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mm_fusion.nodes.processes import Child, ProcessError, own_domain


def test_domain_is_this_machine_alone() -> None:
    environment = own_domain(42)
    assert environment["ROS_DOMAIN_ID"] == "42"
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_a_child_that_ends_early_is_an_error_with_its_words(tmp_path: Path) -> None:
    with Child("json.tool", ["no_such_file"], {}, tmp_path / "log") as child:
        with pytest.raises(ProcessError, match="tool ended with .*no_such_file"):
            child.wait_for("ready", 30.0)


def test_a_child_that_never_says_it_is_an_error(tmp_path: Path) -> None:
    with Child("http.server", ["0", "--bind", "127.0.0.1"], {}, tmp_path / "log") as child:
        child.wait_for("Serving", 30.0)
        with pytest.raises(ProcessError, match="did not say 'ready'"):
            child.wait_for("ready", 0.1)
        with pytest.raises(ProcessError, match="still runs"):
            child.wait(0.1)


def test_a_child_that_gives_up_and_lives_on_is_not_waited_for(tmp_path: Path) -> None:
    with Child("http.server", ["0", "--bind", "127.0.0.1"], {}, tmp_path / "log") as child:
        child.wait_for("Serving", 30.0, unless="Serving")
        with pytest.raises(ProcessError, match="will not say 'ready': Serving"):
            child.wait_for("ready", 30.0, unless="Serving")


def test_leaving_the_block_ends_the_child(tmp_path: Path) -> None:
    with Child("http.server", ["0", "--bind", "127.0.0.1"], {}, tmp_path / "log") as child:
        child.wait_for("Serving", 30.0)
    time.sleep(0.05)
    assert not child.running()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
