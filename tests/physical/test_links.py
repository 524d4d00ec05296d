"""An ensemble that joins while another one stands still gets a direct connection to it as soon as that one goes on."""

from __future__ import annotations

import signal
import threading

import pytest
from systems import ENDLESS, System, bundle, until

from ticktalk.ensemble import TTEnsemble
from ticktalk.physical import ensemble_handle
from ticktalk.physical.network import joining


@pytest.mark.parametrize("given_up", [False, True], ids=["still known", "given up"])
def test_an_ensemble_that_stood_still_is_reached_directly_when_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, given_up: bool
) -> None:
    monkeypatch.setattr(joining, "REACH_LIMIT", 0.1)
    monkeypatch.setattr(ensemble_handle, "MEANWHILE_LIMIT", 0.1)
    system = System().with_ensembles("far")
    far = system.ensembles["far"].popen
    state = system.manager.process.state
    told: list[str] = []
    near = TTEnsemble(None, "near")
    options = {"workers": 0, "on_event": told.append, "credentials": bundle("near")}
    thread = threading.Thread(target=near.run_phy, args=(system.address,), kwargs=options)
    try:
        zid = state.ensembles["far"].info.zid
        far.send_signal(signal.SIGSTOP)
        if given_up:
            system.event("far", "is gone")
        else:
            before = state.ensembles["far"].heard
            until(lambda: system.manager.status()["now"] - before > joining.HEARD + 100_000, "it is silent")
        thread.start()
        until(lambda: any("joined" in line for line in told), "the other joins")
        assert not any("relayed" in line for line in told), told
        assert state.ensembles["near"].info.direct and ("far" in state.ensembles) is not given_up
        assert zid not in near._handle.node.link.reachable()
        far.send_signal(signal.SIGCONT)
        until(lambda: zid in near._handle.node.link.reachable(), "there is a direct connection")
        until(lambda: set(system.manager.ensembles) >= {"near", "far"}, "both are there")
        graph = system.deploy(ENDLESS, "endless")
        system.manager.execute_graph(graph)
        until(lambda: len(system.values("endless")) >= 10, "tokens come")
        assert system.values("endless") == list(range(1, len(system.values("endless")) + 1))
        assert state.ensembles["near"].info.direct
        until(lambda: not near._handle._unlinked, "nobody is looked for any more")
    finally:
        far.send_signal(signal.SIGCONT)
        near.stop()
        system.end()
        if thread.is_alive():
            thread.join(20)
