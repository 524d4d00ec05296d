"""The parts of credentials for a TLS connection, for any transport."""

from __future__ import annotations

from typing import NamedTuple


class Tls(NamedTuple):
    """The authority whose certificates are accepted, and the own certificate with its key; PEM."""

    ca_certificate: str
    certificate: str
    private_key: str
