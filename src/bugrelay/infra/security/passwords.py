"""Passwords: checks for weak ones, and argon2id hashing in threads, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, cached_property
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING

from bugrelay.infra.imports import Deferred
from bugrelay.infra.threads import BoundedThreads

if TYPE_CHECKING:
    import argon2
else:
    argon2 = Deferred("argon2")

MIN_CHARACTERS, MAX_CHARACTERS = 8, 128
# Two concurrent hashes: twice 19 MiB by default, and the event loop still gets its share of the processor.
_WORKERS = 2
_WAITING = 200
_DEADLINE_SECONDS = 5.0


class Passwords:
    """Hashes and checks passwords.

    Args:
        memory_kib: Memory for one hash.
        iterations: Passes over that memory.
    """

    def __init__(self, memory_kib: int, iterations: int) -> None:
        self._memory_kib, self._iterations = memory_kib, iterations
        self._threads = BoundedThreads(
            "passwords", workers=_WORKERS, waiting=_WAITING, deadline_seconds=_DEADLINE_SECONDS
        )

    async def hash(self, password: str) -> str:
        """The hash to store, with its salt and parameters.

        Raises:
            ServiceUnavailable: Too many are waiting, or the deadline has passed.
        """
        return await self._threads.run(self._hasher.hash, _bytes(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password matches the stored hash; False for None, after the same work.

        Raises:
            ServiceUnavailable: Too many are waiting, or the deadline has passed.
            argon2.exceptions.InvalidHashError: The stored text is no argon2 hash.
        """
        return await self._threads.run(self._matches, stored, _bytes(password))

    def needs_rehash(self, stored: str) -> bool:
        """Whether the hash was made with parameters other than the current ones."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._threads.close()

    @cached_property
    def _hasher(self) -> argon2.PasswordHasher:
        return argon2.PasswordHasher(time_cost=self._iterations, memory_cost=self._memory_kib, parallelism=1)

    def _matches(self, stored: str | None, password: bytes) -> bool:
        if stored is None:  # the same work, so that timing does not reveal which addresses have an account
            self._hasher.hash(password)
            return False
        try:
            return self._hasher.verify(stored, password)
        except argon2.exceptions.VerifyMismatchError:
            return False


def weakness(password: str, *, email: str, names: Iterable[str]) -> str | None:
    """The reason why the password is too weak, as a sentence, or None. `names`: the user's names.

    The length is that in code points, as typed: nothing is trimmed or normalised, and any script is allowed.
    """
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        return f"The password must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters"
    if any("\ud800" <= character <= "\udfff" for character in password):
        return "The password must be valid Unicode text"
    folded = password.casefold()
    if folded in {own.casefold() for own in (email, email.rpartition("@")[0], *names)}:
        return "The password must not be your e-mail address or your name"
    if folded in _common_passwords() or _is_sequence(folded):
        return "This password is among the first that anybody would try"
    return None


def _is_sequence(text: str) -> bool:
    """Whether the text repeats one character, or counts up or down: aaaaaaaa, 12345678, hgfedcba."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return len(steps) == 1 and steps <= {-1, 0, 1}


@cache
def _common_passwords() -> frozenset[str]:
    """The common passwords of the package, one per line, case-folded."""
    text = resources.files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def _bytes(password: str) -> bytes:
    """The password in UTF-8. A lone surrogate, which no stored password has, must not raise an error at sign-in."""
    return password.encode("utf-8", "surrogatepass")
