"""`ticktalk doctor`: looks at this host, and at a manager, for what would get in the way; says what to do."""

from __future__ import annotations

import json
import platform
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Annotated, Any, Literal, NamedTuple

import typer

from ticktalk.cli import arguments, options
from ticktalk.cli.tables import EXPIRES_SOON, add, not_written, table, terminal
from ticktalk.defaults import RX_PORT
from ticktalk.durations import about
from ticktalk.errors import TTError

SAMPLES = 20
"""Waits of a millisecond each, whose lateness is looked at."""

LATE = 5_000
"""Microseconds: a host that wakes a waiting process later is no good for streams of more than some 10 Hz."""

UNSURE = 5_000
"""Microseconds of uncertainty of an ensemble's clock from which on it is mentioned."""


class Finding(NamedTuple):
    """A finding: what was looked at, how it is, and what to do about it."""

    level: Literal["good", "mind", "wrong"]
    subject: str
    text: str
    advice: str = ""


def doctor(
    manager: Annotated[str | None, typer.Option(metavar="IP:PORT", help="A manager to be reached, too.")] = None,
    credentials: options.Credentials = None,
    as_json: options.Json = False,
) -> None:
    if manager is not None:
        arguments.address(manager, "--manager")
    found = list(findings(manager, credentials))
    if as_json:
        print(json.dumps([finding._asdict() for finding in found]))
    else:
        shown = table("", "looked at", "found", "what to do")
        for finding in found:
            add(shown, finding.level, finding.subject, finding.text, finding.advice)
        terminal().print(shown)
    if any(finding.level == "wrong" for finding in found):
        raise typer.Exit(1)


def findings(manager: str | None, credentials: str | None) -> Iterator[Finding]:
    """Everything that is looked at, one after the other."""
    yield from _versions()
    try:
        import ticktalk.physical.system  # noqa: F401
    except TTError as error:
        yield Finding("mind", "devices", *_parted(str(error)))
        return
    yield _judged("limits", "open files, processes and threads suffice", _limits)
    yield _judged("memory", "long values are shared between processes", _memory)
    yield _judged("realtime", "this process may have what --realtime gives it", _realtime)
    yield _waking()
    yield _utc()
    if credentials is None:
        yield _judged("token", "loopback needs no credentials: other users are kept out by the user's token", _token)
    else:
        yield _bundle(credentials)
    if manager is None:
        yield _port()
    else:
        yield from _system(manager, credentials)


def _judged(subject: str, text: str, check: Callable[[], str]) -> Finding:
    """The finding of a check, which returns what is to be minded, and raises what is wrong."""
    try:
        mind = check()
    except TTError as error:
        return Finding("wrong", subject, *_parted(str(error)))
    return Finding("mind", subject, *_parted(mind)) if mind else Finding("good", subject, text)


def _parted(text: str) -> tuple[str, str]:
    """A message, and the advice that follows its last colon."""
    what, colon, advice = text.rpartition(": ")
    return (what, advice) if colon else (text, "")


def _versions() -> Iterator[Finding]:
    yield Finding("good", "ticktalk", f"{version('ticktalk')} on Python {platform.python_version()}, {sys.platform}")
    lacking, there = [], []
    for line in requires("ticktalk") or []:
        if "extra ==" in line:
            continue
        name = re.split(r"[<>=!~; \[]", line, maxsplit=1)[0]
        try:
            there.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lacking.append(name)
    if lacking:
        advice = f"pip install {' '.join(lacking)}"
        yield Finding("wrong", "packages", f"not installed: {', '.join(lacking)}", advice)
    else:
        yield Finding("good", "packages", ", ".join(there))


def _limits() -> str:
    from ticktalk.physical.limits import ENSEMBLE, check_limits

    check_limits(ENSEMBLE)
    return ""


def _memory() -> str:
    from ticktalk.physical.limits import unshared

    why = unshared()
    return f"long values are copied between processes: {why}" if why else ""


def _realtime() -> str:
    from ticktalk.physical.realtime import lacking

    missing = "; and ".join(lacking())
    return f"--realtime would lack {missing}: give it to the user or the service" if missing else ""


def _token() -> str:
    from ticktalk.physical.trust.user_token import own_token

    own_token()
    return ""


def _waking() -> Finding:
    """The lateness with which this host wakes a process: streams cannot be more exact."""
    late = []
    for _ in range(SAMPLES):
        begun = time.monotonic_ns()
        time.sleep(0.001)
        late.append((time.monotonic_ns() - begun) // 1_000 - 1_000)
    text = f"a waiting process is woken {about(sorted(late)[SAMPLES // 2])} late, at worst {about(max(late))}"
    if sorted(late)[SAMPLES // 2] < LATE:
        return Finding("good", "timing", text)
    return Finding("mind", "timing", text, "end what else runs here, or let streams be slow")


def _utc() -> Finding:
    """The clock of this host: the kernel knows if others set it (adjtimex)."""
    import ctypes

    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (AttributeError, OSError):
        return Finding(
            "mind", "clock", "this system does not tell whether its clock is set", "see that NTP or PTP runs"
        )
    state = ctypes.create_string_buffer(512)  # modes 0: only to be read
    unset = adjtimex(state) in (-1, 5)  # TIME_ERROR: not synchronized
    if not unset:
        return Finding("good", "clock", "it is set by NTP or PTP")
    return Finding(
        "mind", "clock", "nobody sets the clock of this host",
        "on the manager's host run NTP (`timedatectl set-ntp true`); ensembles follow the manager's clock in any case",
    )  # fmt: skip


def _bundle(path: str) -> Finding:
    from ticktalk.physical.trust.credentials import Credentials

    try:
        found = Credentials.load(path)
    except TTError as error:
        return Finding("wrong", "credentials", *_parted(str(error)))
    text = f"{path}: {found.name!r}, role {found.role}, until {found.expires:%Y-%m-%d %H:%M} UTC"
    if found.expires.timestamp() - time.time() < EXPIRES_SOON:
        again = f"`ticktalk keys issue {found.name} --role {found.role}` makes another one"
        return Finding("mind", "credentials", text, again)
    return Finding("good", "credentials", text)


def _port() -> Finding:
    """The default port of a manager, which should be free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", RX_PORT))
        except OSError:
            advice = f"if it is a manager, look at it with --manager 127.0.0.1:{RX_PORT}; else give another --rx-port"
            return Finding("mind", "port", f"something listens on the manager's port {RX_PORT}", advice)
    return Finding("good", "port", f"the manager's port {RX_PORT} is free")


def _system(manager: str, credentials: str | None) -> Iterator[Finding]:
    """A manager, and the ensembles that have joined it."""
    from ticktalk.cli.remote import CommandRefused, Remote

    try:
        with Remote(manager, credentials) as remote:
            found: dict[str, Any] = remote.ask(do="status")
    except TTError as error:
        if isinstance(error, CommandRefused) and _is_of_ensemble(credentials):
            text = f"the manager at {manager} answers, and knows these credentials; an ensemble may ask no more"
            yield Finding("good", "manager", text)
            return
        yield Finding("wrong", "manager", *_parted(str(error)))
        return
    yield Finding("good", "manager", f"{found['manager']!r} at {manager} answers, and accepts this command")
    for text in not_written(found):
        yield Finding("wrong", "disk", text, "make room there, or let its user write there; it goes on by itself then")
    own = next(entry for entry in found["ensembles"] if entry["name"] == found["manager"])
    for entry in found["ensembles"]:
        if entry is not own:
            yield _ensemble(entry, own)


def _is_of_ensemble(path: str | None) -> bool:
    """True if credentials are an ensemble's, which looks here for the way that it will take to the manager."""
    from ticktalk.physical.trust.credentials import Credentials

    return path is not None and Credentials.load(path).role == "ensemble"


def _ensemble(entry: dict[str, Any], own: dict[str, Any]) -> Finding:
    name, heard, unsure = entry["name"], entry["heard_us_ago"], entry["clock_uncertainty_us"]
    text = f"heard {about(heard)} ago, clock offset {about(entry['clock_offset_us'])} +- {about(unsure)}"
    minor = [each["python"].rpartition(".")[0] for each in (entry, own)]
    ends = entry["certificate_expires"]
    if heard > 3_000_000:
        return Finding("wrong", name, text, "see whether its process and its network are there")
    if minor[0] != minor[1]:
        advice = "use one version of Python everywhere, or programs may not mean the same"
        return Finding("mind", name, f"{text}; Python {entry['python']}, the manager's is {own['python']}", advice)
    if unsure > UNSURE:
        advice = "let streams that meet there have wider intervals, or use a wired network, or PTP (--clock system)"
        return Finding("mind", name, text, advice)
    if not entry["direct"]:
        advice = f"let other ensembles reach {entry['address']}: until then its tokens go through the manager"
        return Finding("mind", name, text, advice)
    if ends is not None and ends - time.time() < EXPIRES_SOON:
        return Finding("mind", name, text, f"its certificate ends soon: `ticktalk keys issue {name} --role ensemble`")
    return Finding("good", name, text)
