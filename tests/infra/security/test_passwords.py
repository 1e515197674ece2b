"""Passwords: which are refused, and that hashing neither stalls the loop nor takes much memory."""

import asyncio
import math
import resource
import time

import pytest

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.security.passwords import Passwords, weakness
from tests.conftest import HeldHashes

QUICK = Passwords(memory_kib=8, iterations=1)


def weak(password: str) -> str | None:
    return weakness(password, email="Ada.Lovelace@example.org", names=["ada_the_first", "Ada the First"])


async def test_the_right_password_and_no_other_verifies() -> None:
    stored = await QUICK.hash("correct horse")
    assert stored.startswith("$argon2id$")
    assert await QUICK.verify(stored, "correct horse")
    assert not await QUICK.verify(stored, "correct horse ")
    assert not await QUICK.verify(stored, "Correct horse")
    assert not await QUICK.verify(stored, "")


async def test_one_password_has_two_hashes() -> None:
    assert await QUICK.hash("correct horse") != await QUICK.hash("correct horse")


@pytest.mark.parametrize("password", ["", "correct horse", "\0", "\ud800", "p" * 100_000])
async def test_where_there_is_no_account_no_password_verifies(password: str) -> None:
    assert not await QUICK.verify(None, password)


async def test_where_there_is_no_account_it_takes_the_same_time() -> None:
    passwords = Passwords(memory_kib=19_456, iterations=2)
    stored = await passwords.hash("correct horse")

    async def seconds(hashed: str | None) -> float:
        start = time.perf_counter()
        await passwords.verify(hashed, "wrong horse")
        return time.perf_counter() - start

    known = unknown = math.inf
    # Whatever else the machine is doing only adds to a time, so the least of many turns is what the check takes.
    for _ in range(200):
        known = min(known, await seconds(stored))
        unknown = min(unknown, await seconds(None))
        if 0.8 < known / unknown < 1.25:
            break
    passwords.close()
    assert 0.6 < known / unknown < 1.6


@pytest.mark.parametrize("password", ["a\0b\0c\0d\0e", "\ud800" * 9, "пароль-мой-длинный", "🐞" * 64])
async def test_any_text_can_be_hashed_and_checked(password: str) -> None:
    stored = await QUICK.hash(password)
    assert await QUICK.verify(stored, password)
    assert not await QUICK.verify(stored, password + "x")


async def test_a_hash_with_other_parameters_wants_a_new_one() -> None:
    stored = await QUICK.hash("correct horse")
    assert not QUICK.needs_rehash(stored)
    assert Passwords(memory_kib=16, iterations=1).needs_rehash(stored)
    assert Passwords(memory_kib=8, iterations=2).needs_rehash(stored)


async def test_fifty_sign_ins_at_once_neither_stall_the_loop_nor_take_much_memory(
    held_hashes: HeldHashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bugrelay.infra.security.passwords._DEADLINE_SECONDS", 60.0
    )  # however slow the machine
    passwords = Passwords(memory_kib=19_456, iterations=2)
    stored = await passwords.hash("correct horse")
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    job = asyncio.gather(*(passwords.verify(stored, "correct horse") for _ in range(50)))
    await held_hashes.begun()  # on the loop, nothing would be done before they have ended
    assert not job.done()
    held_hashes.release()
    assert all(await job)
    taken_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    passwords.close()
    assert taken_kib < 100 * 1024
    assert held_hashes.most_at_once == 2


async def test_more_sign_ins_than_may_wait_are_shed_and_the_rest_succeed() -> None:
    passwords = Passwords(memory_kib=2048, iterations=1)
    stored = await passwords.hash("correct horse")
    tries = (passwords.verify(stored, "correct horse") for _ in range(600))
    results = await asyncio.gather(*tries, return_exceptions=True)
    shed = sum(isinstance(result, ServiceUnavailable) for result in results)
    assert 300 < shed <= 600 - 202
    assert results.count(True) == 600 - shed
    assert await passwords.verify(stored, "correct horse")
    passwords.close()


async def test_a_caller_who_leaves_the_queue_makes_room(held_hashes: HeldHashes) -> None:
    slow = Passwords(memory_kib=19_456, iterations=3)
    stored = await slow.hash("correct horse")
    tries = [asyncio.create_task(slow.verify(stored, "x")) for _ in range(202)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceUnavailable):
        await slow.verify(stored, "x")
    for attempt in tries[10:]:
        attempt.cancel()
    held_hashes.release()
    await asyncio.gather(*tries, return_exceptions=True)
    assert await slow.verify(stored, "correct horse")
    slow.close()
    assert held_hashes.count <= 11


@pytest.mark.parametrize(
    "password",
    [
        "correct horse",
        "пароль-мой-длинный",
        "  spaces  ",
        "x9!kd02m",
        "密码密码安全的密码",
        "🐞🐛🦋🐌🐜🦗🕷🦂",
        "a" + "é" * 127,
        "x\0y\0z\0aa",
        "ada_the_first!",
    ],
)
def test_a_good_password_may_be_used(password: str) -> None:
    assert weak(password) is None


@pytest.mark.parametrize("password", ["", "x9!kd02", "🐞🐛🦋🐌🐜🦗🕷", "x" * 129, "xy" * 65, "y" * 1_000_000])
def test_length_is_8_to_128_code_points(password: str) -> None:
    assert "8 to 128 characters" in (weak(password) or "")


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PassWord1",
        "QWERTY123",
        "1q2w3e4r",
        "iloveyou",
        "Contraseña",
        "12345678",
        "87654321",
        "23456789",
        "abcdefgh",
        "HGFEDCBA",
        "cdefghijklmn",
        "aaaaaaaa",
        "AaAaAaAa",
        "\0" * 8,
        "я" * 20,
        "абвгдежз",
    ],
)
def test_common_passwords_and_sequences_are_weak(password: str) -> None:
    assert "anybody would try" in (weak(password) or "")


@pytest.mark.parametrize(
    "password",
    [
        "ada.lovelace@example.org",
        "ADA.LOVELACE@EXAMPLE.ORG",
        "ada.lovelace",
        "Ada_The_First",
        "ADA_THE_FIRST",
    ],
)
def test_the_own_address_or_name_is_weak(password: str) -> None:
    assert "your e-mail address or your name" in (weak(password) or "")


def test_lone_surrogates_are_refused() -> None:
    assert weak("correct\ud800horse") == "The password must be valid Unicode text"
