"""A request whose rule fails later, by a defect of ours, is answered with the failure, which is told and logged."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from ticktalk.errors import TTRuntimeError
from ticktalk.language.compiler import compile_source
from ticktalk.manager.driver import Driver
from ticktalk.manager.events import CannotGoOn, Defect, NotReplaced
from ticktalk.manager.requests import Requests
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import RuntimeMsg
from ticktalk.payloads import DeployRequest, Placed, ReadyAnswer, StartRequest, StatusRequest, StopRequest
from ticktalk.replacement import ReplaceRequest

GRAPH = compile_source(
    "from ticktalk import SQify, GRAPHify\n@SQify\ndef f(x):\n    return x\n@GRAPHify\ndef main(x):\n    return f(x)\n",
    "prog.py",
    "prog",
)


class Waits(Driver):
    """Makes the calls of later when it is told to."""

    def __init__(self) -> None:
        self.later: list[Any] = []

    def after(self, ticks: int, act: Any) -> None:
        self.later.append(act)

    def reports(self, graph: str, context: int) -> None:
        return None


@pytest.fixture
def requests() -> Requests:
    return Requests("boss", None, lambda ensemble, kind, payload: None, Waits())


def ask(requests: Requests, kind: RuntimeMsg, request: Any) -> Future[Any]:
    requests.handlers[kind](request)
    reply: Future[Any] = request.reply
    return reply


def broken(*arguments: Any) -> None:
    raise KeyError("the defect")


def told(requests: Requests, reply: Future[Any], events: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(reply.exception(timeout=0), KeyError), "the requester gets the failure"
    (event,) = [event for event in events if isinstance(event, Defect)]
    assert "the defect" in str(event)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is not None and record.exc_info[0] is KeyError, "the log has the traceback"


def test_a_start_that_waited_for_its_graph(
    requests: Requests, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = []
    requests.watchers.append(events.append)
    requests.handlers[RuntimeMsg.JOIN](EnsembleInfo("edge"))
    deployed = ask(requests, RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(GRAPH, reply=Future()))
    started = ask(requests, RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog", {"x": 1}, reply=Future()))
    assert not deployed.done() and not started.done()
    monkeypatch.setattr(requests.deploy, "_start", broken)
    requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", "edge"))
    assert deployed.result(timeout=0).name == "prog"
    told(requests, started, events, caplog)


@pytest.mark.parametrize("what", ["stop", "shut down"])
def test_a_stop_that_waited_for_tokens_under_way(
    what: str, requests: Requests, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = []
    requests.watchers.append(events.append)
    requests.handlers[RuntimeMsg.JOIN](EnsembleInfo("edge"))
    ask(requests, RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(GRAPH, reply=Future()))
    requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", "edge"))
    assert ask(requests, RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog", {"x": 1}, reply=Future())).result(0) == 1
    monkeypatch.setattr(requests.deploy, "stop", broken)
    if what == "stop":
        reply = ask(requests, RuntimeMsg.STOP_GRAPH, StopRequest("prog", Future()))
    else:
        reply = ask(requests, RuntimeMsg.SHUT_DOWN, StatusRequest(Future()))
    assert not reply.done()
    driver = requests._driver
    assert isinstance(driver, Waits)
    for act in driver.later:
        act()
    if what == "stop":
        told(requests, reply, events, caplog)
    else:
        assert reply.result(timeout=0) == {}, "it ends all the same"
        assert [event for event in events if isinstance(event, Defect)]


def test_a_stop_waits_as_long_as_ever_after_another_call_that_waited(requests: Requests) -> None:
    """A replacement that ends asks, too, what was lost; its answers, or its limit, come while the stop waits."""
    requests.handlers[RuntimeMsg.JOIN](EnsembleInfo("edge"))
    ask(requests, RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(GRAPH, reply=Future()))
    requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", "edge"))
    ask(requests, RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog", {"x": 1}, reply=Future()))
    state, driver, called = requests.state.graphs["prog"], requests._driver, list[str]()
    assert isinstance(driver, Waits)
    (context,) = state.contexts.values()
    requests.reports.end(state, context)
    context.completion.losses = {"edge": {"f-1": 1}}
    driver.later.clear()
    requests.reports.recounted(state, lambda: called.append("replaced"))
    stopped = ask(requests, RuntimeMsg.STOP_GRAPH, StopRequest("prog", Future()))
    first, second = driver.later
    first()
    assert called == ["replaced"] and not stopped.done(), "only the first has waited for so long"
    second()
    assert called == ["replaced"] and stopped.result(timeout=0) == {"edge": {"f-1": 1}}


def test_a_stop_that_waited_beside_another_one_does_not_end_a_graph_that_was_deployed_since(requests: Requests) -> None:
    driver = requests._driver
    assert isinstance(driver, Waits)
    requests.handlers[RuntimeMsg.JOIN](EnsembleInfo("edge"))
    stops: list[Future[Any]] = []
    for _ in range(2):
        ask(requests, RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(GRAPH, reply=Future()))
        requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", "edge"))
        ask(requests, RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog", {"x": 1}, reply=Future()))
        if stops:
            break
        stops = [ask(requests, RuntimeMsg.STOP_GRAPH, StopRequest("prog", Future())) for _ in range(2)]
        first, second = driver.later
        first()
    assert stops[0].result(timeout=0) == {} and not stops[1].done()
    second()
    with pytest.raises(TTRuntimeError, match="graph 'prog' was stopped meanwhile"):
        stops[1].result(timeout=0)
    assert list(requests.state.graphs) == ["prog"]


def test_a_stop_waits_for_the_version_that_takes_the_place_of_the_one_that_settled(requests: Requests) -> None:
    requests.handlers[RuntimeMsg.JOIN](EnsembleInfo("edge"))
    ask(requests, RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(GRAPH, reply=Future()))
    requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", "edge"))
    ask(requests, RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog", {"x": 1}, reply=Future()))
    state, driver = requests.state, requests._driver
    assert isinstance(driver, Waits)
    replaced = ask(requests, RuntimeMsg.REPLACE, ReplaceRequest(GRAPH, watch=1, reply=Future()))
    requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog~2", "edge"))
    (replacement,) = state.replacements.values()
    requests.replace._tried(replacement)
    requests.replace._came(replacement)
    driver.later.clear()
    stopped = ask(requests, RuntimeMsg.STOP_GRAPH, StopRequest("prog", Future()))
    (first,) = driver.later
    requests.replace._back(replacement)
    assert isinstance(replaced.exception(timeout=0), TTRuntimeError) and state.graphs["prog"].ends
    driver.later.clear()
    first()
    assert not stopped.done(), "what the old version sends since then is waited for, too"
    (second,) = driver.later
    second()
    assert stopped.result(timeout=0) == {} and not state.graphs


@pytest.mark.parametrize("stage", ["prepare", "expect", "drain"])
@pytest.mark.parametrize("problem", [None, "no module named 'camera'"])
def test_an_ensemble_that_answers_for_the_old_version_has_not_answered_for_the_new_one(
    requests: Requests, stage: str, problem: str | None
) -> None:
    """SQs of the old version were placed there just before it is replaced."""
    events: list[Any] = []
    requests.watchers.append(events.append)
    for name in ("edge", "near"):
        requests.handlers[RuntimeMsg.JOIN](EnsembleInfo(name))
    mapping = {"f-1": "edge"}
    ask(requests, RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(GRAPH, mapping=mapping, reply=Future()))
    requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", "edge"))
    ask(requests, RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog", {"x": 1}, reply=Future()))
    replaced = ask(requests, RuntimeMsg.REPLACE, ReplaceRequest(GRAPH, mapping=mapping, watch=1, reply=Future()))
    if stage != "prepare":
        requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog~2", "edge"))
    if stage == "drain":
        requests.handlers[RuntimeMsg.PLACED](Placed("prog~2", "edge", ["f-1"], expected=True))
    (replacement,) = requests.state.replacements.values()
    assert replacement.stage == stage
    waited_for = set(replacement.waits_for)
    requests.handlers[RuntimeMsg.PLACED](Placed("prog", "edge", ["f-1"], problem))
    assert replacement.stage == stage and replacement.waits_for == waited_for
    if problem is None:
        assert not replaced.done() and not requests.state.graphs["prog"].refused
    else:
        assert problem in str(replaced.exception(timeout=0)) and not requests.state.replacements
        assert {type(event) for event in events} >= {NotReplaced, CannotGoOn}
        assert requests.state.graphs["prog"].host_of == {"f-1": "near"}, "it goes where it can live"


def test_a_graph_whose_readiness_cannot_be_told(
    requests: Requests, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = []
    requests.watchers.append(events.append)
    requests.handlers[RuntimeMsg.JOIN](EnsembleInfo("edge"))
    deployed = ask(requests, RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(GRAPH, reply=Future()))
    monkeypatch.setattr(requests.heal, "deployed", broken)
    requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", "edge"))
    told(requests, deployed, events, caplog)


def test_a_request_without_requester_is_logged(requests: Requests, caplog: pytest.LogCaptureFixture) -> None:
    requests.handlers[RuntimeMsg.STOP_GRAPH](StopRequest("none"))
    assert "there is no graph named 'none'" in caplog.text
    with pytest.raises(TTRuntimeError, match="no graph"):
        ask(requests, RuntimeMsg.STOP_GRAPH, StopRequest("none", Future())).result(0)
