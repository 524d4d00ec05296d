"""The revocation list: which certificates are taken back, signed, newer ones told from older.

Zenoh's TLS has none, so the manager reads it, gives it out and refuses who is on it. A certificate is revoked by its
serial number, so its owner's name can be issued another.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from ticktalk.errors import TTError
from ticktalk.physical.trust.signing import Signer, Verifier


class Revocation(msgspec.Struct, frozen=True):
    """One certificate that was taken back: whose it was, its serial number, when."""

    name: str
    serial: str
    time: datetime


class _Signed(msgspec.Struct, frozen=True):
    """The file: `list` is a `Revocations` as JSON, signed as it stands; `signature` is base64."""

    format: Literal["ticktalk-revocations"]
    version: Literal[1]
    list: str
    signature: str


class Revocations(msgspec.Struct, frozen=True):
    """A revocation list.

    Attributes:
        number: grows by one with each list of an authority: of two, the one with the higher number counts.
        time: when it was made, UTC.
        revoked: the certificates on it, in the order they were revoked.
    """

    number: int
    time: datetime
    revoked: tuple[Revocation, ...] = ()

    @classmethod
    def load(cls, path: str | Path, verifier: Verifier) -> Revocations:
        """Read a list from a file.

        Raises:
            TTError: it cannot be read, is no list, or does not carry the authority's signature.
        """
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            raise TTError(
                f"{path}: there is no revocation list: copy it from the folder where `ticktalk keys init` made it"
            ) from None
        except OSError as error:
            raise TTError(f"{path}: the revocation list cannot be read: {error.strerror}") from None
        return cls.decode(data, verifier, str(path))

    @classmethod
    def decode(cls, data: bytes, verifier: Verifier, origin: str = "revocation list") -> Revocations:
        """The list that `data`, a file's content, holds.

        Args:
            verifier: of the purpose `signing.REVOCATION`.
            origin: where it came from, for messages.

        Raises:
            TTError: it is no list, or does not carry the authority's signature.
        """
        try:
            signed = msgspec.json.decode(data, type=_Signed)
            signature = base64.b64decode(signed.signature, validate=True)
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError) as error:
            raise TTError(f"{origin}: no revocation list, or a damaged one ({error}): copy it again") from None
        if not verifier.verify(signed.list.encode(), signature):
            raise TTError(
                f"{origin}: the revocation list was altered, or is another authority's: "
                "copy it again from where `ticktalk keys` made it"
            )
        try:
            return msgspec.json.decode(signed.list, type=cls)
        except msgspec.DecodeError as error:  # signed, so a newer ticktalk made it
            raise TTError(f"{origin}: the revocation list cannot be read ({error}): use a newer ticktalk") from None

    def encode(self, signer: Signer) -> bytes:
        """The content of its file.

        Args:
            signer: of the purpose `signing.REVOCATION`.
        """
        text = msgspec.json.encode(self).decode()
        signature = base64.b64encode(signer.sign(text.encode())).decode()
        return msgspec.json.encode(_Signed("ticktalk-revocations", 1, text, signature))

    def with_revoked(self, more: list[Revocation], time: datetime) -> Revocations:
        """The next list: this one and `more`."""
        return Revocations(self.number + 1, time, (*self.revoked, *more))

    def is_revoked(self, serial: str) -> bool:
        """Whether the certificate with this serial number (`Credentials.serial`) was taken back."""
        return any(item.serial == serial for item in self.revoked)
