"""Hosts for pages that need several: a network namespace each, on one bridge. They need root and `iproute2`.

The first host of a page has the address 10.77.0.1, the second 10.77.0.2, and so on. Hosts whose names begin with `site`
reach the others, and not one another.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

BRIDGE = f"ttdoc{os.getpid() % 10_000}"
"""The namespace in which the bridge is; its name and those of hosts are of this process."""


def possible() -> bool:
    """Whether hosts can be made here."""
    return os.geteuid() == 0 and shutil.which("ip") is not None


def add(host: str, index: int) -> str:
    """Make a host.

    Args:
        host: its name on the page.
        index: how many there are already.

    Returns:
        The name of its namespace.
    """
    if index == 0:
        _ip("netns", "add", BRIDGE)
        _ip("-n", BRIDGE, "link", "add", "bridge", "type", "bridge")
        _ip("-n", BRIDGE, "link", "set", "bridge", "up")
    name = f"{BRIDGE}-{host}"
    _ip("netns", "add", name)
    _ip("-n", BRIDGE, "link", "add", f"to{index}", "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("-n", BRIDGE, "link", "set", f"to{index}", "master", "bridge", "up")
    if host.startswith("site"):
        _ip("-n", BRIDGE, "link", "set", f"to{index}", "type", "bridge_slave", "isolated", "on")
    _ip("-n", name, "addr", "add", f"10.77.0.{index + 1}/24", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    _ip("-n", name, "link", "set", "lo", "up")
    return name


def remove(hosts: Mapping[str, str]) -> None:
    """Remove the hosts, by their page's names, and the bridge."""
    for name in [*hosts.values(), BRIDGE]:
        _ip("netns", "del", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)
