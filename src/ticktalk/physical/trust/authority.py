"""The authority of a system: a folder from which its owner issues and revokes credentials.

    ticktalk-keys/
        runtime-manager.json    the manager's credentials, and beside them one file per ensemble, to copy
        revocations.signed      the revocation list, for the manager
        authority/              stays here: ca.pem, ca.key, signing.key
            issued/             every certificate ever issued, in their order
            next/               while it is renewed: the same files of the one that will follow
            former/             after that: ca.pem and verify.pem of the one before, and `until` when it is trusted

The owner of `authority/` admits ensembles. The folder need not be on the manager's host.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.errors import TTError, writing
from ticktalk.messages import Role
from ticktalk.physical.trust.certificates import (
    BACKDATED,
    addresses_of,
    authority_certificate,
    certificate_pem,
    check_certificate_address,
    check_certificate_name,
    common_name,
    ensemble_certificate,
    private_pem,
    public_pem,
    role_of,
    serial_text,
)
from ticktalk.physical.trust.credentials import VERSION, Bundle
from ticktalk.physical.trust.revocations import REVOCATIONS_FILE, Revocation, Revocations
from ticktalk.physical.trust.signing import REVOCATION, Signer, Verifier, require_cryptography

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DIRECTORY = Path("ticktalk-keys")
VALID_FOR = timedelta(days=365)
AUTHORITY_VALID_FOR = timedelta(days=3653)
OTHER_TRUSTED_FOR = timedelta(days=30)
TO_ISSUE = "to-issue.json"
"""In a new authority: the names whose credentials are of the one before. It goes when all of them have new ones."""

ASIDE = ".authority-before"
LOOPBACK = ("127.0.0.1", "localhost")


class Issued(NamedTuple):
    """A certificate that the authority issued; times are UTC, `revoked` is None while it is not.

    `role` is None in those that were issued before there were roles: they are not taken any more.
    """

    name: str
    role: Role | None
    serial: str
    addresses: list[str]
    expires: datetime
    revoked: datetime | None


class _Other(NamedTuple):
    """The authority that will follow, or came before: what a bundle has of it (PEM)."""

    certificate: bytes
    verify_key: bytes
    until: datetime | None


class _Authority(NamedTuple):
    certificate: x509.Certificate
    key: EllipticCurvePrivateKey
    signing_key: Ed25519PrivateKey
    other: _Other | None = None

    def verifier(self) -> Verifier:
        """The check of revocation lists."""
        return Verifier([self.signing_key.public_key()], REVOCATION)


def init_authority(directory: Path, addresses: Iterable[str] = ()) -> Path:
    """Make an authority, an empty revocation list, and the manager's credentials.

    Args:
        addresses: IP addresses and host names at which ensembles reach the manager; loopback is added.

    Returns:
        the manager's credentials.

    Raises:
        ValueError: an address is none.
        TTError: the folder has an authority already, or cannot be written.
    """
    require_cryptography()
    addresses = [check_certificate_address(address) for address in addresses]
    home = directory / "authority"
    if home.exists():
        raise TTError(
            f"{home}: there is an authority already, and every credential it issued would become void: "
            "name another folder with --directory, or move this one away"
        )
    now = datetime.now(UTC).replace(microsecond=0)
    authority = _new(now)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # All of it or nothing: it is made beside its place, and moved there.
        made = Path(tempfile.mkdtemp(prefix=".authority-", dir=directory))
        try:
            (made / "issued").mkdir(mode=0o700)
            _write_authority(made, authority)
            _write(directory / REVOCATIONS_FILE, Revocations(0, now).encode(_list_signer(authority)))
            made.rename(home)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except OSError as error:
        raise TTError(f"{directory}: the authority cannot be written there: {error.strerror}") from None
    return issue(directory, DEFAULT_RUNTIME_MANAGER_NAME, addresses)


def issue(
    directory: Path,
    name: str,
    addresses: Iterable[str] | None = None,
    valid_for: timedelta = VALID_FOR,
    path: Path | None = None,
    role: Role | None = None,
    cut_short: bool = False,
) -> Path:
    """Make credentials for an ensemble or a user, or anew for the manager (by its name).

    Certificates that the name has already stay valid: revoke them first if they are lost.

    Args:
        addresses: IP addresses and host names at which others may reach it. None: those of the certificate it had
            last. Without any, it takes part as well: it connects to others, not they to it.
        valid_for: from now; not beyond the authority itself.
        path: the file to write; default: `NAME.json` in the folder. One that exists is replaced.
        role: what they entitle to. None: the role of the certificate that the name had last, or "ensemble".
        cut_short: they end with the authority if `valid_for` is beyond it; else that is an error.

    Returns:
        the file, readable by its owner only.

    Raises:
        ValueError: the name, an address, the role or the time is none.
        TTError: there is no authority in the folder, or a file cannot be written.
    """
    require_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ec

    check_certificate_name(name)
    before = [certificate for certificate in _certificates(directory) if common_name(certificate) == name]
    if addresses is None:
        addresses = addresses_of(before[-1]) if before else []
    addresses = [check_certificate_address(address) for address in addresses]
    if name == DEFAULT_RUNTIME_MANAGER_NAME:
        role = role or "manager"
        addresses += LOOPBACK
    if (role == "manager") != (name == DEFAULT_RUNTIME_MANAGER_NAME):
        raise ValueError(f"the manager's role goes with the name {DEFAULT_RUNTIME_MANAGER_NAME!r}, and with no other")
    if role is None:
        role = (role_of(before[-1]) if before else None) or "ensemble"
    authority = _open(directory)
    now = datetime.now(UTC).replace(microsecond=0)
    left = authority.certificate.not_valid_after_utc - now
    if left <= timedelta(0):
        raise TTError(
            f"{directory}: the authority expired {-left.days} days ago: move its folder away, make a new one with "
            "`ticktalk keys init`, and issue all credentials anew"
        )
    if valid_for <= timedelta(0):
        raise ValueError("a certificate must be valid for some time")
    if valid_for > left and not cut_short:
        raise ValueError(f"a certificate cannot outlive its authority, which is valid for {left.days} more days")
    key, end = ec.generate_private_key(ec.SECP256R1()), now + min(valid_for, left)
    certificate = ensemble_certificate(
        authority.certificate, authority.key, key, name, role, list(dict.fromkeys(addresses)), now, end
    )
    other = authority.other or _Other(b"", b"", None)
    bundle = Bundle(
        format="ticktalk-credentials",
        version=VERSION,
        name=name,
        role=role,
        ca_certificate=(certificate_pem(authority.certificate) + other.certificate).decode(),
        certificate=certificate_pem(certificate).decode(),
        private_key=private_pem(key).decode(),
        verify_key=(public_pem(authority.signing_key) + other.verify_key).decode(),
        signing_key=private_pem(authority.signing_key).decode() if role == "manager" else "",
        other_until=other.until,
    )
    path = path or directory / f"{name}.json"
    with writing(f"{path}: the credentials"):
        # The record comes first: a certificate without a record cannot be revoked.
        record = _record(directory, certificate)
        try:
            _write(path, msgspec.json.format(msgspec.json.encode(bundle), indent=2) + b"\n")
        except OSError:
            record.unlink()
            raise
    return path


def revoke(directory: Path, name: str) -> Path:
    """Revoke every certificate that `name` has; a later `issue` makes a new, valid one.

    Returns:
        the revocation list.

    Raises:
        TTError: the name has no certificate to revoke; it is the manager's; the list on disk was altered.
    """
    require_cryptography()
    if name == DEFAULT_RUNTIME_MANAGER_NAME:
        raise TTError(
            "the manager's credentials hold the key that signs code and the revocation list itself, so they cannot be "
            "revoked: move the folder away, make a new authority with `ticktalk keys init`, and issue all credentials "
            "anew"
        )
    listed = issued(directory)
    mine = [item for item in listed if item.name == name]
    valid = [item for item in mine if item.revoked is None]
    if not mine:
        names = ", ".join(dict.fromkeys(repr(item.name) for item in listed))
        raise TTError(f"{directory}: no credentials were issued to {name!r}; they were to {names}")
    if not valid:
        raise TTError(f"{directory}: all credentials of {name!r} are revoked already")
    authority = _open(directory)
    now = datetime.now(UTC).replace(microsecond=0)
    more = [Revocation(item.name, item.serial, now) for item in valid]
    path = directory / REVOCATIONS_FILE
    following = _revocations(directory, authority).with_revoked(more, now)
    with writing(f"{path}: the revocation list"):
        _write(path, following.encode(_list_signer(authority)))
    return path


def rotate(directory: Path, trusted_for: timedelta = OTHER_TRUSTED_FOR) -> tuple[bool, list[Path]]:
    """Renew an authority, in two steps; all credentials are issued anew in each, for as long as before.

    After the first, all trust the one that will follow, too. Certificates are still of the present one. After the
    second, certificates are of the new one, and the former is trusted for a while. So in each step processes can be
    started again with their new bundles in any order: they understand those that have not been. A step that failed on
    its way goes on where it was when this is called again.

    Args:
        trusted_for: (second step) how long the former one is trusted.

    Returns:
        whether this was the second step, and the bundles to copy.

    Raises:
        TTError: there is no authority, a renewal has just been, or a file cannot be written.
    """
    require_cryptography()
    home = directory / "authority"
    _bring_back(directory)
    authority = _open(directory)
    now = datetime.now(UTC).replace(microsecond=0)
    begun = next((file for file in (home / "next" / TO_ISSUE, home / TO_ISSUE) if file.exists()), None)
    try:
        if begun is None:
            second = (home / "next").is_dir()
            begun = _step(directory, authority, trusted_for, now)
        else:
            second = begun.parent == home
            if second:
                _list_of_new(directory, authority, now)
        names = set(msgspec.json.decode(begun.read_bytes(), type=list[str]))
        lengths: dict[str, timedelta] = {}  # the longest of each name: the end of an authority cuts some short
        for certificate in _certificates(directory):
            name, length = common_name(certificate), certificate.not_valid_after_utc - certificate.not_valid_before_utc
            lengths[name] = max(length - BACKDATED, lengths.get(name, timedelta(0)))
        names &= {item.name for item in issued(directory) if item.revoked is None}
        bundles = [issue(directory, name, None, lengths[name], cut_short=True) for name in lengths if name in names]
        begun.unlink()
    except OSError as error:
        raise TTError(f"{directory}: the authority cannot be written there: {error.strerror}") from None
    return second, bundles


def _step(directory: Path, authority: _Authority, trusted_for: timedelta, now: datetime) -> Path:
    """Begin a step: make what is new in one move. The file with the names whose credentials are to be issued anew."""
    home, second = directory / "authority", (directory / "authority" / "next").is_dir()
    if authority.other is not None and not second:
        raise TTError(
            f"{directory}: the authority before this one is trusted until {authority.other.until:%Y-%m-%d %H:%M} UTC:"
            " renew it again after that"
        )
    valid = {item.name: item for item in issued(directory) if item.revoked is None and item.expires > now and item.role}
    made = Path(tempfile.mkdtemp(prefix=".authority-", dir=directory))
    try:
        _write(made / TO_ISSUE, msgspec.json.encode(list(valid)))
        if not second:
            _write_authority(made, _new(now))
            made.rename(home / "next")
            shutil.rmtree(home / "former", ignore_errors=True)
            return home / "next" / TO_ISSUE
        _write_authority(made, _read(directory, "next"))
        shutil.copytree(home / "issued", made / "issued")
        (made / "former").mkdir(mode=0o700)
        _write(made / "former" / "ca.pem", certificate_pem(authority.certificate))
        _write(made / "former" / "verify.pem", public_pem(authority.signing_key))
        _write(made / "former" / "until", f"{(now + trusted_for).isoformat()}\n".encode())
        aside = directory / ASIDE
        home.rename(aside)
        try:
            made.rename(home)
        except OSError:
            aside.rename(home)
            raise
        shutil.rmtree(aside)
        _list_of_new(directory, _open(directory), now)
        return home / TO_ISSUE
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _bring_back(directory: Path) -> None:
    """Undo a second step that ended, with its process, between its two moves."""
    if not (directory / "authority").exists() and (directory / ASIDE).is_dir():
        (directory / ASIDE).rename(directory / "authority")


def _list_of_new(directory: Path, authority: _Authority, now: datetime) -> None:
    """Have the revocation list signed by the authority that is new, if the former one signed it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    path = directory / REVOCATIONS_FILE
    keys = [authority.signing_key.public_key()]
    former = load_pem_public_key((directory / "authority" / "former" / "verify.pem").read_bytes())
    if isinstance(former, Ed25519PublicKey):
        keys.append(former)
    found = Revocations.load(path, Verifier(keys, REVOCATION))
    _write(path, found.with_revoked([], now).encode(_list_signer(authority)))


def issued(directory: Path) -> list[Issued]:
    """Every certificate that was issued, in that order.

    Raises:
        TTError: there is no authority in the folder, or the revocation list was altered.
    """
    require_cryptography()
    revoked = {item.serial: item.time for item in _revocations(directory, _open(directory)).revoked}
    return [
        Issued(
            name=common_name(certificate),
            role=role_of(certificate),
            serial=serial_text(certificate.serial_number),
            addresses=addresses_of(certificate),
            expires=certificate.not_valid_after_utc,
            revoked=revoked.get(serial_text(certificate.serial_number)),
        )
        for certificate in _certificates(directory)
    ]


def _new(now: datetime) -> _Authority:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = ec.generate_private_key(ec.SECP256R1())
    return _Authority(authority_certificate(key, now, now + AUTHORITY_VALID_FOR), key, Ed25519PrivateKey.generate())


def _write_authority(home: Path, authority: _Authority) -> None:
    _write(home / "ca.pem", certificate_pem(authority.certificate))
    _write(home / "ca.key", private_pem(authority.key))
    _write(home / "signing.key", private_pem(authority.signing_key))


def _open(directory: Path) -> _Authority:
    """The authority in a folder.

    Raises:
        TTError: there is none, or it is damaged.
    """
    home = directory / "authority"
    authority, other = _read(directory), None
    try:
        if (home / "next").is_dir():
            following = _read(directory, "next")
            other = _Other(certificate_pem(following.certificate), public_pem(following.signing_key), None)
        elif (home / "former").is_dir():
            until = datetime.fromisoformat((home / "former" / "until").read_text().strip())
            if until > datetime.now(UTC):
                former = home / "former"
                other = _Other((former / "ca.pem").read_bytes(), (former / "verify.pem").read_bytes(), until)
    except (OSError, ValueError) as error:
        raise TTError(f"{home / 'former'}: the authority before cannot be read ({error}): bring it back") from None
    return authority._replace(other=other)


def _read(directory: Path, part: str = "") -> _Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    home = directory / "authority" / part
    try:
        certificate = x509.load_pem_x509_certificate((home / "ca.pem").read_bytes())
        key = load_pem_private_key((home / "ca.key").read_bytes(), None)
        signing_key = load_pem_private_key((home / "signing.key").read_bytes(), None)
    except FileNotFoundError as error:
        raise TTError(
            f"{error.filename}: not found, so there is no authority in {directory}: make one with "
            "`ticktalk keys init`, or name its folder with --directory"
        ) from None
    except OSError as error:
        raise TTError(f"{error.filename}: the authority cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise TTError(f"{home}: the authority's files are damaged: bring them back from a copy") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(signing_key, Ed25519PrivateKey):
        raise TTError(f"{home}: the authority's keys are of another kind: bring them back from a copy")
    if key.public_key() != certificate.public_key():
        raise TTError(f"{home}: ca.key does not fit ca.pem: bring both back from the same copy")
    return _Authority(certificate, key, signing_key)


def _revocations(directory: Path, authority: _Authority) -> Revocations:
    return Revocations.load(directory / REVOCATIONS_FILE, authority.verifier())


def _list_signer(authority: _Authority) -> Signer:
    return Signer(authority.signing_key, REVOCATION)


def _certificates(directory: Path) -> list[x509.Certificate]:
    from cryptography import x509

    certificates = []
    for path in _records(directory):
        try:
            certificates.append(x509.load_pem_x509_certificate(path.read_bytes()))
        except OSError as error:
            raise TTError(f"{path}: the record of a certificate cannot be read: {error.strerror}") from None
        except ValueError:
            raise TTError(f"{path}: the record of a certificate is damaged: bring it back from a copy") from None
    return certificates


def _records(directory: Path) -> list[Path]:
    return sorted((directory / "authority" / "issued").glob("*.pem"), key=lambda path: (len(path.stem), path.stem))


def _record(directory: Path, certificate: x509.Certificate) -> Path:
    number = len(_records(directory)) + 1
    while True:
        path = directory / "authority" / "issued" / f"{number:04}.pem"
        try:
            with path.open("xb") as file:
                file.write(certificate_pem(certificate))
            return path
        except FileExistsError:  # someone else issues at this moment
            number += 1


def _write(path: Path, data: bytes) -> None:
    """Put a file in place at once, readable by its owner only from the first byte on."""
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
