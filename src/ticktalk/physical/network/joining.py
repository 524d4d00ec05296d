"""Joining: an ensemble asks until the manager answers, opens its own session, and is taken in.

1. *Hello*, as a client: the manager refuses (a name in use, another protocol version), or answers with the addresses of
   the others and with what proves their messages.
2. The ensemble opens its session as a peer, with a connection of its own to every ensemble that joined before. If it
   cannot reach one of them that the manager hears, it opens as a client instead, and the manager relays for it. One
   that the manager does not hear stands still or is lost: when it goes on and is not reached, the manager relays.
3. *Join*: the manager enters it and tells all others.

An ensemble for which the manager relays looks now and then whether it could reach them all. Then it opens as a peer,
and joins once more.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from ticktalk.defaults import PROTOCOL
from ticktalk.errors import TTError, TTRuntimeError
from ticktalk.manager.liveness import Refusal, Why
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.network_interface import Reply
from ticktalk.network_keys import GREET, HELLO
from ticktalk.physical.network.link import Link, LinkError
from ticktalk.physical.network.zenoh_link import TTNetworkInterfaceZenoh
from ticktalk.physical.trust.trust import Trust

ANSWER_LIMIT = 3.0
"""Seconds to wait for the manager's answer to one question."""

REACH_LIMIT = 1.5
"""Seconds in which a direct connection to every other ensemble has to come about."""

MEANWHILE_LIMIT = 1.0
"""The same for those that join at the same time: shorter than a silence after which the manager takes one for dead."""

HEARD = 750_000
"""Microseconds since the manager has heard an ensemble after which it may stand still: one and a half heartbeats."""

LOOK_LIMIT = 0.3
"""Seconds in which the host of the manager's address answers a look."""

TRY_LIMIT = 1.0
"""Seconds in which another ensemble answers an attempt to reach it."""

REASON = 2000
"""Characters of a reason that nothing proves which are shown."""


T = TypeVar("T")


class RefusedError(TTRuntimeError):
    """The manager does not let this ensemble join; the message says why, to programs `why` (None: something else)."""

    def __init__(self, text: str, why: Why | None = None) -> None:
        super().__init__(text)
        self.why = why


def refusal_text(refusal: Refusal) -> str:
    """A refusal as it crosses: the sentence that is shown, then the reason."""
    return f"{refusal.text}\0{refusal.why.value}"


def refusal_in(payload: bytes) -> RefusedError:
    """The refusal in an answer."""
    text, _, why = payload.decode("utf-8", "replace").partition("\0")
    return RefusedError(text, Why(why) if why in [each.value for each in Why] else None)


class ProvenAnswer(NamedTuple):
    """A manager's proven answer: whether it accepts, the answer or the reason, the manager's name and badge."""

    accepted: bool
    payload: bytes
    manager: str
    badge: bytes


class ReachableEnsemble(msgspec.Struct, frozen=True):
    """An ensemble, with all that a joining one needs to reach it.

    Attributes:
        silent: microseconds for which the manager has not heard it.
    """

    name: str
    address: str
    zid: str
    direct: bool
    badge: bytes
    silent: int = 0


class Welcome(msgspec.Struct, frozen=True):
    """The manager's answer: the other ensembles, its root clock, and the revocation list as its file has it.

    Attributes:
        lost: ensembles that it does not hear, but that may come back.
        first: the number of its first control message to the one that takes part from now on; 0: it may only join.
    """

    manager: str
    peers: list[ReachableEnsemble]
    boot_id: str = ""
    now: int = 0
    revoked: bytes = b""
    lost: list[ReachableEnsemble] = []
    first: int = 0


def own_address(manager: str) -> str:
    """The address of this host on the way to the manager (`IP:PORT`)."""
    host, _, port = manager.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, int(port)))
        except OSError as error:
            raise TTRuntimeError(f"the manager's address {manager} cannot be reached: {error.strerror}") from None
        return str(probe.getsockname()[0])


def hello(info: EnsembleInfo, manager: str, trust: Trust) -> Welcome | None:
    """Ask the manager whether `info` may join; None when nobody answers.

    Any local port serves for that: one that was bound would not be free for the lasting session yet.

    Raises:
        RefusedError: the manager refuses.
    """
    try:
        link = client(manager, trust)
    except LinkError:
        return None
    try:
        return ask(link, HELLO, info, trust)
    finally:
        link.close(0)


def client(address: str, trust: Trust, timeout: float = 3.0) -> Link:
    """A session of a command, or of an ensemble beside its lasting one: it asks the manager questions.

    Raises:
        LinkError: nobody answers.
    """
    link = TTNetworkInterfaceZenoh()
    link.open("client", connect=[address], door=trust.door, timeout=timeout)
    return link


def can_reach(peers: list[ReachableEnsemble], trust: Trust) -> bool:
    """True if there can be a direct connection to each of `peers`: one is made, and ended. Blocks."""
    for peer in peers:
        try:
            link = client(peer.address, trust, TRY_LIMIT)
        except LinkError:
            return False
        found = peer.zid in link.reachable()
        link.close(0)
        if not found:
            return False
    return True


def question(
    link: Link,
    key: str,
    content: bytes,
    trust: Trust,
    limit: float = ANSWER_LIMIT,
    unanswered: Callable[[], None] = lambda: None,
) -> ProvenAnswer | None:
    """Ask the manager over an open link: its answer; None when nobody answers.

    Before it gives None for a manager that was there when it was asked, it calls `unanswered`: that manager may have
    done what it was asked.

    Raises:
        RefusedError: what answers is not proven to be a trusted manager, or does not trust this process.
    """
    asking = _proven(link, GREET, b"", limit, lambda greeting: trust.guard.ask(greeting, key, content))
    if asking is None:
        return None
    answer = _proven(link, key, asking.payload, limit, asking.answer)
    if answer is None:
        unanswered()
        return None
    return ProvenAnswer(*answer, asking.answerer.name, asking.badge)


def _proven(link: Link, key: str, payload: bytes, limit: float, proves: Callable[[bytes], T]) -> T | None:
    """Ask: what `proves` makes of the first reply that it takes, however many others reply; None: nobody replies.

    Raises:
        RefusedError: it took none; the reason of the first.
    """
    found: list[T] = []
    reasons: list[TTError] = []

    def wanted(reply: Reply) -> bool:
        try:
            if not reply[0]:  # it has no keys for this process, so that nothing proves what it says
                raise _refused(reply[1])
            found.append(proves(reply[1]))
        except TTError as error:
            reasons.append(error)
        return bool(found)

    link.ask(key, payload, limit, wanted)
    if not found and reasons:
        raise reasons[0] if isinstance(reasons[0], RefusedError) else RefusedError(str(reasons[0]))
    return found[0] if found else None


def _refused(reason: bytes) -> RefusedError:
    return RefusedError(reason.decode("utf-8", "replace")[:REASON])


def ask(link: Link, key: str, info: EnsembleInfo, trust: Trust) -> Welcome | None:
    """Ask the manager whether an ensemble may join, or to join, over an open link.

    Raises:
        RefusedError: the manager refuses.
    """
    answer = question(link, key, msgspec.msgpack.encode(info), trust)
    if answer is None:
        return None
    if not answer.accepted:
        raise refusal_in(answer.payload)
    return welcomed(answer, trust)


def welcomed(answer: ProvenAnswer, trust: Trust) -> Welcome:
    """The welcome in a manager's answer: its messages, and those of the others, are taken from now on.

    Raises:
        RefusedError: it is of another version.
    """
    try:
        welcome = msgspec.msgpack.decode(answer.payload, type=Welcome)
        if welcome.revoked:
            trust.guard.revoke(welcome.revoked)
        trust.guard.admit(answer.badge, answer.manager)
        for peer in welcome.peers:
            trust.guard.admit(peer.badge, peer.name)
        return welcome
    except (msgspec.DecodeError, TTError):
        raise RefusedError(
            f"the manager's answer is not understood; this ensemble speaks protocol version {PROTOCOL}:"
            " install the same version of ticktalk on both"
        ) from None


def nobody_listens(address: str) -> bool:
    """True if the host of an address says that no process listens there. Blocks for a moment."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=LOOK_LIMIT):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False  # it cannot be reached, which says nothing of the process


def open_session(link: Link, welcome: Welcome, manager: str, info: EnsembleInfo, trust: Trust, bind: str) -> None:
    """Open a session that reaches all others: directly if it can, through the manager if not.

    Raises:
        LinkError: as `Link.open`.
    """
    peers = peers_of(welcome)
    connect = [manager, *(peer.address for peer in peers)]
    link.open("peer", info.address, connect, trust.door, bind)
    if heard(link, unreached(link, peers, REACH_LIMIT), info, trust):
        relay(link, manager, trust)


def relay(link: Link, manager: str, trust: Trust) -> None:
    """Open a session that reaches all others through the manager, in place of the one before.

    It goes from any port: that of the session before is not free yet.

    Raises:
        LinkError: as `Link.open`.
    """
    link.open("client", "", [manager], trust.door)


def peers_of(welcome: Welcome) -> list[ReachableEnsemble]:
    """The ensembles to which there is to be a direct connection."""
    return [peer for peer in welcome.peers if peer.direct and peer.address]


def heard(link: Link, peers: list[ReachableEnsemble], info: EnsembleInfo, trust: Trust) -> list[ReachableEnsemble]:
    """Those of `peers` that the manager has just heard; all of them, if it does not answer. Blocks.

    Args:
        link: of the ensemble that asks; it is open.
        peers: ensembles; if there are none, nobody is asked.
        info: of the ensemble that asks.
    """
    answer = ask(link, HELLO, info, trust) if peers else None
    return peers if answer is None else heard_of(answer, peers)


def heard_of(welcome: Welcome, peers: list[ReachableEnsemble]) -> list[ReachableEnsemble]:
    """Those of `peers` that the manager had just heard when it answered."""
    silent = {peer.zid: peer.silent for peer in welcome.peers}
    return [peer for peer in peers if silent.get(peer.zid, HEARD) < HEARD]


def unreached(link: Link, peers: list[ReachableEnsemble], limit: float) -> list[ReachableEnsemble]:
    """Those of `peers` to which no direct connection has come about within `limit` seconds."""
    until = time.monotonic() + limit
    while True:
        connected = link.reachable()
        missing = [peer for peer in peers if peer.zid not in connected]
        if not missing or time.monotonic() >= until:
            return missing
        time.sleep(0.05)  # with fifty ensembles on one machine, looking costs more than waiting


def say_insecure() -> None:
    """The meaning of `--insecure`; said at every start."""
    print(
        "warning: --insecure: anybody who can reach this address can read and forge tokens, and have code of theirs"
        " run on every ensemble that joins; use `ticktalk keys init` and --credentials instead",
        file=sys.stderr,
    )
