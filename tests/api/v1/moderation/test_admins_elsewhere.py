"""Admins on the routes of everybody: from where they are admins there, and that their acts leave a trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from tests.api.v1.moderation.acts import Moderator, Sql, attach, picture
from tests.conftest import StartApp
from tests.factories import Person, make_admin, make_member, register
from tests.factories import report as report_bug
from tests.responses import refused

INSIDE, OUTSIDE = "10.1.2.3", "203.0.113.7"


@dataclass
class Board:
    """A bug of ada's on an application of a company, with a picture; and who else is there."""

    client: httpx.AsyncClient
    root: Person
    ada: Person
    bug: dict[str, Any]
    attachment_id: str

    @property
    def path(self) -> str:
        return f"/api/v1/bugs/{self.bug['id']}"

    async def send(
        self, method: str, path: str, address: str, *, person: Person | None = None, **body: Any
    ) -> httpx.Response:
        """By the admin, or by another person, calling from an address."""
        headers = {**(person or self.root).headers, "X-Forwarded-For": address}
        return await self.client.request(method, path, headers=headers, **body)


@pytest.fixture
async def board(start_app: StartApp, sql: Sql) -> AsyncIterator[Board]:
    """On this board admins are admins in 10.0.0.0/8 alone."""
    changes = {
        "admin_allowed_networks": (ip_network("10.0.0.0/8"),),
        "trusted_proxies": (ip_network("127.0.0.0/8"),),
    }
    async with start_app(**changes) as client:
        root, ada = await register(client, "root"), await register(client, "ada")
        make_admin(sql, root)
        bug = await report_bug(
            client, ada, application_url="https://paper.example", contact_email="ada.private@people.example"
        )
        attachment = await attach(client, ada, bug["id"])
        yield Board(client, root, ada, bug, attachment["id"])


def acts(board: Board) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Every act on the board that an admin may do because they are one, in an order in which all succeed."""
    company, application = board.bug["assigned_company_id"], board.bug["application_id"]
    return {
        "status": ("PATCH", f"{board.path}/status", {"json": {"status": "reviewing"}}),
        "response": ("POST", f"{board.path}/company-response", {"json": {"content": "We look into it"}}),
        "add a picture": ("POST", f"{board.path}/attachments", {"files": {"file": ("shot.png", picture())}}),
        "remove a picture": ("DELETE", f"{board.path}/attachments/{board.attachment_id}", {}),
        "link": ("POST", f"/api/v1/companies/{company}/applications/{application}", {}),
    }


async def test_from_outside_the_networks_an_admin_acts_as_any_user(board: Board, sql: Sql) -> None:
    for method, path, body in acts(board).values():
        refused(await board.send(method, path, OUTSIDE, **body), 403, "INSUFFICIENT_PERMISSIONS")
    assert sql.execute("SELECT count(*) FROM audit_logs").fetchone() == (0,)
    for name, (method, path, body) in acts(board).items():
        assert (await board.send(method, path, INSIDE, **body)).is_success, name


async def test_from_outside_the_networks_an_admin_sees_what_any_user_sees(board: Board) -> None:
    for address, sees in ((INSIDE, True), (OUTSIDE, False)):
        bug = (await board.send("GET", board.path, address)).json()["bug"]
        assert ("contact_email" in bug) is sees
        assert bug["reporter"]["email"] == (board.ada.email if sees else None)
    removed = await board.send(
        "DELETE", f"/api/v1/admin/bugs/{board.bug['id']}", INSIDE, json={"reason": "Spam"}
    )
    assert removed.status_code == 200
    for path in (board.path, f"{board.path}/comments", f"{board.path}/history"):
        assert (await board.send("GET", path, INSIDE)).status_code == 200
        refused(await board.send("GET", path, OUTSIDE), 404, "BUG_NOT_FOUND")


async def test_an_admins_response_is_changed_from_inside_alone(board: Board) -> None:
    written = await board.send(
        "POST", f"{board.path}/company-response", INSIDE, json={"content": "We look into it"}
    )
    path = f"/api/v1/comments/{written.json()['comment']['id']}"
    change = {"json": {"content": "We looked into it"}}
    refused(await board.send("PATCH", path, OUTSIDE, **change), 403, "INSUFFICIENT_PERMISSIONS")
    refused(await board.send("DELETE", path, OUTSIDE), 403, "INSUFFICIENT_PERMISSIONS")
    assert (await board.send("PATCH", path, INSIDE, **change)).status_code == 200


async def test_what_every_user_may_do_an_admin_may_from_anywhere(board: Board, sql: Sql) -> None:
    for method, path, body in (
        ("POST", f"{board.path}/vote", {}),
        ("POST", f"{board.path}/comments", {"json": {"content": "Same here"}}),
        ("POST", f"{board.path}/flag", {"json": {"reason": "spam"}}),
        ("GET", "/api/v1/auth/profile", {}),
    ):
        assert (await board.send(method, path, OUTSIDE, **body)).is_success, path
    make_member(sql, board.root, board.bug["assigned_company_id"])
    status = acts(board)["status"]
    assert (await board.send(status[0], status[1], OUTSIDE, **status[2])).status_code == 200


async def test_each_act_of_an_admin_on_the_board_leaves_one_row(board: Board) -> None:
    moderator = Moderator(board.client, board.root)
    board.client.headers["X-Forwarded-For"] = INSIDE
    bug = board.bug["id"]
    answers = {}
    for name, (method, path, body) in acts(board).items():
        if name != "link":  # the application is linked to that company already
            answers[name] = (await board.send(method, path, INSIDE, **body)).json()
    comment = answers["response"]["comment"]["id"]
    attachment = answers["add a picture"]["attachment"]["id"]
    rows = [
        (log["action"], log["resource"], log["resource_id"], log["before"], log["after"])
        for log in reversed(await moderator.logs())
    ]
    assert rows == [
        ("bug_status_change", "bug", bug, {"status": "open"}, {"status": "reviewing"}),
        ("bug_respond", "bug", bug, {"comment_id": None}, {"comment_id": comment}),
        ("attachment_add", "attachment", attachment, {"bug_id": None}, {"bug_id": bug}),
        ("attachment_remove", "attachment", board.attachment_id, {"bug_id": bug}, {"bug_id": None}),
    ]
    (newest, *_) = await moderator.logs(action="attachment_remove", resource="attachment")
    assert newest["user"]["id"] == board.root.id
    assert newest["ip_address"] == INSIDE


async def test_what_an_admin_does_by_another_right_is_no_act_of_moderation(board: Board, sql: Sql) -> None:
    """As the reporter, as who added the picture, as a member of the company; and a status that stays."""
    status, response = acts(board)["status"], acts(board)["response"]
    stays = {"json": {"status": "open"}}
    assert (await board.send("PATCH", status[1], INSIDE, **stays)).status_code == 200
    mine = await report_bug(board.client, board.root)
    attachment = await attach(board.client, board.root, mine["id"])
    gone = await board.send("DELETE", f"/api/v1/bugs/{mine['id']}/attachments/{attachment['id']}", INSIDE)
    assert gone.status_code == 200
    make_member(sql, board.root, board.bug["assigned_company_id"])
    for method, path, body in (status, response):
        assert (await board.send(method, path, INSIDE, **body)).is_success
    assert sql.execute("SELECT count(*) FROM audit_logs").fetchone() == (0,)


async def test_an_act_that_is_refused_or_cannot_be_written_down_is_not_done(board: Board, sql: Sql) -> None:
    sql.execute("ALTER TABLE audit_logs ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    try:
        before = sql.execute("SELECT id, status, comment_count FROM bugs").fetchall()
        for name, (method, path, body) in acts(board).items():
            if name != "link":
                assert (await board.send(method, path, INSIDE, **body)).status_code == 500, name
        assert sql.execute("SELECT id, status, comment_count FROM bugs").fetchall() == before
        assert sql.execute("SELECT count(*) FROM comments").fetchone() == (0,)
        assert sql.execute("SELECT id::text FROM attachments").fetchall() == [(board.attachment_id,)]
    finally:
        sql.execute("ALTER TABLE audit_logs DROP CONSTRAINT full_disk")
