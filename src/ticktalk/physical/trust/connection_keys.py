"""The keys to a connection, for any transport: only processes of the same authority can open one."""

from __future__ import annotations

from typing import NamedTuple


class Tls(NamedTuple):
    """The authority whose certificates are accepted, and the own certificate with its key; PEM."""

    ca_certificate: str
    certificate: str
    private_key: str


Door = Tls | None
"""None: anybody may connect, and is heard only if the guard knows it."""
