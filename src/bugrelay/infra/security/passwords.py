"""Passwords: which ones are too weak, and argon2id hashes made beside the event loop in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from bugrelay.infra.threads import BoundedThreads

MIN_CHARACTERS, MAX_CHARACTERS = 8, 128
# Two hashes at once: two times 19 MiB by default, and the loop keeps its turn on the processor.
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
        self._hasher = PasswordHasher(time_cost=iterations, memory_cost=memory_kib, parallelism=1)
        self._threads = BoundedThreads(
            "passwords", workers=_WORKERS, waiting=_WAITING, deadline_seconds=_DEADLINE_SECONDS
        )
        # Checked against where there is no account, so that the time tells nobody which addresses have one.
        self._nobodys = self._hasher.hash(b"")

    async def hash(self, password: str) -> str:
        """The text to store, with its salt and parameters.

        Raises:
            ServiceUnavailable: Too many wait.
        """
        return await self._threads.run(self._hasher.hash, _bytes(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one behind the hash; for None, no, after the same work.

        Raises:
            ServiceUnavailable: Too many wait.
            argon2.exceptions.InvalidHashError: What is stored is no argon2 hash.
        """
        matches = await self._threads.run(self._matches, stored or self._nobodys, _bytes(password))
        return matches and bool(stored)

    def needs_rehash(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._threads.close()

    def _matches(self, stored: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return False


def weakness(password: str, *, email: str, names: Iterable[str]) -> str | None:
    """Why the password may not be used, as a sentence, or None if it may. `names`: all that the user goes by.

    Length counts code points of what was typed: nothing is trimmed or normalised, any script will do.
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
    """One character over and over, or neighbours in a row up or down: aaaaaaaa, 12345678, hgfedcba."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return len(steps) == 1 and steps <= {-1, 0, 1}


@cache
def _common_passwords() -> frozenset[str]:
    """One per line, case-folded."""
    text = resources.files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def _bytes(password: str) -> bytes:
    """UTF-8; a lone surrogate cannot be in a stored password, and must not make a sign-in fail."""
    return password.encode("utf-8", "surrogatepass")
