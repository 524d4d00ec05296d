"""Facts about the host of an ensemble, for the manager."""

from __future__ import annotations

import functools
import os
import pkgutil
import platform
import socket
import sys

from ticktalk.engine.components import Components
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.physical.network.link import NoSuchAddressError
from ticktalk.physical.system import boot_id


def describe_host(
    name: str,
    components: Components,
    address: str,
    zid: str,
    direct: bool,
    started: int,
    badge: bytes = b"",
    expires: int = 0,
) -> EnsembleInfo:
    """The description of an ensemble on this host, for its join."""
    return EnsembleInfo(
        name,
        address,
        sorted(components),
        _cores(),
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        platform.python_version(),
        _modules(),
        boot_id=boot_id(),
        started=started,
        zid=zid,
        direct=direct,
        badge=badge,
        expires=expires,
    )


def _cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _modules() -> list[str]:
    """The top-level modules that bodies can import here; rather too many, because a missing one rules this host out."""
    # Drivers' factories make the current directory importable, too.
    names = {module.name for module in pkgutil.iter_modules([*sys.path, "."])}
    for place in sys.path:
        if os.path.isdir(place):
            with os.scandir(place) as entries:  # a folder without `__init__.py` is a package, too
                names |= {entry.name for entry in entries if entry.name.isidentifier() and entry.is_dir()}
    for finder in [module for name, module in sys.modules.items() if name.startswith("__editable__")]:
        names |= {name.partition(".")[0] for name in getattr(finder, "MAPPING", ())}
    return sorted(names - {"__pycache__"})


def free_port(ip: str) -> int:
    """A free port at `ip`.

    Raises:
        NoSuchAddressError: this host has no such address.
    """
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            raise NoSuchAddressError(ip) from None
        return int(probe.getsockname()[1])
