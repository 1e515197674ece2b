"""The gate to Redis under every fault: bounded answers, no confusion of replies, and back by itself."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs

from bugrelay.infra.redis import client as module
from bugrelay.infra.redis.client import RedisClient, RedisUnavailable, Script
from tests.faults.proxy import FaultProxy
from tests.infra.redis.server import Valkey, eventually
from tests.pace import undisturbed

ECHO = Script("return ARGV[1]")
AT_ONCE_SECONDS = 10.0  # far less than a deadline of tests, far more than a pause of the machine


async def outcome(gate: RedisClient, *command: str) -> tuple[bool, float]:
    """Whether the call was answered, and the seconds it took."""
    began = time.monotonic()
    try:
        await gate.run(*command)
    except RedisUnavailable:
        return False, time.monotonic() - began
    return True, time.monotonic() - began


async def test_concurrent_calls_get_their_own_replies(gate: RedisClient) -> None:
    replies = await asyncio.gather(*(gate.run("ECHO", str(n)) for n in range(500)))
    assert replies == [str(n).encode() for n in range(500)]


async def test_a_cancelled_caller_does_not_shift_the_replies(gate: RedisClient) -> None:
    for round_number in range(20):
        calls = [asyncio.create_task(gate.run("ECHO", f"{round_number}-{n}")) for n in range(20)]
        await asyncio.sleep(0)
        for call in calls[::3]:
            call.cancel()
        for n, reply in enumerate(await asyncio.gather(*calls, return_exceptions=True)):
            if n % 3:
                assert reply == f"{round_number}-{n}".encode()
            else:
                assert isinstance(reply, asyncio.CancelledError)
    assert gate.state == "ok"


async def test_a_large_value_passes(gate: RedisClient) -> None:
    value = b"x" * 1024 * 1024
    await gate.run("SET", "large", value, "EX", 5)
    assert await gate.run("GET", "large") == value


async def test_scripts_are_loaded_again_after_a_script_flush(gate: RedisClient) -> None:
    assert await gate.run_script(ECHO, [], ["a"]) == b"a"
    await gate.run("SCRIPT", "FLUSH")
    assert await gate.run_script(ECHO, [], ["b"]) == b"b"
    assert gate.state == "ok"


async def test_slowness_of_this_process_is_not_taken_for_that_of_redis(
    deadlines_of_redis: None, gate: RedisClient
) -> None:
    async def stall() -> None:
        await eventually(lambda: gate.state == "ok")
        calls = [asyncio.create_task(gate.run("PING")) for _ in range(50)]
        await asyncio.sleep(0)
        time.sleep(0.6)  # noqa: ASYNC251 - this is the stall
        assert await asyncio.gather(*calls, return_exceptions=True) == [b"PONG"] * 50

    await undisturbed(stall, seconds=0.8)


async def test_a_client_that_was_not_started_is_unavailable() -> None:
    gate = RedisClient("redis://127.0.0.1:1/0")
    assert gate.state == "down"
    with pytest.raises(RedisUnavailable):
        await gate.run("PING")


async def test_an_absent_server_delays_neither_the_start_nor_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 30.0)
    gate = RedisClient("redis://127.0.0.1:1/0")
    with capture_logs() as logs:
        began = time.monotonic()
        await gate.start()
        assert time.monotonic() - began < AT_ONCE_SECONDS
        answered, seconds = await outcome(gate, "PING")
        assert not answered
        assert seconds < AT_ONCE_SECONDS
        assert not await gate.ping()
        await gate.close()
    assert [entry["event"] for entry in logs] == ["redis_unavailable"]


async def test_when_redis_hangs_all_callers_wait_once_and_the_next_not_at_all(
    deadlines_of_redis: None, proxied_gate: RedisClient, proxy: FaultProxy
) -> None:
    async def hang() -> None:
        proxy.set_mode("pass")
        await eventually(lambda: proxied_gate.state == "ok")
        proxy.set_mode("hang")
        first = await asyncio.gather(*(outcome(proxied_gate, "PING") for _ in range(300)))
        assert not any(answered for answered, _ in first)
        assert 0.15 < max(seconds for _, seconds in first) < 0.4
        connections = proxy.connections
        later = await asyncio.gather(*(outcome(proxied_gate, "PING") for _ in range(300)))
        assert not any(answered for answered, _ in later)
        assert max(seconds for _, seconds in later) < 0.2
        assert proxy.connections - connections <= 1
        proxy.set_mode("pass")
        await eventually(lambda: proxied_gate.state == "ok")
        assert await proxied_gate.ping()

    await undisturbed(hang, seconds=0.2)


async def test_one_warning_when_it_goes_and_one_note_when_it_is_back(
    proxied_gate: RedisClient, proxy: FaultProxy
) -> None:
    with capture_logs() as logs:
        proxy.set_mode("reset")
        await eventually(lambda: proxied_gate.state == "down")
        await asyncio.sleep(0.7)
        await asyncio.gather(*(outcome(proxied_gate, "PING") for _ in range(50)))
        proxy.set_mode("pass")
        await eventually(lambda: proxied_gate.state == "ok")
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("redis_unavailable", "warning"),
        ("redis_available", "info"),
    ]


async def test_a_lost_connection_is_noticed_without_a_call(own_gate: RedisClient, own_valkey: Valkey) -> None:
    own_valkey.kill()
    await eventually(lambda: own_gate.state == "down")
    own_valkey.start()
    await eventually(lambda: own_gate.state == "ok")


def test_commands_that_a_lost_connection_did_not_send_are_dropped(own_valkey: Valkey) -> None:
    """In the loop of the server, which refuses to write to a closed transport."""
    complaints: list[dict[str, Any]] = []

    async def lose_connections() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        client = RedisClient(own_valkey.url)
        await client.start()
        async with asyncio.timeout(30):
            for _ in range(5):
                await eventually(lambda: client.state == "ok")
                own_valkey.kill()
                while client.state == "ok":  # in each turn of the loop one is on its way
                    client.notify("PING")
                    await asyncio.sleep(0)
                own_valkey.start()
        await client.close()

    uvloop.run(lose_connections())
    assert complaints == []


async def test_a_slow_server_is_used_and_a_too_slow_one_is_not(
    deadlines_of_redis: None, proxied_gate: RedisClient, proxy: FaultProxy
) -> None:
    async def delay() -> None:
        proxy.set_mode("pass")
        await eventually(lambda: proxied_gate.state == "ok")
        proxy.set_mode("delay", delay_seconds=0.05)
        answered, seconds = await outcome(proxied_gate, "PING")
        assert answered
        assert seconds >= 0.1
        proxy.set_mode("delay", delay_seconds=0.3)
        answered, seconds = await outcome(proxied_gate, "PING")
        assert not answered
        assert seconds < 0.4

    await undisturbed(delay, seconds=0.2)


async def test_a_frozen_server_is_left_and_found_again(
    deadlines_of_redis: None, own_gate: RedisClient, own_valkey: Valkey
) -> None:
    async def freeze() -> None:
        own_valkey.send_signal(signal.SIGCONT)
        await eventually(lambda: own_gate.state == "ok")
        own_valkey.send_signal(signal.SIGSTOP)
        answered, seconds = await outcome(own_gate, "PING")
        assert not answered
        assert seconds < 0.4
        await asyncio.sleep(0.8)
        assert own_gate.state == "down"
        own_valkey.send_signal(signal.SIGCONT)
        await eventually(lambda: own_gate.state == "ok")
        assert await own_gate.ping()

    await undisturbed(freeze, seconds=0.2)


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("CONFIG SET maxmemory 1 maxmemory-policy noeviction", "CONFIG SET maxmemory 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        ("ACL SETUSER default -set", "ACL SETUSER default +set"),
    ],
)
async def test_a_server_that_refuses_writes_counts_as_down_until_it_takes_them(
    own_gate: RedisClient, own_valkey: Valkey, broken: str, mended: str
) -> None:
    own_valkey.ask(broken)
    answered, seconds = await outcome(own_gate, "SET", "key", "value")
    assert not answered
    assert seconds < AT_ONCE_SECONDS
    await asyncio.sleep(0.7)
    assert own_gate.state == "down"
    assert not await own_gate.ping()
    own_valkey.ask(mended)
    await eventually(lambda: own_gate.state == "ok")
    assert await own_gate.run("SET", "key", "value") == b"OK"


async def test_a_flapping_server_is_used_whenever_it_is_there(
    proxied_gate: RedisClient, proxy: FaultProxy
) -> None:
    for _ in range(2):
        proxy.set_mode("reset")
        await eventually(lambda: proxied_gate.state == "down")
        assert (await outcome(proxied_gate, "PING"))[1] < AT_ONCE_SECONDS
        proxy.set_mode("pass")
        await eventually(lambda: proxied_gate.state == "ok")
        assert await proxied_gate.ping()
