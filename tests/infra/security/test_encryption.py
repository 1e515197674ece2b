"""Stored secrets: read by the keys of the settings, in their own row, and nowhere else."""

from __future__ import annotations

from uuid import uuid4

import pytest

from bugrelay.infra.security.encryption import Encryption, SecretUnreadable

OLD, NEW = "an old key, of no value at all, 1234", "a new key, of no value at all, 12345"
SECRET, ROW = b"what nobody else may read", uuid4()


def test_a_secret_comes_back_and_is_not_in_its_ciphertext() -> None:
    encryption = Encryption([OLD])
    first, second = (encryption.encrypt(SECRET, purpose="test", row_id=ROW) for _ in range(2))
    assert SECRET not in first
    assert first != second
    assert encryption.decrypt(first, purpose="test", row_id=ROW) == SECRET


def test_a_new_key_encrypts_and_the_old_one_still_decrypts() -> None:
    before = Encryption([OLD]).encrypt(SECRET, purpose="test", row_id=ROW)
    both = Encryption([NEW, OLD])
    after = both.encrypt(SECRET, purpose="test", row_id=ROW)
    assert (both.is_current(before), both.is_current(after)) == (False, True)
    assert both.decrypt(before, purpose="test", row_id=ROW) == SECRET
    assert Encryption([NEW]).decrypt(after, purpose="test", row_id=ROW) == SECRET
    with pytest.raises(SecretUnreadable):
        Encryption([NEW]).decrypt(before, purpose="test", row_id=ROW)


def test_a_ciphertext_of_another_row_or_purpose_or_one_that_was_changed_is_refused() -> None:
    encryption = Encryption([OLD])
    sealed = encryption.encrypt(SECRET, purpose="test", row_id=ROW)
    for moved in ({"purpose": "test", "row_id": uuid4()}, {"purpose": "other", "row_id": ROW}):
        with pytest.raises(SecretUnreadable):
            encryption.decrypt(sealed, **moved)  # type: ignore[arg-type]
    for damaged in (b"", sealed[:10], sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1])):
        with pytest.raises(SecretUnreadable):
            encryption.decrypt(damaged, purpose="test", row_id=ROW)
