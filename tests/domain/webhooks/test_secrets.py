"""Secrets of webhooks under changing keys: read while their key exists, and encrypted again with the newest one."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from bugrelay.domain.webhooks.tasks import reencrypt_secrets
from bugrelay.infra.platform import Platform
from bugrelay.infra.security.encryption import Encryption
from tests.domain.webhooks.conftest import Delivering, Hooks, Outside, Sql, due_now, write_events
from tests.domain.webhooks.receiver import Receiver
from tests.domain.webhooks.test_delivering import count, is_valid
from tests.infra.jobs.log_task import JobLog
from tests.infra.redis.server import eventually

NEW = "a new key, of no value at all, 12345"


def with_keys(platform: Platform, *keys: str) -> Platform:
    return replace(platform, encryption=Encryption(keys))


async def test_secrets_move_to_the_newest_key_and_sign_as_before(
    outside: Outside, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql, job_log: JobLog
) -> None:
    webhook_id, former = await hooks.add()
    secret = (await hooks.call("POST", f"/{webhook_id}/rotate"))["secret"]
    old_key = outside.platform.settings.signing_key
    for _ in range(2):  # the second time there is nothing to do
        await reencrypt_secrets(with_keys(outside.platform, NEW, old_key))
    lines = [line for line in job_log if line["event"] == "secrets_reencrypted"]
    assert [(line["changed"], line["remain"]) for line in lines] == [(1, 0)]
    await reencrypt_secrets(with_keys(outside.platform, NEW))
    assert job_log[-1] == lines[0]
    outside.platform = with_keys(outside.platform, NEW)
    async with delivering():
        await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
    assert all(is_valid(one, receiver.posts[0]) for one in (secret, former))


async def test_a_secret_that_no_key_reads_stops_its_webhook_alone(
    outside: Outside, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql, job_log: JobLog
) -> None:
    broken, _ = await hooks.add("/broken")
    sound, _ = await hooks.add("/sound")
    sql.execute(
        "UPDATE webhooks SET secret = (SELECT secret FROM webhooks WHERE id = %s) WHERE id = %s",
        (sound, broken),
    )
    async with delivering():
        for webhook_id in (broken, sound):
            await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: count(sql, "state = 'pending'") == 0)
    assert [post.path for post in receiver.posts] == ["/sound"]
    (delivery,) = await hooks.deliveries(broken)
    assert delivery["attempts"][0]["error"] == "the secret cannot be read; ask the operator"
    await reencrypt_secrets(with_keys(outside.platform, NEW, outside.platform.settings.signing_key))
    (line,) = [line for line in job_log if line["event"] == "secrets_reencrypted"]
    assert (line["changed"], line["remain"]) == (1, 1)


async def test_a_key_that_is_missing_for_days_is_no_fault_of_the_receiver(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    """More attempts than a receiver has, over more days: nothing is given up, and nothing disabled."""
    webhook_id, _ = await hooks.add()
    sql.execute("UPDATE webhooks SET former_secret = secret, former_secret_until = now(), secret = 'lost'")
    await write_events(outside.platform, company, "bug.edited")
    async with delivering():
        for attempt in range(1, 13):
            rows = "SELECT count(*) FROM webhook_attempts"
            await eventually(lambda: sql.execute(rows).fetchone() == (attempt,))  # noqa: B023 - awaited at once
            shown = await hooks.webhook(webhook_id)
            assert (shown["enabled"], shown["failing_since"] is None) == (True, attempt <= 11)
            if attempt == 11:
                sql.execute("UPDATE webhooks SET failing_since = now() - interval '8 days'")
            due_now(sql)
        sql.execute("UPDATE webhooks SET secret = former_secret")
        due_now(sql)
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
    assert len(receiver.posts) == 1


async def test_a_webhook_whose_secret_is_lost_gets_a_new_one(hooks: Hooks, sql: Sql) -> None:
    webhook_id, _ = await hooks.add()
    sql.execute("UPDATE webhooks SET secret = 'lost'")
    rotated = await hooks.call("POST", f"/{webhook_id}/rotate")
    assert rotated["secret"].startswith("whsec_")
    assert rotated["webhook"]["former_secret_until"] is None
