"""The certificates of a system and the rules for their content: X.509 with P-256 keys, written as PEM.

An ensemble's certificate serves both ends of a link, as all may listen and connect. Its common name is the ensemble's
name, its organizational unit the role that it gives; its alternative names are the addresses at which others may
connect to it.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, get_args

from ticktalk.mapping.ensembles import check_ensemble_name, check_host
from ticktalk.messages import Role

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

BACKDATED = timedelta(days=1)
"""Certificates are valid from a day ago on: the clock of a device may be behind."""

NAME_LIMIT = 64
"""Bytes that a common name may have in a certificate."""


def authority_certificate(key: EllipticCurvePrivateKey, now: datetime, until: datetime) -> x509.Certificate:
    """A certificate that an authority issues to itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    serial = x509.random_serial_number()
    # The serial number in the name tells authorities apart: a certificate names its issuer.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"TickTalk authority {serial_text(serial)[:8]}")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def ensemble_certificate(
    ca: x509.Certificate,
    ca_key: EllipticCurvePrivateKey,
    key: EllipticCurvePrivateKey,
    name: str,
    role: Role,
    addresses: list[str],
    now: datetime,
    until: datetime,
) -> x509.Certificate:
    """A certificate for `name` in a role and the public half of `key`, issued by `ca`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    both_ways = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    ca_key_identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        x509.CertificateBuilder()
        .subject_name(
            x509.Name(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, name),
                    x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
                ]
            )
        )
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - BACKDATED, ca.not_valid_before_utc))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both_ways), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_key_identifier), critical=False
        )
    )
    if addresses:
        names = x509.SubjectAlternativeName([_general_name(address) for address in addresses])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(ca_key, hashes.SHA256())


def common_name(certificate: x509.Certificate) -> str:
    """The name for which it was issued; empty if there is none in it."""
    from cryptography.x509.oid import NameOID

    return "".join(str(item.value) for item in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def role_of(certificate: x509.Certificate) -> Role | None:
    """The role that it gives; None: none, as in those that were issued before there were roles."""
    from cryptography.x509.oid import NameOID

    units = [str(item.value) for item in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]
    return next((role for role in get_args(Role) if units == [role]), None)


def issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    """True if `ca` is an authority, and signed the certificate."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(ca)
        ca.verify_directly_issued_by(ca)
        return ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False


def serial_text(serial: int) -> str:
    """A certificate's serial number as it is shown, listed and sent: hexadecimal, lower case, 40 digits."""
    return f"{serial:040x}"


def addresses_of(certificate: x509.Certificate) -> list[str]:
    """The addresses that a certificate is good for."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def check_certificate_name(name: str) -> str:
    """`name`, if an ensemble can be called so and a certificate and a file can be made for it.

    Raises:
        ValueError: it cannot.
    """
    check_ensemble_name(name)
    if not name.isprintable() or "\\" in name:
        raise ValueError(f"{name!r} is no name for credentials: use letters, digits, '-', '_' and '.'")
    if len(name.encode()) > NAME_LIMIT:
        raise ValueError(f"{name!r} is too long for a certificate: {NAME_LIMIT} bytes are the limit")
    return name


def check_certificate_address(address: str) -> str:
    """`address`, if others can reach a host at it: an IP address or a host name, without a port.

    Raises:
        ValueError: it is neither, or stands for any address.
    """
    host = check_host(address)
    if host in ("0.0.0.0", "::") or "%" in host:
        raise ValueError(f"{address!r} is no address to reach a host at: give the one that others connect to")
    return host


def certificate_pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def private_pem(key: EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Ed25519PrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _key_usage(authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(address: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)
