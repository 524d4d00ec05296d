"""Credentials of a system whose authority is renewed: real ones, made once for all runs."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from plans import NAMES
from played_network import MANAGER

from ticktalk.physical.trust.authority import init_authority, issue, rotate
from ticktalk.physical.trust.credentials import Credentials
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken, Certified, Known
from ticktalk.physical.trust.revocations import Revocation, Revocations
from ticktalk.physical.trust.signing import REVOCATION, Signer

STEPS = 3
"""The states of an authority: before its renewal, and after each of the two steps."""

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


class _Step(NamedTuple):
    """The credentials that an authority has issued in one step, by name, and the signer of its revocation list."""

    bundles: dict[str, Credentials]
    lists: Signer


@functools.cache
def steps() -> list[_Step]:
    """The steps of one authority. Call it before clocks and random bytes are played."""
    found = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        init_authority(folder)
        for ensemble in NAMES:
            issue(folder, ensemble)
        for step in range(STEPS):
            if step:
                rotate(folder)
            bundles = {each: Credentials.load(folder / f"{each}.json") for each in (*NAMES, MANAGER)}
            key = load_pem_private_key((folder / "authority" / "signing.key").read_bytes(), None)
            assert isinstance(key, Ed25519PrivateKey)
            found.append(_Step(bundles, Signer(key, REVOCATION)))
    return found


@functools.cache
def _identity(step: int, name: str) -> Certified:
    """Remembered, as are the certificates that it has met: reading them takes long."""
    return Certified(steps()[step].bundles[name])


class Keys:
    """The authority of one run, and the credentials that its processes have.

    Attributes:
        step: up to which the authority is renewed.
        has: by name of a process, the step whose bundle it has been given.
    """

    def __init__(self) -> None:
        self.step = 0
        self.has: dict[str, int] = {}
        self._list = Revocations(0, BEGUN)

    def guard(self, name: str, role: str) -> Guard:
        """The guard of a process that starts now with the bundle that it has."""
        step = self.has.setdefault(name, self.step)
        credentials = steps()[step].bundles[name]
        sign = credentials.signer().sign if role == "manager" else None
        verify, lists = credentials.verifier().verify, credentials.revocation_verifier()
        return Guard(_identity(step, name), sign, verify, lists)

    def renew(self, gone: set[str]) -> None:
        """Take the next step, if there is one and each process but those that are gone has the bundle of this one."""
        if self.step + 1 < STEPS and all(step == self.step for name, step in self.has.items() if name not in gone):
            self.step += 1
            self._list = self._list.with_revoked([], BEGUN)  # signed by the authority that is new

    def take(self, name: str) -> None:
        """Give a process the newest bundle; it has an effect when that is started again."""
        self.has[name] = self.step

    def revoke(self, name: str) -> None:
        """Take back all that was issued to a name."""
        serials = [each.bundles[name].serial for each in steps()[: self.step + 1]]
        self._list = self._list.with_revoked([Revocation(name, serial, BEGUN) for serial in serials], BEGUN)

    @property
    def list_content(self) -> bytes:
        """The revocation list, as the manager's file has it."""
        return self._list.encode(steps()[self.step].lists)


class _Certified(ByToken):
    """An identity whose name stands for its certificate's serial number: so it can be revoked."""

    def meet(self, certificate: bytes) -> Known:
        known = super().meet(certificate)
        return known._replace(serial=known.name)


class _Signer:
    def sign(self, content: bytes) -> bytes:
        return b"signed"

    def verify(self, content: bytes, signature: bytes) -> bool:
        return signature == b"signed"


class Token:
    """Stands in for `Keys` where none are renewed, at less cost: all know one token."""

    def __init__(self) -> None:
        self._list = Revocations(1, BEGUN)

    def guard(self, name: str, role: str) -> Guard:
        """The guard of a process that starts now."""
        return Guard(_Certified(b"token", name, role), lists=_Signer())  # type: ignore[arg-type]

    def revoke(self, name: str) -> None:
        """Take back the certificate of a name."""
        self._list = self._list.with_revoked([Revocation(name, name, BEGUN)], BEGUN)

    @property
    def list_content(self) -> bytes:
        """The revocation list, as the manager's file has it."""
        return self._list.encode(_Signer())  # type: ignore[arg-type]
