"""`ticktalk doctor`: each finding names what to do, and something wrong ends it with 1."""

import ctypes
import json
import resource
import socket
import time

import pytest
from typer.testing import CliRunner

from ticktalk.cli import doctor, remote
from ticktalk.cli.main import app_of
from ticktalk.defaults import RX_PORT
from ticktalk.physical.trust import user_token
from ticktalk.physical.trust.authority import init_authority, issue


def look(*words):
    found = CliRunner().invoke(app_of(["doctor"]), ["doctor", "--json", *words])
    return found.exit_code, {finding["subject"]: finding for finding in json.loads(found.stdout)}


def test_a_good_host_has_nothing_wrong():
    status, found = look()
    assert status == 0
    assert {"ticktalk", "packages", "limits", "memory", "realtime", "timing", "clock", "token", "port"} == set(found)
    assert "simpy" in found["packages"]["text"] and "pyarrow" not in found["packages"]["text"]
    table = CliRunner().invoke(app_of(["doctor"]), ["doctor"])
    assert "what to do" in table.stdout


def test_a_limit_that_is_too_low_is_wrong_and_says_how_to_raise_it(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (16, 16))
    status, found = look()
    assert status == 1
    assert found["limits"]["level"] == "wrong"
    assert "ulimit -n 4096" in found["limits"]["advice"]


def test_a_token_that_others_can_read_is_wrong(monkeypatch, tmp_path):
    monkeypatch.setattr(user_token, "_folder", lambda: tmp_path)
    tmp_path.chmod(0o755)
    status, found = look()
    assert (status, found["token"]["level"]) == (1, "wrong")
    assert "delete it" in found["token"]["advice"]


def test_a_clock_that_nobody_sets_is_mentioned(monkeypatch):
    class Kernel:
        def __init__(self, *given, **more): ...

        def adjtimex(self, state):
            return self.state

    monkeypatch.setattr(ctypes, "CDLL", Kernel)
    for Kernel.state, level in ((5, "mind"), (0, "good")):
        assert look()[1]["clock"]["level"] == level


def test_a_port_in_use_is_mentioned():
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", RX_PORT))
            listening.listen()
        except OSError:
            pass  # somebody else listens there, which serves as well
        _, found = look()
    assert found["port"]["level"] == "mind"
    assert f"--manager 127.0.0.1:{RX_PORT}" in found["port"]["advice"]


def test_credentials_that_are_none_are_wrong(tmp_path):
    (tmp_path / "edge.key").write_text("{}")
    status, found = look("--credentials", str(tmp_path / "edge.key"))
    assert (status, found["credentials"]["level"]) == (1, "wrong")


def test_a_manager_that_does_not_answer_is_wrong():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    status, found = look("--manager", address)
    assert (status, found["manager"]["level"]) == (1, "wrong")
    assert "ticktalk manager" in found["manager"]["advice"]


def entry(name, **other):
    return {
        "name": name, "address": "tcp/10.0.0.7:5555", "python": "3.11.2", "heard_us_ago": 100_000, "direct": True,
        "clock_offset_us": 20, "clock_uncertainty_us": 300, "certificate_expires": None, **other,
    }  # fmt: skip


def let_manager_answer(monkeypatch, ask):
    """Let `ask` stand in for the way to a manager and back."""

    class System:
        def __init__(self, manager, credentials): ...

        def __enter__(self):
            return self

        def __exit__(self, *error): ...

        def ask(self, do):
            return ask(do)

    monkeypatch.setattr(remote, "Remote", System)


def test_the_ensembles_of_a_manager_are_looked_at(monkeypatch):
    ensembles = [
        entry("fine"), entry("away", heard_us_ago=9_000_000), entry("old", python="3.13.1"),
        entry("vague", clock_uncertainty_us=40_000), entry("hidden", direct=False),
        entry("ending", certificate_expires=time.time() + 3_600), entry("runtime-manager"),
    ]  # fmt: skip

    def ask(do):
        return {"manager": "runtime-manager", "ensembles": ensembles}

    let_manager_answer(monkeypatch, ask)
    status, found = look("--manager", "10.0.0.1:5555")
    assert status == 1
    levels = {name: found[name]["level"] for name in ("manager", "fine", "away", "old", "vague", "hidden", "ending")}
    assert levels == {
        "manager": "good", "fine": "good", "away": "wrong", "old": "mind", "vague": "mind", "hidden": "mind",
        "ending": "mind",
    }  # fmt: skip
    assert all(finding["advice"] for finding in found.values() if finding["level"] != "good")
    assert "keys issue ending --role ensemble" in found["ending"]["advice"]


@pytest.mark.parametrize(("role", "level"), [("ensemble", "good"), ("viewer", "wrong")])
def test_credentials_of_an_ensemble_are_good_where_the_manager_answers(role, level, tmp_path, monkeypatch):
    """They may not ask for the status, and are none the worse for it."""
    init_authority(tmp_path / "keys", ["10.0.0.1"])
    bundle = issue(tmp_path / "keys", "edge", ["10.0.0.2"], role=role)

    def ask(do):
        raise remote.CommandRefused(f"the role {role} may not ask for 'status'")

    let_manager_answer(monkeypatch, ask)
    _, found = look("--manager", "10.0.0.1:5555", "--credentials", str(bundle))
    assert found["manager"]["level"] == level and found["credentials"]["level"] == "good"


def test_every_finding_has_a_level_that_is_known():
    assert {finding.level for finding in doctor.findings(None, None)} <= {"good", "mind", "wrong"}
