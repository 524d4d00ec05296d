"""The description of an ensemble, and whether it may host an SQ."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator

import msgspec

from ticktalk.defaults import PROTOCOL, RX_PORT
from ticktalk.graph.sq import TTSQ
from ticktalk.ranges import Count, EnsembleName, Name, RootTick


class EnsembleInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """The description that an ensemble gives when it joins.

    Attributes:
        name: unique in its system.
        address: where it is reached, such as `tcp/127.0.0.1:5555`; in simulation its name.
        components: their names.
        cores: processor cores.
        memory: bytes.
        python: its Python version, such as "3.11.7".
        modules: top-level modules it can import; empty: unknown.
        protocol: the version of the protocol it speaks.
        boot_id: of its host: two with one boot id share a clock.
        started: when it started (root ticks): a newer start takes over a lingering name.
        zid: the id of its network session.
        direct: others may connect to it; else the manager relays.
        expires: when its certificate does (seconds since 1970); 0: it has none.
        badge: what others have to know to take its messages as its own; empty in simulation.
    """

    name: EnsembleName
    address: Name = ""
    components: list[Name] = []
    cores: Count = 1
    memory: Count = 0
    python: Name = ""
    modules: list[Name] = []
    protocol: int = PROTOCOL
    boot_id: Name = ""
    started: RootTick = 0
    zid: Name = ""
    direct: bool = True
    expires: int = 0
    badge: bytes = b""


def why_not(sq: TTSQ, ensemble: EnsembleInfo, modules: Collection[str] = ()) -> str | None:
    """The reason why `ensemble` may not host `sq`, whose body needs these modules; None: it may."""
    lacks = []
    for constraint in sq.constraints:
        if constraint.names and ensemble.name not in constraint.names:
            wanted = " or ".join(repr(name) for name in constraint.names)
            lacks.append(f"is not {wanted}")
        missing = [name for name in constraint.components if name not in ensemble.components]
        if missing:
            lacks.append("has no component " + ", ".join(repr(name) for name in missing))
    if modules and ensemble.modules:
        missing = sorted(set(modules).difference(ensemble.modules))
        if missing:
            lacks.append("has no Python module " + ", ".join(repr(name) for name in missing))
    return "; ".join(dict.fromkeys(lacks)) or None


class Hosts:
    """Possible hosts, in the order in which they are tried."""

    def __init__(self, ensembles: Iterable[EnsembleInfo]) -> None:
        self._ensembles = list(ensembles)
        self._place = {ensemble.name: place for place, ensemble in enumerate(self._ensembles)}

    def of(self, sq: TTSQ, modules: Collection[str] = ()) -> Iterator[EnsembleInfo]:
        """Those that may host `sq`, whose body needs these modules. Constraints that give names are looked up."""
        tried: Iterable[EnsembleInfo] = self._ensembles
        named = next((constraint.names for constraint in sq.constraints if constraint.names), None)
        if named is not None:
            tried = (self._ensembles[place] for place in sorted({self._place[n] for n in named if n in self._place}))
        return (ensemble for ensemble in tried if why_not(sq, ensemble, modules) is None)


def check_ensemble_name(name: str) -> str:
    """`name`, if an ensemble can be called so.

    Raises:
        ValueError: it is empty, or holds white space, a slash or a character that key expressions use.
    """
    if not isinstance(name, str) or not name or any(c.isspace() or c in "/*$?#=," for c in name):
        raise ValueError(f"{name!r} is no name for an ensemble: use letters, digits, '-', '_' and '.'")
    return name


def check_port(port: int, name: str) -> None:
    """Check a port that is listened on, or bound.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise ValueError(f"{name} is {port!r}: a port is a number from 0 (any that is free) to 65535")


def check_host(address: str) -> str:
    """`address`, if it is an IP address or a host name, without a port.

    Raises:
        ValueError: it is neither.
    """
    try:
        if isinstance(address, str):
            return str(ipaddress.ip_address(address))
    except ValueError:
        # The last label of a host name is no number: `10.0.0.256` is a mistake.
        label = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
        if len(address) <= 253 and re.fullmatch(rf"({label}\.)*(?!\d+$){label}", address):
            return address.lower()
    raise ValueError(
        f"{address!r} is no address: give an IP address or a host name without a port, such as 192.168.1.20"
    )


def check_address(address: str) -> None:
    """Check the address of a manager.

    Raises:
        ValueError: it is not `IP:PORT`.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r}: write IP:PORT, such as 127.0.0.1:{RX_PORT}")
