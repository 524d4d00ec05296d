"""Reasons that a manager does not answer: what listens there is asked, and what it shows is compared with one's own."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime

from ticktalk.physical.trust.trust import Trust

LIMIT = 2.0
"""Seconds for one look."""


def why_nobody(manager: str, trust: Trust) -> str:
    """The reason that no session with the manager at `IP:PORT` comes about, and what to do."""
    if not _listens(manager):
        return f"no manager answers at {manager}: start one with `ticktalk manager`, or check --manager"
    certificate = _certificate(manager)
    if trust.credentials is None:
        if certificate is not None:
            return (
                f"the manager at {manager} wants credentials: give --credentials FILE, a bundle issued with `ticktalk"
                " keys issue NAME --role ROLE` (ensemble for one that joins; operator or viewer for commands)"
            )
        return f"what listens at {manager} is no manager that answers: check --manager"
    if certificate is None:
        return f"what listens at {manager} has no credentials: start the manager with --credentials, or check --manager"
    expired = _expired(certificate)
    if expired is not None:
        return (
            f"the certificate of the manager at {manager} expired on {expired:%Y-%m-%d %H:%M} UTC: issue a new one with"
            " `ticktalk keys issue runtime-manager`, and start the manager with it"
        )
    return (
        f"no manager that accepts this certificate answers at {manager}: is {trust.credentials.path} of the same"
        " authority (`ticktalk keys list`), and was the manager's issued with --address for this address?"
    )


def _address(manager: str) -> tuple[str, int]:
    host, _, port = manager.rpartition(":")
    return host.strip("[]"), int(port)


def _listens(manager: str) -> bool:
    try:
        with socket.create_connection(_address(manager), LIMIT):
            return True
    except OSError:
        return False


def _certificate(manager: str) -> bytes | None:
    """The certificate (DER) that is shown there; None: there is no TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is believed or sent, only looked at
    try:
        with socket.create_connection(_address(manager), LIMIT) as plain, context.wrap_socket(plain) as secure:
            return secure.getpeercert(binary_form=True)
    except OSError:
        return None


def _expired(certificate: bytes) -> datetime | None:
    """The end of a certificate that has expired; None: it has not, or cannot be read. Anybody may show one."""
    from cryptography import x509

    try:
        until = x509.load_der_x509_certificate(certificate).not_valid_after_utc
    except ValueError:
        return None
    return until if until < datetime.now(UTC) else None
