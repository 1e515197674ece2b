"""Encryption of stored secrets that BugRelay itself must be able to read.

AES-256-GCM with a key from the settings, which is not in the database. The purpose of a ciphertext and the id of its
row are authenticated with it, so it cannot be decrypted in another row. A ciphertext consists of the first four bytes
of the SHA-256 of its key, a nonce of 96 bits, and the output of AES-GCM (docs/adr/0028).

`cryptography` is loaded at the first use: it takes 9 MB, and most workers never need it. A server has it anyway.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES, _KEY_ID_BYTES, _NONCE_BYTES = 32, 4, 12


class SecretUnreadable(Exception):
    """No key of the settings decrypts this ciphertext, or it was changed or moved."""


class Encryption:
    """Encrypts with the first key, and decrypts with any.

    Args:
        keys: The keys of the settings, the newest first; at least one.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def encrypt(self, secret: bytes, *, purpose: str, row_id: UUID) -> bytes:
        """The ciphertext, which only this purpose and row can decrypt."""
        nonce = os.urandom(_NONCE_BYTES)
        key_id, cipher = next(iter(self._ciphers.items()))
        return key_id + nonce + cipher.encrypt(nonce, secret, _context(purpose, row_id))

    def decrypt(self, ciphertext: bytes, *, purpose: str, row_id: UUID) -> bytes:
        """
        Raises:
            SecretUnreadable
        """
        from cryptography.exceptions import InvalidTag

        cipher = self._ciphers.get(ciphertext[:_KEY_ID_BYTES])
        nonce, sealed = ciphertext[_KEY_ID_BYTES:][:_NONCE_BYTES], ciphertext[_KEY_ID_BYTES + _NONCE_BYTES :]
        try:
            if cipher is None:
                raise SecretUnreadable("no key of ENCRYPTION_KEYS reads it")
            return cipher.decrypt(nonce, sealed, _context(purpose, row_id))
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadable("it was changed, or belongs to another row") from error

    def is_current(self, ciphertext: bytes) -> bool:
        """Whether it was encrypted with the newest key."""
        return ciphertext[:_KEY_ID_BYTES] == next(iter(self._ciphers))

    def renewed(self, columns: Mapping[str, tuple[bytes | None, str]], *, row_id: UUID) -> dict[str, bytes]:
        """The columns of a row that are encrypted with a former key, re-encrypted with the newest.

        Args:
            columns: For each column, its ciphertext or None, and its purpose.
            row_id: The row's id.

        Raises:
            SecretUnreadable
        """
        return {
            column: self.encrypt(
                self.decrypt(ciphertext, purpose=purpose, row_id=row_id), purpose=purpose, row_id=row_id
            )
            for column, (ciphertext, purpose) in columns.items()
            if ciphertext is not None and not self.is_current(ciphertext)
        }

    @cached_property
    def _ciphers(self) -> dict[bytes, AESGCM]:
        """By the ids of their keys, the newest first."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        ciphers: dict[bytes, AESGCM] = {}
        for key in map(_derived, self._keys):
            ciphers.setdefault(_key_id(key), AESGCM(key))
        return ciphers


def _derived(key: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"bugrelay stored secrets").derive(key.encode())


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_KEY_ID_BYTES]


def _context(purpose: str, row_id: UUID) -> bytes:
    return f"{purpose}:{row_id}".encode()
