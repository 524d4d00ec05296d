"""Trust of the manager and of ensembles in each other, with credentials or, on loopback, without.

Code: an ensemble runs only code that carries the signature of the manager it joined. With credentials, the manager's
key comes from them. Without, it comes from the manager's answer to the join: a link alone makes nobody trusted.

Requests (joins, commands): with credentials, each carries the requester's certificate and a signature by its key. So a
revoked certificate is refused, although TLS would still let it in.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ticktalk.errors import TTError
from ticktalk.physical.trust.credentials import Credentials
from ticktalk.physical.trust.revocations import REVOCATIONS_FILE, RevocationFile
from ticktalk.physical.trust.signing import Signer, Verifier, require_cryptography
from ticktalk.physical.trust.tls import Tls

Verify = Callable[[bytes, bytes], bool]


class Proven(msgspec.Struct, frozen=True, array_like=True):
    """A request with the requester's certificate (PEM) and signature; both are empty where there are no credentials."""

    payload: bytes
    certificate: str = ""
    signature: bytes = b""


class ManagerTrust:
    """A manager's key for code, and its check of requests.

    Args:
        path: the manager's bundle, or None on loopback.

    Raises:
        TTError: the bundle is not valid, or there is no valid revocation list beside it.
    """

    def __init__(self, path: str | None) -> None:
        self.credentials = Credentials.load(path) if path is not None else None
        self.tls: Tls | None = None
        self.public_key = b""
        self._revocations: RevocationFile | None = None
        if self.credentials is not None:
            self.tls = self.credentials.tls
            signer, verifier = self.credentials.signer(), self.credentials.verifier()
            revoked = self.credentials.path.parent / REVOCATIONS_FILE
            self._revocations = RevocationFile(revoked, self.credentials.revocation_verifier())
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
        """The payload of a request.

        Args:
            data: a `Proven` as MessagePack.
            name: for a join: the name for which the certificate must have been issued.

        Raises:
            TTError: it is no request, or its requester is not trusted; the message says why.
        """
        try:
            proven = msgspec.msgpack.decode(data, type=Proven)
        except msgspec.DecodeError:
            raise TTError("this is no question that this manager understands: use the same ticktalk on both") from None
        if self.credentials is not None and self._revocations is not None:
            requester = self.credentials.check_proof(proven.payload, proven.certificate, proven.signature)
            self._revocations.check(requester.name, requester.serial)
            if name is not None and requester.name != name:
                raise TTError(f"the certificate is {requester.name!r}'s, so it cannot join as {name!r}")
        return proven.payload


class EnsembleTrust:
    """The proof in the requests of an ensemble or a command, and an ensemble's check of code.

    Args:
        path: its bundle, or None.

    Raises:
        TTError: the bundle is not valid.
    """

    def __init__(self, path: str | None) -> None:
        self.credentials = Credentials.load(path) if path is not None else None
        self.tls = self.credentials.tls if self.credentials is not None else None

    def ask(self, payload: bytes) -> bytes:
        """A request as it is sent."""
        if self.credentials is None:
            return msgspec.msgpack.encode(Proven(payload))
        certificate, signature = self.credentials.prove(payload)
        return msgspec.msgpack.encode(Proven(payload, certificate, signature))

    def verifier(self, told: bytes) -> Verify:
        """The check of the manager's signature under code.

        Args:
            told: the manager's public key from its answer to the join; used where there are no credentials.
        """
        if self.credentials is not None:
            return self.credentials.verifier().verify
        require_cryptography()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return Verifier(Ed25519PublicKey.from_public_bytes(told)).verify
