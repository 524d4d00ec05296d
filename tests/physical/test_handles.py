"""A manager on a device as its user holds it: wrong numbers and names, iterators, and calls after its end."""

from __future__ import annotations

from typing import Any

import pytest
from systems import LIMIT

from ticktalk.language.compiler import compile_source
from ticktalk.messages import message
from ticktalk.payloads import StatusRequest
from ticktalkpython.Ensemble import TTEnsemble
from ticktalkpython.Error import TTRuntimeError
from ticktalkpython.IPC import Message, Recipient, RuntimeMsg
from ticktalkpython.RuntimeManager import TTRuntimeManagerPhysical

STREAM = """
from ticktalk import *
@STREAMify
def src(trigger):
    return 1
@GRAPHify
def main(trigger):
    return src(trigger, TTPeriod=ms(50))
"""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": ""}, "'' is no name for an ensemble"),
        ({"name": 5}, "5 is no name for an ensemble"),
        ({"workers": 3}, "workers is 3: "),
        ({"workers": "1"}, "workers is '1': "),
        ({"checkpoint": -1}, "checkpoint is -1: a number of microseconds"),
        ({"checkpoint": "1s"}, "checkpoint is '1s': a number of microseconds"),
    ],
)
def test_a_manager_with_wrong_numbers_or_names(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, **given)


def test_an_ensemble_with_a_wrong_number_of_workers() -> None:
    with pytest.raises(ValueError, match="workers is 3: "):
        TTEnsemble(None, "edge").run_phy("127.0.0.1:9", workers=3)


def test_a_manager_in_use_and_after_its_end() -> None:
    manager = TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0)
    try:
        assert manager.wait_for_ensembles((name for name in ("a", "b")), 0.1) == ["a", "b"], "gone through twice"
        assert manager.wait_for_ensembles("edge", 0.1) == ["edge"], "one name"
        for kind in RuntimeMsg:
            if kind is not RuntimeMsg.SHUT_DOWN:
                manager.send_to_runtime(Message(kind, object(), Recipient.ProcessRuntimeManager))
        refused = next(each["refused"] for each in manager.status()["ensembles"] if each["name"] == manager.name)
        assert refused.get("invalid", 0) > 5, "messages with impossible content are counted"
    finally:
        manager.stop()
    manager.stop()
    with pytest.raises(TTRuntimeError, match="this runtime manager has ended"):
        manager.send_to_runtime(message(RuntimeMsg.STATUS, StatusRequest()))
    with pytest.raises(TTRuntimeError, match="this runtime manager has ended"):
        manager.status()


def test_a_graph_that_was_stopped_as_another_version_counts_as_done() -> None:
    """Also long after that version took over: then the former one has been forgotten."""
    first, second = (compile_source(STREAM.replace("1", value), "prog.py", "prog") for value in "12")
    manager = TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0)
    try:
        manager.instantiate_and_map_graph(first)
        manager.replace_graph(second)
        manager.process.state.ended.clear()
        manager.stop_graph("prog")
        assert manager.wait("prog", LIMIT)
        with pytest.raises(TTRuntimeError, match="there is no graph named 'other' here"):
            manager.wait("other")
    finally:
        manager.stop()
