"""Identities: what a process shows of itself, and what it makes of what others show.

With credentials, that is a certificate, and two processes share the secret of their two keys (ECDH). Without, it is a
name and a role, and the secret is a token that only processes of the same user know; with `--insecure` it is empty.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import msgspec

from ticktalk.errors import TTError
from ticktalk.mapping.ensembles import check_ensemble_name
from ticktalk.messages import Role
from ticktalk.physical.trust.certificates import common_name, issued_by, role_of, serial_text
from ticktalk.physical.trust.credentials import Credentials

MET = 1024
"""Certificates of others that are remembered, and as many that were refused; reading one costs as much as hundreds of
messages."""

LONGEST = 16_384
"""Bytes of a certificate that is read; ours have less than one thousand."""


class Known(NamedTuple):
    """Another process, as what it shows says.

    Attributes:
        name, role: its own.
        serial: of its certificate; empty: it has none.
        expires: when its certificate does (seconds since 1970); 0: it has none.
        secret: known to it and to this process, and to nobody else (without credentials: to nobody of another user).
    """

    name: str
    role: Role
    serial: str
    secret: bytes
    expires: int = 0


class Identity(Protocol):
    """Attributes: the name, the role, what is shown to others, and whether anything is proven to others at all."""

    name: str
    role: Role
    certificate: bytes
    proves: bool

    def meet(self, certificate: bytes) -> Known:
        """The process that shows this.

        Raises:
            TTError: it is not trusted; the message says why.
        """


class ByToken:
    """An identity by a token; whoever knows the token may be anyone.

    Args:
        token: the secret; empty: there is none, and nothing is proven.
        name, role: of this process.
        insecure: processes without a token are taken, too. The commands of the user on this host still prove theirs.
    """

    def __init__(self, token: bytes, name: str, role: Role, insecure: bool = False) -> None:
        self.name, self.role = name, role
        self.certificate = msgspec.msgpack.encode((name, role, bool(token)))
        self._token, self._insecure = token, insecure
        self.proves = bool(token) and not insecure

    def meet(self, certificate: bytes) -> Known:
        """The process that shows this; see `Identity`."""
        try:
            name, role, has_token = _claims.decode(certificate)
            check_ensemble_name(name)
        except ValueError:
            raise TTError(
                "there are no credentials here, and the other side has some, or another version of ticktalk: give"
                " --credentials on both sides or on neither"
            ) from None
        # Ensembles meet one another, so in an insecure system none of them may use a token.
        proves = not self._insecure or (has_token and role in ("operator", "viewer"))
        return Known(name, role, "", self._token if proves else b"")


class Certified:
    """An identity by credentials."""

    def __init__(self, credentials: Credentials) -> None:
        self.name, self.role = credentials.name, credentials.role
        self.certificate = credentials.certificate
        self._key, self._authorities = credentials.private_key, credentials.authorities
        self._other_until = credentials.other_until
        self.proves = True
        self._met: dict[bytes, tuple[Known, datetime, datetime]] = {}
        self._refused: dict[bytes, str] = {}  # why, by certificate

    def meet(self, certificate: bytes) -> Known:
        """The process that shows this; see `Identity`."""
        found = self._met.get(certificate)
        if found is None:
            if len(certificate) > LONGEST:
                raise TTError(f"a certificate of {len(certificate)} bytes is none of ours")
            why = self._refused.get(certificate)
            if why is not None:
                raise TTError(why)
            try:
                found = self._read(certificate)
            except TTError as error:
                if len(self._refused) >= MET:
                    self._refused.clear()
                self._refused[certificate] = str(error)
                raise
            if len(self._met) >= MET:
                self._met.clear()
            self._met[certificate] = found
        known, since, until = found
        now = datetime.now(UTC)
        if now > until:
            raise TTError(
                f"the certificate of {known.name!r} expired on {until:%Y-%m-%d %H:%M} UTC: issue a new one with"
                f" `ticktalk keys issue {known.name}`"
            )
        if now < since:
            raise TTError(
                f"the certificate of {known.name!r} is valid from {since:%Y-%m-%d %H:%M} UTC on: set the clock"
            )
        return known

    def _read(self, certificate: bytes) -> tuple[Known, datetime, datetime]:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            shown = x509.load_der_x509_certificate(certificate)
            key, name, role = shown.public_key(), common_name(shown), role_of(shown)
            issuers = [number for number, ca in enumerate(self._authorities) if issued_by(shown, ca)]
        except Exception:  # anybody may have made these bytes, and the library has many errors for them
            raise TTError(
                "this manager wants credentials: give --credentials FILE, as `ticktalk keys issue` makes it"
            ) from None
        if not issuers or not isinstance(key, ec.EllipticCurvePublicKey):
            raise TTError(
                f"the certificate of {name!r} is of another authority: issue one with the same `ticktalk keys`"
            )
        if role is None:
            raise TTError(
                f"the certificate of {name!r} gives no role, as those of older versions of ticktalk do: issue a new one"
                f" with `ticktalk keys issue {name} --role ensemble`, or another role"
            )
        secret = self._key.exchange(ec.ECDH(), key)
        known = Known(name, role, serial_text(shown.serial_number), secret, int(shown.not_valid_after_utc.timestamp()))
        until = shown.not_valid_after_utc
        if issuers[0] > 0 and self._other_until is not None:
            until = min(until, self._other_until)
        return known, shown.not_valid_before_utc, until


_claims = msgspec.msgpack.Decoder(tuple[str, Role, bool])
