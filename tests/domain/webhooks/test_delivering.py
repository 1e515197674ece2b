"""Events reach receivers: signed, tried again, at most four at once, once each where no crash falls between."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bugrelay.domain.webhooks import dispatcher, tasks
from bugrelay.domain.webhooks.payload import MAX_BYTES
from bugrelay.domain.webhooks.service import delivering as rules
from bugrelay.domain.webhooks.service import events
from bugrelay.domain.webhooks.service.queueing import queue_rule_run
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.tasks import Tasks
from tests.conftest import RunJobs, SignUp
from tests.domain.webhooks.conftest import Delivering, Hooks, Outside, Sql, due_now, write_events
from tests.domain.webhooks.receiver import HOST, Post, Receiver
from tests.factories import Person, make_member, report
from tests.infra.mail.postbox import Postbox, parts_of, working
from tests.infra.redis.server import eventually

JOBS = Tasks(by_name=tasks.TASKS.by_name)  # without what delivers: that of the test alone knows the receiver


def count(sql: Sql, condition: str = "true") -> int:
    row = sql.execute(f"SELECT count(*) FROM webhook_deliveries WHERE {condition}").fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


def is_valid(secret: str, post: Post) -> bool:
    try:
        Webhook(secret).verify(post.body, post.headers)
    except WebhookVerificationError:
        return False
    return True


async def test_an_event_arrives_signed_as_the_library_of_the_standard_verifies(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, secret = await hooks.add(events=["status.changed"])
    await write_events(
        outside.platform, company, "bug.created", "status.changed", data={"from": "open", "to": "fixed"}
    )
    async with delivering():
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
    (post,) = receiver.posts
    (seq,) = sql.execute("SELECT seq FROM events WHERE type = 'status.changed'").fetchone() or ()
    assert post.id == f"evt_{company}_{seq}"
    assert is_valid(secret, post)
    assert not is_valid(secret, Post(post.path, post.headers, post.body + b" "))
    body = post.json
    assert (body["type"], body["data"]["id"], body["data"]["seq"]) == ("status.changed", post.id, seq)
    assert body["data"]["data"] == {"from": "open", "to": "fixed"}
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    assert post.headers["content-type"] == "application/json"
    (delivery,) = await hooks.deliveries(webhook_id)
    assert (delivery["event_id"], delivery["state"], delivery["next_at"]) == (post.id, "delivered", None)
    (attempt,) = delivery["attempts"]
    assert (attempt["status"], attempt["error"]) == (204, None)


async def test_a_rotated_secret_and_its_former_one_both_verify_until_the_day_is_over(
    hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, former = await hooks.add()
    secret = (await hooks.call("POST", f"/{webhook_id}/rotate"))["secret"]
    async with delivering():
        await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
        sql.execute("UPDATE webhooks SET former_secret_until = now()")
        await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: count(sql, "state = 'delivered'") == 2)
    first, second = receiver.posts
    assert [is_valid(one, first) for one in (secret, former)] == [True, True]
    assert [is_valid(one, second) for one in (secret, former)] == [True, False]
    assert (first.json["type"], first.json["data"]["id"]) == ("webhook.test", first.id)


async def test_failed_attempts_are_tried_again_after_the_pauses_of_three_days_and_then_given_up(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, _ = await hooks.add()
    receiver.answer = lambda _post: 500
    await write_events(outside.platform, company, "bug.edited")
    pauses: list[Any] = []
    async with delivering():
        for attempt in range(1, 11):
            rows = "SELECT count(*) FROM webhook_attempts"
            await eventually(lambda: sql.execute(rows).fetchone() == (attempt,))  # noqa: B023 - awaited at once
            waits = "SELECT next_at - (SELECT max(at) FROM webhook_attempts) FROM webhook_deliveries"
            pauses += [row[0] for row in sql.execute(waits).fetchall()]
            due_now(sql)
        await eventually(lambda: count(sql, "state = 'failed'") == 1)
    hours = [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    for pause, expected in zip(pauses[:9], hours, strict=True):
        assert timedelta(0) <= pause - timedelta(hours=expected) < timedelta(seconds=30)
    assert pauses[9] is None
    assert len({post.id for post in receiver.posts}) == 1
    assert (await hooks.webhook(webhook_id))["failing_since"] is not None
    receiver.answer = lambda _post: 200
    (delivery,) = await hooks.deliveries(webhook_id)
    await hooks.call("POST", f"/{webhook_id}/deliveries/{delivery['id']}/redeliver")
    async with delivering():
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
    assert (await hooks.webhook(webhook_id))["failing_since"] is None
    assert [post.id for post in receiver.posts] == [delivery["event_id"]] * 11


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
async def test_failures_are_recorded_and_no_redirect_is_followed(
    hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql, status: int
) -> None:
    webhook_id, _ = await hooks.add()
    receiver.answer = lambda _post: status
    async with delivering():
        await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: count(sql, "state = 'failed'") == 1)
    (delivery,) = await hooks.deliveries(webhook_id)
    (attempt,) = delivery["attempts"]
    assert (attempt["status"], attempt["response"], attempt["error"]) == (status, "thanks", None)
    assert len(receiver.posts) == 1


async def test_410_disables_the_webhook_and_its_admins_are_mailed(
    outside: Outside,
    company: UUID,
    hooks: Hooks,
    receiver: Receiver,
    delivering: Delivering,
    sql: Sql,
    postbox: Postbox,
    settings: Any,
) -> None:
    webhook_id, _ = await hooks.add()
    receiver.answer = lambda _post: 410
    await write_events(outside.platform, company, "bug.edited")
    async with delivering():
        await eventually(lambda: count(sql, "state = 'failed'") == 1)
    shown = await hooks.webhook(webhook_id)
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    audited = "SELECT resource_id::text, user_id FROM audit_logs WHERE action = 'webhook_disable'"
    assert sql.execute(audited).fetchall() == [(webhook_id, None)]
    async with working(settings, JOBS):
        mail = await postbox.next("boss@paper.example", subject="is disabled")
    assert "410 Gone" in parts_of(mail)[0]
    assert receiver.url() in parts_of(mail)[0]


async def test_a_run_of_a_workflow_rule_is_posted_and_no_internal_one_once_that_is_switched_off(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, secret = await hooks.add(include_internal=True)
    async with outside.platform.work() as work:
        for is_internal in (False, True):
            assert await queue_rule_run(
                work,
                company,
                webhook_id=UUID(webhook_id),
                is_internal=is_internal,
                data={"ticket_id": company},
            )
        assert not await queue_rule_run(
            work, new_id(), webhook_id=UUID(webhook_id), is_internal=False, data={}
        )
    await hooks.call("PATCH", f"/{webhook_id}", {"include_internal": False})
    async with delivering():
        await eventually(lambda: count(sql, "state = 'pending'") == 0)
    (post,) = receiver.posts
    assert is_valid(secret, post)
    delivery = next(one for one in await hooks.deliveries(webhook_id) if one["state"] == "delivered")
    assert (post.json["type"], post.id) == ("workflow.run", f"evt_run_{delivery['id']}")
    assert post.json["data"] == {"id": post.id, "seq": None, "ticket_id": str(company)}


async def test_410_of_a_former_url_does_not_disable_the_webhook(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, _ = await hooks.add("/old")
    receiver.held = True
    receiver.answer = lambda post: 410 if post.path == "/old" else 204
    await write_events(outside.platform, company, "bug.edited")
    async with delivering():
        await eventually(lambda: len(receiver.posts) == 1)
        await hooks.call("PATCH", f"/{webhook_id}", {"url": receiver.url("/new")})
        receiver.release()
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
    assert [post.path for post in receiver.posts] == ["/old", "/new"]
    shown = await hooks.webhook(webhook_id)
    assert (shown["enabled"], shown["failing_since"]) == (True, None)
    ((delivery),) = await hooks.deliveries(webhook_id)
    assert [attempt["status"] for attempt in delivery["attempts"]] == [410, 204]


async def test_internal_events_that_wait_are_not_sent_once_they_are_no_longer_wanted(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, _ = await hooks.add(include_internal=True)
    receiver.answer = lambda _post: 503
    await write_events(outside.platform, company, "bug.edited", visibility="internal")
    async with delivering():
        await eventually(lambda: count(sql, "attempts = 1 AND lease_id IS NULL") == 1)
        await hooks.call("PATCH", f"/{webhook_id}", {"include_internal": False})
        due_now(sql)
        await eventually(lambda: count(sql, "state = 'failed'") == 1)
    assert len(receiver.posts) == 1
    (delivery,) = await hooks.deliveries(webhook_id)
    assert delivery["attempts"][1]["error"] == "internal events are not sent to this webhook any more"


async def test_seven_days_without_a_success_disable_and_pending_deliveries_are_sent_when_enabled(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, _ = await hooks.add()
    receiver.answer = lambda _post: 503
    await write_events(outside.platform, company, "bug.edited")
    async with delivering():
        await eventually(lambda: count(sql, "attempts = 1 AND lease_id IS NULL") == 1)
        sql.execute("UPDATE webhooks SET failing_since = now() - interval '6 days 23 hours'")
        due_now(sql)
        await eventually(lambda: count(sql, "attempts = 2 AND lease_id IS NULL") == 1)
        assert (await hooks.webhook(webhook_id))["enabled"]
        sql.execute("UPDATE webhooks SET failing_since = now() - interval '7 days 1 minute'")
        due_now(sql)
        await eventually(lambda: count(sql, "attempts = 3 AND lease_id IS NULL") == 1)
        assert (await hooks.webhook(webhook_id))["disabled_reason"] == "failing"
        job = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'webhooks.mail_disabled'"
        assert sql.execute(job).fetchone() == (1,)
        receiver.answer = lambda _post: 200
        await hooks.call("PATCH", f"/{webhook_id}", {"enabled": True})
        due_now(sql)
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)


async def test_a_name_with_a_private_address_is_refused_at_each_attempt(
    outside: Outside, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    """The first attempt is let through; then the name leads to another address of this machine."""
    webhook_id, _ = await hooks.add()
    async with delivering():
        await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
        outside.zone.records[HOST, "A"] = ["127.0.0.1", "127.0.0.9"]
        await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: count(sql, "state = 'failed'") == 1)
    (delivery, _) = await hooks.deliveries(webhook_id)
    (attempt,) = delivery["attempts"]
    assert (attempt["status"], attempt["error"]) == (None, "the host has an address that is not public")
    assert len(receiver.posts) == 1


async def test_an_unverified_company_gets_no_deliveries_also_not_later(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, _ = await hooks.add()
    await hooks.call("POST", f"/{webhook_id}/test")
    sql.execute("UPDATE companies SET verified = false")
    await write_events(outside.platform, company, "bug.edited")
    caught_up = "SELECT count(*) FROM event_cursors c JOIN event_streams s USING (stream) WHERE consumer = 'webhooks' AND c.seq = s.last_seq"
    async with delivering():
        await eventually(lambda: sql.execute(caught_up).fetchone() == (1,))
        assert (count(sql), receiver.posts) == (1, [])
        sql.execute("UPDATE companies SET verified = true")
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
    assert [post.json["type"] for post in receiver.posts] == ["webhook.test"]


async def test_internal_events_and_other_types_are_sent_to_those_who_ask_for_them(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    await hooks.add("/all")
    await hooks.add("/internal", include_internal=True)
    await hooks.add("/status", events=["status.changed"], include_internal=True)
    await hooks.add("/off", enabled=False)
    for visibility in ("public", "tenant", "internal"):
        await write_events(outside.platform, company, "bug.edited", visibility=visibility)
    async with delivering():
        await eventually(lambda: count(sql, "state = 'delivered'") == 5)
    assert {path: len(receiver.ids(path)) for path in ("/all", "/internal", "/status", "/off")} == {
        "/all": 2, "/internal": 3, "/status": 0, "/off": 0,
    }  # fmt: skip


async def test_another_companys_events_are_not_sent(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    await hooks.add()
    sql.execute(
        "INSERT INTO companies (id, name, domain, verified) VALUES (gen_random_uuid(), 'Ink', 'ink.example', true)"
    )
    (ink,) = sql.execute("SELECT id FROM companies WHERE domain = 'ink.example'").fetchone() or ()
    await write_events(outside.platform, ink, "bug.edited")
    await write_events(outside.platform, company, "status.changed")
    async with delivering():
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
    assert [post.json["type"] for post in receiver.posts] == ["status.changed"]


async def test_events_from_before_the_webhook_come_by_a_replay_alone(
    outside: Outside,
    company: UUID,
    hooks: Hooks,
    receiver: Receiver,
    delivering: Delivering,
    sql: Sql,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "REPLAYED_AT_ONCE", 3)
    await write_events(outside.platform, company, *["bug.edited"] * 8)
    sql.execute("UPDATE companies SET verified_at = now() - interval '1 day'")
    webhook_id, _ = await hooks.add(events=["bug.edited", "status.changed"])
    await write_events(outside.platform, company, "status.changed")
    async with delivering():
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
        since = {"since": (datetime.now().astimezone() - timedelta(hours=1)).isoformat()}
        await hooks.call("POST", f"/{webhook_id}/replay", since)
        await hooks.call("POST", f"/{webhook_id}/replay", since)
        async with working(settings, JOBS):
            idle = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'webhooks.replay'"
            await eventually(lambda: sql.execute(idle).fetchone() == (0,))
        await eventually(lambda: count(sql, "state = 'pending'") == 0)
    assert count(sql) == 9
    assert set(receiver.ids()) == {
        f"evt_{company}_{seq}" for (seq,) in sql.execute("SELECT seq FROM events WHERE type <> 'bug.created'")
    }
    assert sql.execute("SELECT replay_next_seq FROM webhooks").fetchone() == (None,)


async def test_a_long_event_is_posted_without_what_changed(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    await hooks.add()
    await write_events(outside.platform, company, "bug.edited", data={"fields": ["x" * 255] * 300})
    async with delivering():
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
    (post,) = receiver.posts
    assert len(post.body) <= MAX_BYTES
    assert post.json["data"]["data"] is None


async def test_at_most_four_posts_are_under_way_to_a_webhook_over_two_workers_and_each_event_arrives_once(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    await hooks.add()
    receiver.held = True
    await write_events(outside.platform, company, *["bug.edited"] * 30)
    async with delivering(), delivering():
        await eventually(lambda: receiver.at_once.get("/", 0) == rules.AT_ONCE_PER_WEBHOOK)
        receiver.release()
        await eventually(lambda: count(sql, "state = 'delivered'") == 30)
    assert receiver.most_at_once["/"] == rules.AT_ONCE_PER_WEBHOOK
    assert len(receiver.posts) == len(set(receiver.ids())) == 30


async def test_receivers_that_hang_delay_no_other(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    """Twelve known to fail hang with one post each in half of the places; a thirteenth gets its events meanwhile."""
    for number in range(12):
        await hooks.add(f"/hangs/{number}")
    sql.execute("UPDATE webhooks SET failing_since = now()")
    await write_events(outside.platform, company, *["bug.edited"] * 3)
    receiver.held = True
    async with delivering():
        await eventually(lambda: sum(receiver.at_once.values()) == dispatcher.AT_ONCE_LIMITED)
        receiver.held = False  # those that came before still wait
        await hooks.add("/well")
        await write_events(outside.platform, company, *["status.changed"] * 5)
        await eventually(lambda: len(receiver.ids("/well")) == 5)
        waiting = sum(receiver.at_once.values())
        receiver.release()
    assert waiting >= dispatcher.AT_ONCE_LIMITED - 1
    assert max(most for path, most in receiver.most_at_once.items() if path != "/well") == 1


async def test_receivers_that_answer_well_but_slowly_have_one_post_at_a_time(
    outside: Outside,
    company: UUID,
    hooks: Hooks,
    receiver: Receiver,
    delivering: Delivering,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher, "SLOW_MS", 0)
    webhook_id, _ = await hooks.add("/slow")
    async with delivering():
        await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
        receiver.held = True
        await write_events(outside.platform, company, *["bug.edited"] * 10)
        await eventually(lambda: receiver.at_once["/slow"] > 0)
        await hooks.add("/well")
        await write_events(outside.platform, company, *["bug.edited"] * 5)
        await eventually(lambda: receiver.at_once.get("/well", 0) == rules.AT_ONCE_PER_WEBHOOK)
        assert receiver.at_once["/slow"] == 1
        receiver.release()
    assert (await hooks.webhook(webhook_id))["failing_since"] is None


async def test_one_companys_receivers_leave_slots_to_others(
    client: httpx.AsyncClient,
    outside: Outside,
    company: UUID,
    hooks: Hooks,
    receiver: Receiver,
    delivering: Delivering,
    sql: Sql,
    sign_up: SignUp,
) -> None:
    """Eight that have never failed would fill a worker with four posts each."""
    (ink,) = (
        sql.execute(
            "INSERT INTO companies (id, name, domain, verified)"
            " VALUES (gen_random_uuid(), 'Ink', 'ink.example', true) RETURNING id"
        ).fetchone()
        or ()
    )
    inker = await sign_up("inker", email="inker@ink.example")
    make_member(sql, inker, str(ink), role="admin")
    for number in range(8):
        await hooks.add(f"/hangs/{number}")
    await Hooks(client, ink, inker, receiver).add("/well")
    receiver.held = True
    await write_events(outside.platform, company, *["bug.edited"] * 5)
    async with delivering():
        await eventually(lambda: sum(receiver.at_once.values()) == 15)
        receiver.held = False  # those that came before still wait
        await write_events(outside.platform, ink, *["bug.edited"] * 5)
        await eventually(lambda: len(receiver.ids("/well")) == 5)
        assert sum(receiver.at_once.values()) == 15
        receiver.release()


async def test_an_outcome_that_comes_after_the_lease_has_run_out_changes_nothing(
    hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, _ = await hooks.add()
    receiver.held = True
    async with delivering():
        await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: len(receiver.posts) == 1)
        due_now(sql)
        await eventually(lambda: len(receiver.posts) == 2)
        receiver.release()
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
    attempts = sql.execute("SELECT count(*) FROM webhook_attempts").fetchone()
    assert attempts == (1,)
    assert receiver.posts[0].id == receiver.posts[1].id


async def test_a_webhook_can_be_removed_while_a_post_is_under_way(
    hooks: Hooks, receiver: Receiver, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, _ = await hooks.add()
    receiver.held = True
    async with delivering():
        await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: len(receiver.posts) == 1)
        await hooks.call("DELETE", f"/{webhook_id}")
        receiver.release()
    assert count(sql) == 0


async def test_a_webhook_is_removed_at_once_and_its_deliveries_in_batches(
    outside: Outside, company: UUID, hooks: Hooks, sql: Sql, settings: Any, run_jobs: RunJobs
) -> None:
    webhook_id, _ = await hooks.add()
    kept, _ = await hooks.add()
    sql.execute(
        "INSERT INTO webhook_deliveries (id, webhook_id, stream, seq, type, state)"
        " SELECT gen_random_uuid(), hook, %s, n, 'bug.edited', 'delivered'"
        " FROM generate_series(1, 2500) n, unnest(%s::uuid[]) hook",
        (company, [webhook_id, kept]),
    )
    await hooks.call("DELETE", f"/{webhook_id}")
    assert count(sql) == 4000
    assert len((await hooks.call("GET"))["webhooks"]) == 1
    for _ in range(2):
        await run_jobs()
    assert count(sql) == count(sql, f"webhook_id = '{kept}'") == 2500


async def test_old_deliveries_are_deleted_with_their_attempts(
    outside: Outside, hooks: Hooks, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, _ = await hooks.add()
    for days in (31, 29):
        async with delivering():
            await hooks.call("POST", f"/{webhook_id}/test")
            await eventually(lambda: count(sql, "state = 'pending'") == 0)
        sql.execute(
            "UPDATE webhook_deliveries SET created_at = now() - make_interval(days => %s) WHERE created_at > now() - interval '1 hour'",
            (days,),
        )
    await tasks.delete_old_deliveries(outside.platform)
    assert count(sql) == 1
    assert sql.execute("SELECT count(*) FROM webhook_attempts").fetchone() == (1,)


async def test_a_delivery_that_is_redelivered_on_its_last_day_is_kept_until_it_was_tried(
    outside: Outside, hooks: Hooks, delivering: Delivering, sql: Sql
) -> None:
    webhook_id, _ = await hooks.add()
    async with delivering():
        await hooks.call("POST", f"/{webhook_id}/test")
        await eventually(lambda: count(sql, "state = 'delivered'") == 1)
    sql.execute("UPDATE webhook_deliveries SET created_at = now() - interval '29 days 23 hours'")
    (delivery,) = await hooks.deliveries(webhook_id)
    await hooks.call("POST", f"/{webhook_id}/deliveries/{delivery['id']}/redeliver")
    for days, kept in ((30, 1), (33, 1), (35, 0)):
        sql.execute(
            "UPDATE webhook_deliveries SET created_at = now() - make_interval(days => %s, hours => 1)",
            (days,),
        )
        await tasks.delete_old_deliveries(outside.platform)
        assert count(sql) == kept, days


async def test_what_people_do_on_the_board_reaches_the_companys_receiver(
    client: httpx.AsyncClient,
    ada: Person,
    boss: Person,
    hooks: Hooks,
    receiver: Receiver,
    delivering: Delivering,
    sql: Sql,
) -> None:
    """Through the API alone: a report, a comment, a response, a status; not the report of another application."""
    await hooks.add()
    await report(client, application_name="Elsewhere")
    bug = await report(client, application_name="Paper", application_url="https://app.paper.example")
    path = f"/api/v1/bugs/{bug['id']}"
    for person, method, route, body in (
        (ada, "POST", "comments", {"content": "Here as well"}),
        (boss, "POST", "company-response", {"content": "We are looking into it"}),
        (boss, "PATCH", "status", {"status": "fixed"}),
    ):
        response = await client.request(method, f"{path}/{route}", json=body, headers=person.headers)
        assert response.is_success, response.text
    async with delivering():
        await eventually(lambda: count(sql, "state = 'delivered'") == 4)
    posts = sorted((post.json for post in receiver.posts), key=lambda body: body["data"]["seq"])
    assert [body["type"] for body in posts] == [
        "bug.created",
        "comment.created",
        "response.created",
        "status.changed",
    ]
    assert {body["data"]["bug_id"] for body in posts} == {bug["id"]}
    texts = b" ".join(post.body for post in receiver.posts)
    assert all(word not in texts for word in (b"Here as well", b"looking into", b"boss"))
