"""Trust of a process in others: by credentials, by the token of its user, or (`--insecure`) none.

Without credentials, a manager on loopback and all that join or ask it prove to be of one user. On any other address
nothing is proven without credentials.
"""

from __future__ import annotations

import ipaddress
import logging
from datetime import UTC, datetime, timedelta

from ticktalk.errors import TTError
from ticktalk.messages import Role
from ticktalk.physical.trust.connection_keys import Door
from ticktalk.physical.trust.credentials import Credentials
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken, Certified, Known
from ticktalk.physical.trust.revocations import REVOCATIONS_FILE, RevocationFile
from ticktalk.physical.trust.user_token import own_token

logger = logging.getLogger("ticktalk.credentials")

WARN_BEFORE = timedelta(days=7)
"""For how long before its end a certificate is warned of."""


class Trust:
    """A process's proof of its identity, and its knowledge of others.

    Args:
        name: of its ensemble; a command's may be any.
        role: what it is, where no certificate says so.
        credentials: its bundle, or None.
        address: where the manager listens.
        token: the secret of a system without credentials; None: that of the user on loopback, else none.

    Attributes:
        guard: seals and opens what it sends and gets.
        door: what its connections need.

    Raises:
        TTError: the bundle is not valid, or of another role; the token cannot be used.
    """

    def __init__(
        self, name: str, role: Role, credentials: str | None, address: str, token: bytes | None = None
    ) -> None:
        self.credentials = Credentials.load(credentials) if credentials is not None else None
        self.door: Door
        self._revocations: RevocationFile | None = None
        self._warned = False
        if self.credentials is None:
            insecure = role == "manager" and not is_loopback(address)
            secret = token if token is not None else own_token() if is_loopback(address) or insecure else b""
            self.door = None
            self.guard = Guard(ByToken(secret, name, role, insecure))
            return
        self.door = self.credentials.tls
        self.warn_of_end()
        sign = self.credentials.signer().sign if role == "manager" else None
        lists = self.credentials.revocation_verifier()
        self.guard = Guard(Certified(self.credentials), sign, self.credentials.verifier().verify, lists)
        if role == "manager":
            path = self.credentials.path.parent / REVOCATIONS_FILE
            self._revocations = RevocationFile(path, lists)
            self.guard.revoke(self._revocations.content)
        if role in ("manager", "ensemble") and self.credentials.name != name:
            raise TTError(f"the certificate is issued to {self.credentials.name!r}, so it does not serve for {name!r}")

    @property
    def expires(self) -> int:
        """The end of the certificate (seconds since 1970); 0: there is none."""
        return 0 if self.credentials is None else int(self.credentials.expires.timestamp())

    def warn_of_end(self) -> None:
        """Say once that the certificate expires soon; called again from time to time."""
        credentials = self.credentials
        if credentials is None or self._warned:
            return
        if credentials.expires - datetime.now(UTC) < WARN_BEFORE:
            self._warned = True
            logger.warning(
                "%s: the certificate of %r expires on %s UTC: issue a new one with `ticktalk keys issue %s`",
                credentials.path,
                credentials.name,
                f"{credentials.expires:%Y-%m-%d %H:%M}",
                credentials.name,
            )

    def look(self) -> list[Known]:
        """Read the revocation list again if it has changed: those on it who were heard until now.

        Raises:
            TTError: the list on disk does not hold any more.
        """
        if self._revocations is None:
            return []
        self._revocations.look()
        return self.guard.revoke(self._revocations.content)

    @property
    def list_content(self) -> bytes:
        """The revocation list as its file has it; empty: there is none."""
        return b"" if self._revocations is None else self._revocations.content


def is_loopback(address: str) -> bool:
    """True if only this host can reach the address, with or without a port; of names, `localhost` only."""
    host = address.rpartition(":")[0].strip("[]") if address.count(":") == 1 or "]:" in address else address.strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, which may lead anywhere
