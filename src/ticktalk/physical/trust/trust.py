"""Whom each side trusts, with credentials or, on loopback, without.

Code: an ensemble runs only what carries the signature of the manager it joined. With credentials its key comes from
them; without, from the manager's answer to the join, so that even there a link alone makes nobody trusted.

Questions (joins, commands): with credentials each carries its asker's certificate and a signature made with that
certificate's key, so that a revoked one, which TLS would still let in, is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ticktalk.errors import TTError
from ticktalk.physical.trust.authority import REVOCATIONS_FILE
from ticktalk.physical.trust.credentials import Credentials
from ticktalk.physical.trust.revocations import Revocations
from ticktalk.physical.trust.signing import Signer, Verifier, require_cryptography

Verify = Callable[[bytes, bytes], bool]


class Proven(msgspec.Struct, frozen=True, array_like=True):
    """A question and who asks: the asker's certificate (PEM) and signature, empty where there are no credentials."""

    payload: bytes
    certificate: str = ""
    signature: bytes = b""


class ManagerTrust:
    """What a manager signs with, and whom it listens to.

    Args:
        path: the manager's bundle, or None on loopback.

    Raises:
        TTError: the bundle does not hold, or there is no revocation list beside it.
    """

    def __init__(self, path: str | None) -> None:
        self.credentials = Credentials.load(path) if path is not None else None
        self.settings: dict[str, Any] = {}
        self.public_key = b""
        self._revocations: Revocations | None = None
        if self.credentials is not None:
            self.settings = self.credentials.zenoh_config()
            signer, verifier = self.credentials.signer(), self.credentials.verifier()
            self._revoked_at = self.credentials.path.parent / REVOCATIONS_FILE
            self._read_at = 0
            self._read_revocations()
        else:
            require_cryptography()
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
            from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

            key = Ed25519PrivateKey.generate()
            self.public_key = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            signer, verifier = Signer(key), Verifier(key.public_key())
        self.sign = signer.sign
        self.verify: Verify = verifier.verify

    def open(self, data: bytes, name: str | None = None) -> bytes:
        """The payload of a question.

        Args:
            data: a `Proven` as MessagePack.
            name: whose certificate it has to be, for joins.

        Raises:
            TTError: it is none, or its asker is not to be trusted; the message says why.
        """
        try:
            proven = msgspec.msgpack.decode(data, type=Proven)
        except msgspec.DecodeError:
            raise TTError("this is no question that this manager understands: use the same ticktalk on both") from None
        if self.credentials is not None:
            self._read_revocations()
            asker = self.credentials.check_proof(proven.payload, proven.certificate, proven.signature)
            if self._revocations is not None and self._revocations.is_revoked(asker.serial):
                raise TTError(
                    f"the certificate of {asker.name!r} was revoked: issue a new one with"
                    f" `ticktalk keys issue {asker.name}`"
                )
            if name is not None and asker.name != name:
                raise TTError(f"the certificate is {asker.name!r}'s, so it cannot join as {name!r}")
        return proven.payload

    def _read_revocations(self) -> None:
        """Read the list again if it has changed: revoking takes effect while the manager runs."""
        assert self.credentials is not None
        try:
            changed = self._revoked_at.stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed != self._read_at or self._revocations is None:
            self._revocations = Revocations.load(self._revoked_at, self.credentials.revocation_verifier())
            self._read_at = changed


class EnsembleTrust:
    """What an ensemble, or a command, shows of itself, and whose code it runs.

    Args:
        path: its bundle, or None.

    Raises:
        TTError: the bundle does not hold.
    """

    def __init__(self, path: str | None) -> None:
        self.credentials = Credentials.load(path) if path is not None else None
        self.settings: dict[str, Any] = self.credentials.zenoh_config() if self.credentials is not None else {}

    @property
    def secure(self) -> bool:
        """Whether links are TLS."""
        return self.credentials is not None

    def ask(self, payload: bytes) -> bytes:
        """A question as it is sent."""
        if self.credentials is None:
            return msgspec.msgpack.encode(Proven(payload))
        certificate, signature = self.credentials.prove(payload)
        return msgspec.msgpack.encode(Proven(payload, certificate, signature))

    def verifier(self, told: bytes) -> Verify:
        """What tells the manager's code, `told` being the key that the manager gave when it let this one in."""
        if self.credentials is not None:
            return self.credentials.verifier().verify
        require_cryptography()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return Verifier(Ed25519PublicKey.from_public_bytes(told)).verify
