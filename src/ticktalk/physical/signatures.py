"""The manager's signature on code: what an ensemble runs, the manager it joined has signed.

With credentials the key comes from them; on loopback without any, from the manager's answer to the join, so that
even there a link alone does not make a publisher trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Verify = Callable[[bytes, bytes], bool]

_DOMAIN = b"ticktalk-code-v1\0"


class CodeSigner:
    """Signs code.

    Args:
        key: an Ed25519 key.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.verify = verifier(self.public_key)

    @classmethod
    def for_manager(cls, credentials: str | None) -> tuple[CodeSigner, dict[str, Any], bytes]:
        """The signer, the network settings and the revocation list of a manager.

        Raises:
            TTError: the credentials do not hold.
        """
        if credentials is None:
            return cls(Ed25519PrivateKey.generate()), {}, b""
        from ticktalk.physical.credentials import manager_credentials

        key, settings, revoked = manager_credentials(credentials)
        return cls(key), settings, revoked

    def sign(self, payload: bytes) -> bytes:
        """The signature of `payload`."""
        return self._key.sign(_DOMAIN + payload)


def verifier(public_key: bytes) -> Verify:
    """Whether a signature on a payload is that key's."""
    key = Ed25519PublicKey.from_public_bytes(public_key)

    def verify(payload: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, _DOMAIN + payload)
        except InvalidSignature:
            return False
        return True

    return verify


def code_verifier(credentials: str | None) -> tuple[dict[str, Any], Callable[[bytes], Verify]]:
    """An ensemble's network settings, and what gives its check of signatures once the manager's answer is there.

    Raises:
        TTError: the credentials do not hold.
    """
    if credentials is None:
        return {}, verifier
    from ticktalk.physical.credentials import ensemble_credentials

    settings, key = ensemble_credentials(credentials)
    trusted = verifier(key)
    return settings, lambda told: trusted
