"""Signatures of the manager: Ed25519, each good for one purpose only.

The signed bytes begin with a prefix that names the purpose, so a signature of code does not serve for a revocation
list. The caller of `sign` decides what else they must hold (which graph, for which ensemble, how new).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ticktalk.errors import TTError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

CODE = b"ticktalk-code-v1\0"
"""Purpose: code that an ensemble is to run."""

REVOCATION = b"ticktalk-revocations-v1\0"
"""Purpose: a list of revoked certificates."""


class Signer:
    """Signs as the manager.

    Args:
        key: the manager's private key.
        purpose: the one use of its signatures.
    """

    __slots__ = ("_key", "_purpose")

    def __init__(self, key: Ed25519PrivateKey, purpose: bytes = CODE) -> None:
        self._key = key
        self._purpose = purpose

    def sign(self, payload: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(self._purpose + payload)


class Verifier:
    """Checks the manager's signatures.

    Args:
        keys: the public keys that the manager may sign with: two while its authority is renewed.
        purpose: the one use that a signature must be for.
    """

    __slots__ = ("_keys", "_purpose")

    def __init__(self, keys: Sequence[Ed25519PublicKey], purpose: bytes = CODE) -> None:
        self._keys = keys
        self._purpose = purpose

    def verify(self, payload: bytes, signature: bytes) -> bool:
        """True if the manager signed `payload` for this purpose."""
        return any(self._holds(key, payload, signature) for key in self._keys)

    def _holds(self, key: Ed25519PublicKey, payload: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            key.verify(signature, self._purpose + payload)
        except InvalidSignature:
            return False
        return True


def require_cryptography() -> None:
    """Check that credentials can be used at all, before a module of `cryptography` is imported.

    Raises:
        TTError: the package is missing or broken.
    """
    try:
        import cryptography.x509  # noqa: F401
    except ImportError as error:
        raise TTError(
            f"credentials need the package `cryptography`, which cannot be imported ({error}): pip install cryptography"
        ) from None
