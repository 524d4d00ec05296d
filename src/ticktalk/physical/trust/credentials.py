"""Credentials: the one file that lets an ensemble, or the manager, take part in a system on a network.

A bundle is a JSON file: the authority's certificate, a certificate whose common name is the ensemble's name, its
private key, and the public key by which the manager's signature is known. The manager's has the private one too.
`authority` makes them; here they are read and checked.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ticktalk.errors import TTError
from ticktalk.input_file import read_bytes
from ticktalk.messages import Role
from ticktalk.physical.trust.certificates import (
    addresses_of,
    certificate_pem,
    common_name,
    issued_by,
    role_of,
    serial_text,
)
from ticktalk.physical.trust.connection_keys import Tls
from ticktalk.physical.trust.signing import CODE, REVOCATION, Signer, Verifier, require_cryptography

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

logger = logging.getLogger("ticktalk.credentials")

VERSION = 1

_END = "-----END PUBLIC KEY-----"


class Bundle(msgspec.Struct, frozen=True, omit_defaults=True):
    """The file. Certificates and keys are PEM; `verify_key` and `signing_key` are Ed25519.

    While an authority is renewed, `ca_certificate` and `verify_key` have two, one after the other: first those of the
    authority that issued `certificate`, then those of the other one. That is trusted until `other_until` (UTC).
    """

    format: Literal["ticktalk-credentials"]
    version: int
    name: str
    role: Role
    ca_certificate: str
    certificate: str
    private_key: str
    verify_key: str
    signing_key: str = ""
    other_until: datetime | None = None


class _Head(msgspec.Struct):
    """The fields that every version of the file has."""

    format: Literal["ticktalk-credentials"]
    version: int


@dataclass(frozen=True)
class Credentials:
    """A bundle that was checked.

    Attributes:
        path: the file.
        name: the ensemble's name, the common name of its certificate.
        role: what its certificate entitles to.
        serial: the certificate's serial number, as `serial_text` writes it.
        expires: when the certificate ceases to be valid, UTC.
        addresses: those that its certificate names. Others open a direct connection to these only.
        authorities: those whose certificates are accepted; the first one issued its own.
        other_until: until when the others are, UTC; None: as long as they are valid.
    """

    path: Path
    name: str
    role: Role
    serial: str
    expires: datetime
    addresses: list[str]
    authorities: list[x509.Certificate]
    other_until: datetime | None
    _bundle: Bundle = field(repr=False)
    _verify_keys: list[Ed25519PublicKey] = field(repr=False)
    _signing_key: Ed25519PrivateKey | None = field(repr=False)

    @classmethod
    def load(cls, path: str | Path) -> Credentials:
        """Read a bundle and check it, as far as that is possible without a network.

        Raises:
            TTError: the file cannot be read, is no bundle or a damaged one; its key does not fit its certificate;
                another authority issued it; it is not valid yet, or no more.
        """
        require_cryptography()
        path = Path(path)
        bundle = _read(path)
        again = _again(bundle.name, bundle.role)
        try:
            authorities, certificate, verify_keys, signing_key, fits = _parse(bundle)
        except (ValueError, TypeError) as error:
            raise TTError(f"{path}: these credentials are damaged ({error}): copy the file again, or {again}") from None
        if not fits:
            raise TTError(f"{path}: the private key does not fit the certificate of {bundle.name!r}: {again}")
        ca, *others = authorities
        if not issued_by(certificate, ca) or not all(issued_by(other, other) for other in others):
            raise TTError(
                f"{path}: the certificate of {bundle.name!r} was not issued by the authority in the same file: {again}"
            )
        name = common_name(certificate)
        if name != bundle.name:
            raise TTError(
                f"{path}: these are credentials for {bundle.name!r} with the certificate of {name!r}: {again}"
            )
        role = role_of(certificate)
        if role is None:
            raise TTError(
                f"{path}: the certificate of {name!r} gives no role, as those of older versions of ticktalk do: {again}"
            )
        if role != bundle.role:
            raise TTError(f"{path}: the file says {bundle.role!r}, the certificate of {name!r} says {role!r}: {again}")
        if role == "manager" and (signing_key is None or signing_key.public_key() != verify_keys[0]):
            raise TTError(f"{path}: the manager's signing key is missing or does not fit its public half: {again}")
        _check_time(path, f"the certificate of {name!r}", certificate, again)
        _check_time(path, "the certificate of the authority", ca, "make a new one with `ticktalk keys init`")
        now = datetime.now(UTC)
        if bundle.other_until is not None and bundle.other_until < now:
            others, verify_keys = [], verify_keys[:1]
        others = [other for other in others if other.not_valid_before_utc <= now <= other.not_valid_after_utc]
        _warn_if_open(path)
        return cls(
            path=path,
            name=name,
            role=role,
            serial=serial_text(certificate.serial_number),
            expires=certificate.not_valid_after_utc,
            addresses=addresses_of(certificate),
            authorities=[ca, *others],
            other_until=bundle.other_until,
            _bundle=bundle,
            _verify_keys=verify_keys,
            _signing_key=signing_key,
        )

    @property
    def tls(self) -> Tls:
        """The certificates that its connections show and accept."""
        accepted = b"".join(certificate_pem(ca) for ca in self.authorities).decode()
        return Tls(accepted, self._bundle.certificate, self._bundle.private_key)

    def signer(self) -> Signer:
        """The signer of code, for the manager.

        Raises:
            TTError: these are not the manager's credentials.
        """
        if self.role != "manager" or self._signing_key is None:
            raise TTError(
                f"{self.path}: these are the credentials of {self.role} {self.name!r}, which cannot sign for the "
                "manager: use the file that `ticktalk keys init` made"
            )
        return Signer(self._signing_key, CODE)

    def verifier(self) -> Verifier:
        """The check of the manager's signature under code."""
        return Verifier(self._verify_keys, CODE)

    @property
    def certificate(self) -> bytes:
        """This certificate, as it is shown to others (DER)."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        return x509.load_pem_x509_certificate(self._bundle.certificate.encode()).public_bytes(Encoding.DER)

    @property
    def private_key(self) -> EllipticCurvePrivateKey:
        """The key of this certificate."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key(self._bundle.private_key.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    def revocation_verifier(self) -> Verifier:
        """The check of the authority's signature under a revocation list."""
        return Verifier(self._verify_keys, REVOCATION)


def _read(path: Path) -> Bundle:
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        raise TTError(
            f"{path}: there are no such credentials: make them with `ticktalk keys issue NAME` and copy the file here"
        ) from None
    except OSError as error:
        raise TTError(f"{path}: the credentials cannot be read: {error.strerror}") from None
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.version != VERSION:
            raise TTError(
                f"{path}: credentials of version {head.version}, and this ticktalk reads version {VERSION}: "
                "use the same ticktalk here as where they were made, or issue them anew"
            )
        return msgspec.json.decode(data, type=Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TTError(
            f"{path}: no credentials, or damaged ones ({error}): give the file that `ticktalk keys issue NAME` made"
        ) from None


def _parse(
    bundle: Bundle,
) -> tuple[list[x509.Certificate], x509.Certificate, list[Ed25519PublicKey], Ed25519PrivateKey | None, bool]:
    """The authorities' certificates, the own one, the keys of signatures, whether the private key fits the own one.

    Raises:
        ValueError, TypeError: a part cannot be read.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

    part = ""
    try:
        part = "ca_certificate"
        authorities = x509.load_pem_x509_certificates(bundle.ca_certificate.encode())
        part = "certificate"
        certificate = x509.load_pem_x509_certificate(bundle.certificate.encode())
        held = certificate.public_key()
        part = "private_key"
        fits = load_pem_private_key(bundle.private_key.encode(), None).public_key() == held
        part = "verify_key"
        verify_keys = []
        for text in bundle.verify_key.split(_END)[:-1]:
            verify_key = load_pem_public_key((text + _END).encode())
            if not isinstance(verify_key, Ed25519PublicKey):
                raise ValueError("it is not an Ed25519 key")
            verify_keys.append(verify_key)
        if not verify_keys:
            raise ValueError("there is no key")
        signing_key: Ed25519PrivateKey | None = None
        if bundle.signing_key:
            part = "signing_key"
            loaded = load_pem_private_key(bundle.signing_key.encode(), None)
            if not isinstance(loaded, Ed25519PrivateKey):
                raise ValueError("it is not an Ed25519 key")
            signing_key = loaded
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's message is long and about the encoding. The user can look at the named part.
        raise ValueError(f"`{part}` cannot be read") from None
    return authorities, certificate, verify_keys, signing_key, fits


def _check_time(path: Path, what: str, certificate: x509.Certificate, remedy: str) -> None:
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc < now:
        raise TTError(f"{path}: {what} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: {remedy}")
    if now < certificate.not_valid_before_utc:
        raise TTError(
            f"{path}: {what} is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on, and this host's "
            f"clock says {now:%Y-%m-%d %H:%M} UTC: set the clock"
        )


def _warn_if_open(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if os.name == "posix" and mode & 0o077:
        logger.warning("%s: other users of this host can read this private key: chmod 600 %s", path, path)


def _again(name: str, role: Role) -> str:
    and_then = "" if role == "manager" else " and copy the file here"
    as_what = "" if role == "manager" else f" --role {role}"
    return f"issue a new one with `ticktalk keys issue {name}{as_what}`{and_then}"
