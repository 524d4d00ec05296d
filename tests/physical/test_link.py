"""Published payloads arrive, long or short."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fuzz_messages import NoLink
from systems import LIMIT, free_port, repeated

from ticktalk import network_keys
from ticktalk.network_keys import HELLO, JOIN
from ticktalk.physical import ensemble_handle, membership
from ticktalk.physical.network.frames import LONG
from ticktalk.physical.network.joining import ReachableEnsemble, RefusedError, Welcome
from ticktalk.physical.network.link import Link, NobodyAnswersError
from ticktalk.physical.network.zenoh_link import TTNetworkInterfaceZenoh


@pytest.fixture(params=[True, False], ids=["one host", "as from another host"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Link, Link, list[bytes]]]:
    """Two links, and the frames that come to the second on `key`."""
    at = f"127.0.0.1:{free_port()}"
    first = TTNetworkInterfaceZenoh()
    second = TTNetworkInterfaceZenoh({"transport/shared_memory/enabled": request.param})
    second.open("peer", at)
    first.open("peer", connect=[at])
    came: list[bytes] = []
    second.subscribe("key", lambda payload, attached: came.append(payload))
    began = time.monotonic()
    while not came and time.monotonic() < began + LIMIT:
        first.publish("key", b"begin")
        time.sleep(0.005)
    settled(first, came)
    yield first, second, came
    first.close()
    second.close()


LAST = b"the last frame so far "


def settled(sender: Link, came: list[bytes]) -> list[bytes]:
    """The frames that have come, and none is under way any more; they are taken out of `came`.

    A receiver that is given no processor for 0.1 s is sent no more meanwhile, so a last frame may be left out, too.
    """
    end, number = time.monotonic() + LIMIT, 0
    while LAST + b"%d" % number not in came[-1:] and time.monotonic() < end:
        number += 1
        sender.publish("key", LAST + b"%d" % number)
        again = time.monotonic() + 2
        while LAST + b"%d" % number not in came[-1:] and time.monotonic() < again:
            time.sleep(0.005)
    assert came[-1] == LAST + b"%d" % number
    found = [frame for frame in came if not frame.startswith(LAST)]
    came.clear()
    return found


def test_frames_arrive_unchanged(pair: tuple[Link, Link, list[bytes]]) -> None:
    """Long and short, many at once, in order, and of every kind."""
    chance = random.Random(3)
    lengths = [0, 1, LONG - 1, LONG, LONG + 1, 1 << 20, 20_000_001, *[1 << 20] * 20]
    kinds: list[Any] = [bytes, bytearray, lambda data: memoryview(bytearray(data))]
    sent = [chance.randbytes(length) for length in lengths]
    first, _, came = pair

    def burst() -> list[bytes]:
        for number, data in enumerate(sent):
            first.publish("key", data if len(data) < LONG else kinds[number % 3](data))
        found = settled(first, came)
        rest = iter(sent)
        assert all(type(data) is bytes and data in rest for data in found)
        return found

    found = repeated(burst, lambda found: len(found) == len(sent), "all of them arrive")
    assert found == sent


def test_a_connection_belongs_to_the_threads_that_receive(pair: tuple[Link, Link, list[bytes]]) -> None:
    """Else a message that comes wakes another thread first, only to wake one of these."""
    names = {Path(f"/proc/self/task/{task}/comm").read_text().strip() for task in os.listdir("/proc/self/task")}
    assert any(name.startswith("rx-") for name in names)
    assert not any(name.startswith(("acc-", "net-")) for name in names)


def test_python_knows_a_thread_of_the_network_from_call_to_call(pair: tuple[Link, Link, list[bytes]]) -> None:
    """Else each frame that comes costs a new state of its thread, with a stack that is mapped and unmapped."""
    first, second, _ = pair
    here = threading.local()
    calls: dict[int, int] = {}
    seen: list[tuple[int, int]] = []

    def note(payload: bytes, attached: bytes | None) -> None:
        thread = threading.get_ident()
        calls[thread] = calls.get(thread, 0) + 1
        here.calls = getattr(here, "calls", 0) + 1
        seen.append((here.calls, calls[thread]))

    second.subscribe("noted", note)
    end = time.monotonic() + LIMIT
    while len(seen) < 20 and time.monotonic() < end:
        first.publish("noted", b"frame")
        time.sleep(0.005)
    assert len(seen) >= 20
    assert all(kept == called for kept, called in seen)


def test_a_rehearsal_reaches_nobody(pair: tuple[Link, Link, list[bytes]]) -> None:
    first, _, came = pair
    first.publish(network_keys.NOBODY, b"rehearsed")
    assert not first.subscribed(network_keys.NOBODY)
    assert settled(first, came) == []


def test_a_deferred_frame_is_made_when_it_is_sent(pair: tuple[Link, Link, list[bytes]]) -> None:
    first, second, _ = pair
    attachments: list[bytes | None] = []
    second.subscribe("given", lambda payload, attached: attachments.append(attached))
    chosen = {"attached": b"early"}
    sent: list[None] = []
    first.waiting = lambda: sent.append(None)  # somebody will see to it
    first.publish("given", lambda: iter([(b"", chosen["attached"])]))
    assert sent
    chosen["attached"] = b"late"
    end = time.monotonic() + LIMIT
    first.flush()
    while not {b"late", b"more"} <= set(attachments) and time.monotonic() < end:
        first.publish("given", lambda: iter([(b"", chosen["attached"]), (b"", b"more")]))
        first.flush()  # until the subscription is known
        time.sleep(0.005)
    assert set(attachments) == {b"late", b"more"}


def test_a_link_knows_whether_there_is_a_subscriber(pair: tuple[Link, Link, list[bytes]]) -> None:
    first, second, _ = pair
    assert not first.subscribed("some")
    for wanted in (True, False, True):
        if wanted:
            second.subscribe("some", lambda payload, attached: None)
        else:
            second.unsubscribe("some")
        end = time.monotonic() + LIMIT
        while first.subscribed("some") is not wanted and time.monotonic() < end:
            time.sleep(0.005)
        assert first.subscribed("some") is wanted


class GoneLink(NoLink):
    """A link to a manager that goes away while an ensemble joins."""

    def _start(self, mode: str, listen: str, connect: Any, door: Any, bind: str, timeout: float) -> None:
        if mode == "client":
            assert not bind, "the port of the session before is not free yet"
            raise NobodyAnswersError("nobody answers")


def test_a_join_goes_on_when_the_manager_goes_before_the_session_is_relayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticktalk.physical.node.TTNetworkInterfaceZenoh", GoneLink)
    answer = Welcome("boss", [ReachableEnsemble("other", "127.0.0.1:1", "not connected", True, b"")])
    monkeypatch.setattr(ensemble_handle, "ask", lambda *arguments: answer)
    monkeypatch.setattr("ticktalk.physical.network.joining.MEANWHILE_LIMIT", 0.0)
    handle = ensemble_handle.EnsembleHandle(
        *("edge", {}, "boss", "127.0.0.1:1", "127.0.0.1", 1, 2, 0, None, "manager", "", lambda error: None),  # type: ignore
        on_event=None,
        token=b"token",
    )
    try:
        assert not handle._enter(Welcome("boss", []), "127.0.0.1:1"), "it asks again"
        assert not handle.node.link.is_open
    finally:
        handle.node.close(0)


def test_the_manager_relays_while_one_that_may_come_back_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not relay between two that have both opened as peers."""
    monkeypatch.setattr("ticktalk.physical.node.TTNetworkInterfaceZenoh", NoLink)
    there, lost = (ReachableEnsemble(name, "127.0.0.1:1", name, True, b"") for name in ("there", "lost"))
    monkeypatch.setattr(ensemble_handle, "ask", lambda *arguments: Welcome("boss", [there], lost=[lost]))
    tried: list[list[ReachableEnsemble]] = []
    monkeypatch.setattr(ensemble_handle, "can_reach", lambda peers, trust: tried.append(peers))
    handle = ensemble_handle.EnsembleHandle(
        *("edge", {}, "boss", "127.0.0.1:1", "127.0.0.1", 1, 2, 0, None, "manager", "", lambda error: None),  # type: ignore
        on_event=None,
        token=b"token",
    )
    handle.node.link.mode = "client"
    now = [0]
    monkeypatch.setattr(ensemble_handle, "monotonic_us", lambda: now[0])
    looks = []
    try:
        for now[0] in range(0, 300_000_000, 1_000_000):
            before = len(tried)
            handle._look_for_links()
            looks += [now[0] // 1_000_000] * (len(tried) - before)
    finally:
        handle.node.close(0)
    assert looks == [2, 6, 14, 30, 62, 126, 190, 254], "more and more rarely, once a minute at last"
    assert tried == [[there, lost]] * len(looks) and handle.node.link.mode == "client"


def test_one_that_was_lost_at_the_join_is_looked_for_only_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticktalk.physical.node.TTNetworkInterfaceZenoh", NoLink)
    monkeypatch.setattr(ensemble_handle, "MEANWHILE_LIMIT", 0.0)
    monkeypatch.setattr(ensemble_handle, "can_reach", lambda peers, trust: False)
    lost, anew = (ReachableEnsemble(name, "127.0.0.1:1", name, True, b"") for name in ("lost", "anew"))
    answer = [Welcome("boss", [], lost=[lost, anew])]
    asked: list[str] = []

    def ask(link: Any, key: str, *arguments: Any) -> Welcome | None:
        asked.append(key)
        return answer[0] if answer else None

    monkeypatch.setattr(ensemble_handle, "ask", ask)
    handle = ensemble_handle.EnsembleHandle(
        *("edge", {}, "boss", "127.0.0.1:1", "127.0.0.1", 1, 2, 0, None, "manager", "", lambda error: None),  # type: ignore
        on_event=None,
        token=b"token",
    )
    now, link, table = [0], handle.node.link, handle.node.network_manager.routing_table
    monkeypatch.setattr(ensemble_handle, "monotonic_us", lambda: now[0])

    def looks(*there: ReachableEnsemble) -> list[str]:
        """The questions within 20 s while the manager hears these."""
        answer[:] = [Welcome("boss", [*there], lost=[lost])]
        asked.clear()
        for _ in range(20):
            now[0] += 1_000_000
            handle._look_for_links()
        return [*asked]

    try:
        assert handle._enter(Welcome("boss", []), "127.0.0.1:1") and link.mode == "peer"
        assert looks() == [], "those who are lost may never come back"
        table["anew"] = anew.address
        assert looks(msgspec.structs.replace(anew, zid="other")) == [HELLO], "another session has its own links"
        table["lost"] = lost.address
        assert looks(lost)[:2] == [HELLO, JOIN] and link.mode == "client"
    finally:
        handle.node.close(0)


def test_an_ensemble_that_is_not_taken_back_asks_more_and_more_rarely_and_says_why_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For ten minutes another process listens; then its manager is there again, and is asked at once."""
    now, asked, said = [1_000_000_000], [0], list[str]()
    why: list[str | None] = ["it is of another authority"]

    def question(*arguments: Any) -> None:
        asked[0] += 1
        if why[0] is not None:
            raise RefusedError(why[0])

    monkeypatch.setattr("ticktalk.physical.node.TTNetworkInterfaceZenoh", NoLink)
    monkeypatch.setattr(ensemble_handle, "question", question)
    monkeypatch.setattr(ensemble_handle, "nobody_listens", lambda address: listens[0])
    monkeypatch.setattr(ensemble_handle, "monotonic_us", lambda: now[0])
    handle = ensemble_handle.EnsembleHandle(
        *("edge", {}, "boss", "127.0.0.1:1", "127.0.0.1", 1, 2, 0, None, "manager", "", lambda error: None),  # type: ignore
        on_event=said.append,
        token=b"token",
    )
    monkeypatch.setattr(handle.member, "looks_for_another", lambda: True)
    listens = [False]

    def look_for(seconds: int) -> int:
        """So many seconds pass; how often it has asked."""
        before = asked[0]
        for _ in range(5 * seconds):
            now[0] += 200_000
            handle._look_for_another()
        return asked[0] - before

    try:
        assert look_for(7) == 4 and said == [], "a manager that just starts may refuse, too"
        assert look_for(593) <= 120 and len(said) == 1
        assert "at 127.0.0.1:1 does not take this ensemble back: it is of another authority" in said[0]
        assert "keys issue" in said[0]
        why[0] = None
        assert look_for(10) == 2 and len(said) == 2 and "it gives no answer" in said[1]
        listens[0] = True
        look_for(1)
        listens[0] = False
        assert look_for(1) == 2, "a process that has just been started is asked at once"
    finally:
        handle.node.close(0)


def test_a_manager_that_is_heard_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000_000]
    monkeypatch.setattr("ticktalk.physical.node.TTNetworkInterfaceZenoh", NoLink)
    monkeypatch.setattr(ensemble_handle, "monotonic_us", lambda: now[0])
    monkeypatch.setattr(membership, "monotonic_us", lambda: now[0])
    handle = ensemble_handle.EnsembleHandle(
        *("edge", {}, "boss", "127.0.0.1:1", "127.0.0.1", 1, 2, 0, None, "manager", "", lambda error: None),  # type: ignore
        on_event=None,
        token=b"token",
    )
    try:
        handle.member.joined()
        for since in range(0, membership.UNHEARD, 10_000):
            pause = handle._pause_before_look()
            assert pause == max(ensemble_handle.LOOK_PERIOD, (membership.UNHEARD - since) / 1e6)
            assert not handle.member.looks_for_another()
            now[0] += 10_000
        assert handle.member.looks_for_another(), "the first look is as early as it may be"
        assert handle._pause_before_look() == ensemble_handle.LOOK_PERIOD
    finally:
        handle.node.close(0)


def test_the_end_and_another_join_do_not_wait_for_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticktalk.physical.node.TTNetworkInterfaceZenoh", NoLink)
    handle = ensemble_handle.EnsembleHandle(
        *("edge", {}, "boss", "127.0.0.1:1", "127.0.0.1", 1, 2, 0, None, "manager", "", lambda error: None),  # type: ignore
        on_event=None,
        token=b"token",
    )
    pauses = threading.Semaphore(0)

    def pause() -> float:
        pauses.release()
        return 3600.0

    monkeypatch.setattr(handle, "_join", lambda: True)
    monkeypatch.setattr(handle, "_pause_before_look", pause)
    serving = threading.Thread(target=handle.run, daemon=True)
    serving.start()
    assert pauses.acquire(timeout=LIMIT)
    handle._join_again()
    assert pauses.acquire(timeout=LIMIT), "it has joined again"
    handle.stop()
    serving.join(LIMIT)
    assert not serving.is_alive()


class StillLink(NoLink):
    """A link to a receiver that stands still."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def _put(self, *arguments: Any) -> None:
        assert self.goes_on.wait(LIMIT)
        super()._put()


def test_a_receiver_that_stands_still_is_waited_for_so_long_at_most() -> None:
    link = StillLink()
    link.waiting = lambda: None
    link.open("peer")
    link.send_again("boss", b"state")
    link.wait_for(network_keys.Path.CONTROL, "boss", 0.01)
    assert not link.published
    link.goes_on.set()
    link.wait_for(network_keys.Path.CONTROL, "boss", LIMIT)
    assert link.published == 1


FORKED = """
import os
from ticktalk import TTRuntimeManagerPhysical
from ticktalk.errors import TTRuntimeError
TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0).stop()
child = os.fork()
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
else:
    try:
        TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0)
    except TTRuntimeError as error:
        print(error, flush=True)
    os._exit(7)
"""


def test_a_fork_of_a_process_on_the_network_says_that_it_cannot_be_there() -> None:
    """Zenoh's threads are not in a fork: before, opening a session there waited for ever."""
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    told, status = done.stdout.splitlines()
    assert told.startswith("this process is a fork of one that was on the network") and status == "7", done.stderr
