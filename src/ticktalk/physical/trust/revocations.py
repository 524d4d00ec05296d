"""The revocation list: the certificates that were taken back, numbered and signed, and their refusal.

Zenoh's TLS knows no such list. So the manager reads it, and the guard refuses whoever shows a certificate on it. A
certificate is revoked by its serial number, so another one can be issued to the same name.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from ticktalk.errors import TTError
from ticktalk.input_file import read_bytes
from ticktalk.physical.trust.signing import Signer, Verifier

REVOCATIONS_FILE = "revocations.signed"
"""Its name has no `.json`: an ensemble may be called `revocations`."""


class Revocation(msgspec.Struct, frozen=True):
    """One certificate that was taken back: its common name, its serial number, and when."""

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
        revoked: the certificates on it, in the order of their revocation.
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
            data = read_bytes(path)
        except FileNotFoundError:
            raise TTError(
                f"{path}: there is no revocation list: copy it from the folder where `ticktalk keys init` made it"
            ) from None
        except OSError as error:
            raise TTError(f"{path}: the revocation list cannot be read: {error.strerror}") from None
        return cls.decode(data, verifier, str(path))

    @classmethod
    def decode(cls, data: bytes, verifier: Verifier, origin: str = "revocation list") -> Revocations:
        """Read a list from the content of its file.

        Args:
            verifier: of the purpose `signing.REVOCATION`.
            origin: the name of its origin, for messages.

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
        """True if the certificate with this serial number (`Credentials.serial`) was taken back."""
        return any(item.serial == serial for item in self.revoked)


class RevocationFile:
    """The manager's copy of the list, read again when it changes: revoking takes effect while the manager runs.

    Args:
        path: the file.
        verifier: of the purpose `signing.REVOCATION`.

    Attributes:
        content: of the file.

    Raises:
        TTError: as `Revocations.load`.
    """

    def __init__(self, path: Path, verifier: Verifier) -> None:
        self._path = path
        self._verifier = verifier
        self._changed = self._time()
        self._list = Revocations.load(path, verifier)
        self.content = path.read_bytes()

    def look(self) -> None:
        """Read the file again if it has changed; never an older list.

        Raises:
            TTError: the list on disk does not hold any more.
        """
        changed = self._time()
        if changed == self._changed:
            return
        self._changed = changed
        found = Revocations.load(self._path, self._verifier)
        if found.number < self._list.number:
            raise TTError(
                f"{self._path}: an older revocation list ({found.number}, not {self._list.number}) was put in place:"
                " copy the newest from the folder where `ticktalk keys revoke` made it"
            )
        self._list, self.content = found, self._path.read_bytes()

    def _time(self) -> int:
        """The time of the file's last change; 0: it is not there."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0
