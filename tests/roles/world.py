"""A small board on which every role has something of its own, and that can be put back as it was."""

from __future__ import annotations

import io
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import psycopg
from PIL import Image
from psycopg import sql as statements

from bugrelay.domain.bugs.service.receipts import receipt_secret
from bugrelay.domain.companies.service.claims import claim_token
from bugrelay.domain.companies.service.invitations import invitation_token
from bugrelay.domain.notifications.service.unsubscribe_links import UnsubscribeLink, unsubscribe_token
from bugrelay.infra.ids import new_id
from bugrelay.infra.security.identity_providers.openid_connect import s256
from bugrelay.infra.security.signed_links import link_token
from bugrelay.infra.security.tokens import hash_secret, new_secret
from tests.conftest import TEST_ENVIRONMENT
from tests.factories import Person, make_admin, make_member, register, report

COMPANY_DOMAIN = "paper.example"
Sql = psycopg.Connection[Any]


@dataclass
class World:
    """`people` by role, without the anonymous; `ids` of things by name; `links` are tokens of mails by purpose."""

    client: httpx.AsyncClient
    sql: Sql
    uploads: Path
    people: dict[str, Person] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    _kept: dict[str, bytes] = field(default_factory=dict)
    _kept_rows: dict[str, list[str]] = field(default_factory=dict)
    _kept_files: dict[Path, bytes] = field(default_factory=dict)

    def headers(self, role: str) -> dict[str, str]:
        return self.people[role].headers if role in self.people else {}

    def keep(self) -> None:
        """Remember every table and every uploaded file as they are now."""
        self._kept = {table: _copied(self.sql, table) for table in tables(self.sql)}
        self._kept_rows = all_rows(self.sql)
        self._kept_files = {path: path.read_bytes() for path in self.uploads.rglob("*.png")}

    def put_back(self) -> None:
        """All as it was when it was kept; as a replica, the session fires no triggers."""
        for path, content in self._kept_files.items():
            path.write_bytes(content)
        rows = all_rows(self.sql)
        changed = [table for table in self._kept if rows[table] != self._kept_rows[table]]
        with self.sql.transaction():
            self.sql.execute("SET LOCAL session_replication_role = replica")
            for table in changed:
                name = statements.Identifier(table)
                self.sql.execute(statements.SQL("DELETE FROM {}").format(name))
                with self.sql.cursor().copy(statements.SQL("COPY {} FROM STDIN").format(name)) as copy:
                    copy.write(self._kept[table])


def tables(sql: Sql) -> list[str]:
    rows = sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    return [name for (name,) in rows if name != "alembic_version"]


def _copied(sql: Sql, table: str) -> bytes:
    copying = statements.SQL("COPY {} TO STDOUT").format(statements.Identifier(table))
    with sql.cursor().copy(copying) as copy:
        return b"".join(bytes(chunk) for chunk in copy)


def all_rows(sql: Sql) -> dict[str, list[str]]:
    """Every row of every table as text, sorted: equal before and after means that nothing was changed.

    One statement, planned once a connection: it is run some thousands of times.
    """
    found: dict[str, list[str]] = {table: [] for table in tables(sql)}
    one = statements.SQL("SELECT {} AS name, t::text AS row FROM {} AS t")
    each = [one.format(statements.Literal(table), statements.Identifier(table)) for table in found]
    every = statements.SQL(" UNION ALL ").join(each) + statements.SQL(" ORDER BY name, row")
    for table, row in sql.execute(every, prepare=True):
        found[table].append(row)
    return found


async def build(client: httpx.AsyncClient, sql: Sql, *, uploads: Path) -> World:
    """People, a bug of the reporter's on an application of the company's, and what hangs on it."""
    world = World(client, sql, uploads)
    await _people(world)
    await _company_and_bug(world)
    await _what_hangs_on_the_bug(world)
    await _moderated_things(world)
    _mailed_links(world)
    _claims(world)
    _invitations(world)
    _identities(world)
    await _webhook(world)
    await _github(world)
    await _tickets(world)
    await _workflow_rule(world)
    await _links(world)
    await _issues(world)
    await _ticket_files(world)
    await _support_reports(world)
    _receipt(world)
    for role, person in world.people.items():
        row = sql.execute("SELECT id FROM sessions WHERE user_id = %s", (person.id,)).fetchone()
        assert row is not None
        world.ids[f"session of {role}"] = str(row[0])
    world.keep()
    return world


async def _people(world: World) -> None:
    names = {
        "user": "una@people.example",
        "reporter": "rita@people.example",
        "company reporter": "cass@people.example",
        "member": f"mae@{COMPANY_DOMAIN}",
        "company admin": f"cora@{COMPANY_DOMAIN}",
        "other company's admin": "otto@ink.example",
        "banned user": "ben@people.example",
        "admin": "ada@people.example",
        "bystander": "bob@people.example",
        "colleague": f"cleo@{COMPANY_DOMAIN}",
    }
    for role, email in names.items():
        world.people[role] = await register(world.client, email.partition("@")[0], email=email)
    make_admin(world.sql, world.people["admin"])


async def _company_and_bug(world: World) -> None:
    bug = await report(
        world.client,
        world.people["reporter"],
        application_name="Paper",
        application_url=f"https://app.{COMPANY_DOMAIN}",
    )
    other = await report(world.client, application_name="Ink", application_url="https://ink.example")
    unclaimed = await report(world.client, application_name="Chalk", application_url="https://chalk.example")
    world.ids |= {
        "bug": bug["id"],
        "application": bug["application_id"],
        "company": bug["assigned_company_id"],
        "other bug": other["id"],
        "other company": other["assigned_company_id"],
        "unclaimed company": unclaimed["assigned_company_id"],
    }
    make_member(world.sql, world.people["company reporter"], world.ids["company"], role="reporter")
    make_member(world.sql, world.people["member"], world.ids["company"])
    make_member(world.sql, world.people["company admin"], world.ids["company"], role="admin")
    make_member(world.sql, world.people["other company's admin"], world.ids["other company"], role="admin")


async def _what_hangs_on_the_bug(world: World) -> None:
    reporter = world.people["reporter"]
    path = f"/api/v1/bugs/{world.ids['bug']}"
    comment = await world.client.post(
        f"{path}/comments", json={"content": "It happens daily"}, headers=reporter.headers
    )
    picture = await world.client.post(
        f"{path}/attachments", files={"file": ("shot.png", a_picture())}, headers=reporter.headers
    )
    world.ids["comment"] = comment.json()["comment"]["id"]
    world.ids["attachment"] = picture.json()["attachment"]["id"]
    world.ids["file"] = picture.json()["attachment"]["file_url"].rpartition("/")[2]


async def _moderated_things(world: World) -> None:
    """A removed bug, a merged one, a removed comment and a banned user, by the admin."""
    client, headers, reporter = world.client, world.headers("admin"), world.people["reporter"]
    for name in ("removed bug", "merged bug"):
        world.ids[name] = (await report(client, reporter, application_name="Paper"))["id"]
    picture = await client.post(
        f"/api/v1/bugs/{world.ids['removed bug']}/attachments",
        files={"file": ("shot.png", a_picture())},
        headers=reporter.headers,
    )
    world.ids["removed file"] = picture.json()["attachment"]["file_url"].rpartition("/")[2]
    comment = await client.post(
        f"/api/v1/bugs/{world.ids['bug']}/comments", json={"content": "Buy my book"}, headers=reporter.headers
    )
    world.ids["removed comment"] = comment.json()["comment"]["id"]
    merge = {"source_bug_id": world.ids["merged bug"], "target_bug_id": world.ids["other bug"]}
    for method, path, body in (
        ("DELETE", f"bugs/{world.ids['removed bug']}", {}),
        ("POST", "bugs/merge", merge),
        ("DELETE", f"comments/{world.ids['removed comment']}", {}),
        ("POST", f"users/{world.people['banned user'].id}/ban", {}),
    ):
        act = {"reason": "It must be", **body}
        response = await client.request(method, f"/api/v1/admin/{path}", json=act, headers=headers)
        assert response.status_code == 200, response.text


async def _webhook(world: World) -> None:
    """A webhook of the company, with a delivery that waits."""
    path, headers = f"/api/v1/companies/{world.ids['company']}/webhooks", world.headers("company admin")
    body = {"url": f"https://hooks.{COMPANY_DOMAIN}", "events": ["*"]}
    added = await world.client.post(path, json=body, headers=headers)
    world.ids["webhook"] = added.json()["webhook"]["id"]
    world.links["webhook secret"] = added.json()["secret"]
    queued = await world.client.post(f"{path}/{world.ids['webhook']}/test", headers=headers)
    world.ids["delivery"] = queued.json()["delivery"]["id"]


async def _github(world: World) -> None:
    """The company's connection to GitHub."""
    path, headers = f"/api/v1/companies/{world.ids['company']}/github", world.headers("company admin")
    body = {"repo": "paper/reports", "token": "ghp_a-token-of-the-company"}
    connected = await world.client.put(path, json=body, headers=headers)
    world.ids["connection"] = connected.json()["github"]["id"]
    world.links["GitHub's secret"] = connected.json()["webhook_secret"]
    world.links["GitHub's token"] = body["token"]


async def _tickets(world: World) -> None:
    """Of the company's reporter and of a member, in the project that is made for them; an empty project, and an archived one."""
    roles = {
        "ticket": "company reporter",
        "removed ticket": "company reporter",
        "colleague's ticket": "member",
    }
    for name, role in roles.items():
        body = {"title": f"A ticket of the {role}", "description": "It is out of paper again"}
        made = await world.client.post("/api/v1/tickets", json=body, headers=world.headers(role))
        world.ids[name] = made.json()["ticket"]["id"]
        world.ids["project"] = made.json()["ticket"]["projectId"]
    path = f"/api/v1/tickets/{world.ids['removed ticket']}"
    await world.client.delete(path, headers=world.headers("company admin"))
    for name, role in (("ticket's comment", "company reporter"), ("internal comment", "member")):
        body = {"content": f"A comment of the {role}", "isInternal": role == "member"}
        path = f"/api/v1/tickets/{world.ids['ticket']}/comments"
        written = await world.client.post(path, json=body, headers=world.headers(role))
        world.ids[name] = written.json()["comment"]["id"]
    body = {"key": "NONE", "name": "Nothing yet"}
    project = await world.client.post("/api/v1/projects", json=body, headers=world.headers("member"))
    world.ids["empty project"] = project.json()["project"]["id"]
    body = {"key": "OLD", "name": "What was"}
    project = await world.client.post("/api/v1/projects", json=body, headers=world.headers("member"))
    path = f"/api/v1/projects/{project.json()['project']['id']}"
    archived = await world.client.delete(path, headers=world.headers("company admin"))
    world.ids["archived project"] = archived.json()["project"]["id"]
    path = f"/api/v1/tickets/{world.ids['ticket']}"
    body = {"description": "It is out of paper again. " * 20}
    await world.client.put(path, json=body, headers=world.headers("company reporter"))
    history = await world.client.get(f"{path}/history", headers=world.headers("member"))
    world.ids["history entry"] = history.json()["history"][-1]["id"]


async def _workflow_rule(world: World) -> None:
    """Of the company's admin; and a ticket of the other company, to try rules on."""
    body = {
        "name": "Say thank you",
        "trigger": "ticket.created",
        "actions": [{"type": "comment", "text": "Thank you", "isInternal": True}],
    }
    headers = world.headers("company admin")
    made = await world.client.post("/api/v1/workflows", json=body, headers=headers)
    world.ids["workflow rule"] = made.json()["workflow"]["id"]
    headers = world.headers("other company's admin")
    project = await world.client.post(
        "/api/v1/projects", json={"key": "OURS", "name": "Ours"}, headers=headers
    )
    theirs = {"title": "Ours", "projectId": project.json()["project"]["id"]}
    ticket = await world.client.post("/api/v1/tickets", json=theirs, headers=headers)
    world.ids["other company's ticket"] = ticket.json()["ticket"]["id"]
    world.sql.execute(
        "INSERT INTO workflow_runs (id, company_id, rule_id, ticket_id, seq, state, results, happened_at)"
        " VALUES (gen_random_uuid(), %s, %s, %s, 1, 'done', '[]', now())",
        (world.ids["company"], world.ids["workflow rule"], world.ids["ticket"]),
    )


async def _links(world: World) -> None:
    """A ticket that is tied to the bug, and another one that was looked at before it is published."""
    ticket_id = world.ids["colleague's ticket"]
    path = f"/api/v1/tickets/{ticket_id}/links"
    headers = world.headers("member")
    linked = await world.client.post(path, json={"bugId": world.ids["bug"]}, headers=headers)
    assert linked.status_code == 201, linked.text
    for role in ("member", "company admin"):
        path = f"/api/v1/tickets/{world.ids['ticket']}/publication/preview"
        shown = await world.client.post(path, headers=world.headers(role))
        world.links[f"preview of {role}"] = shown.json()["token"]


async def _issues(world: World) -> None:
    """Of the company's reporter and of a member."""
    for name, role in (("issue", "company reporter"), ("colleague's issue", "member")):
        body = {"title": f"An issue of the {role}"}
        made = await world.client.post("/api/v1/issues", json=body, headers=world.headers(role))
        world.ids[name] = made.json()["issue"]["id"]


async def _ticket_files(world: World) -> None:
    """Of the company's reporter: one that is there, and one that nobody has put yet."""
    headers = world.headers("company reporter")
    sent = await world.client.post(
        f"/api/v1/files/upload/{world.ids['issue']}",
        files={"file": ("shot.png", a_picture(), "image/png")},
        headers=headers,
    )
    world.ids["ticket's file"] = sent.json()["file"]["id"]
    world.links["ticket's file"] = urlsplit(sent.json()["file"]["download_url"]).query
    announced = await world.client.post(
        "/api/v1/attachments/presign", json=an_upload(world, "ticket"), headers=headers
    )
    world.ids["unfinished file"] = announced.json()["attachment"]["id"]
    world.links["unfinished file"] = urlsplit(announced.json()["uploadUrl"]).query


async def _support_reports(world: World) -> None:
    """Of the company's reporter and of a member, with a screenshot each."""
    picture = b64encode(a_picture()).decode()
    for name, role in (("colleague's report", "member"), ("report", "company reporter")):
        body = {"title": f"A report of the {role}", "description": "No", "screenshot_data": picture}
        sent = await world.client.post("/api/support/report", json=body, headers=world.headers(role))
        number = world.ids[f"ticket_number of the {name}"] = sent.json()["ticket_number"]
        shown = await world.client.get(f"/api/support/report/{number}", headers=world.headers(role))
        url = urlsplit(shown.json()["report"]["screenshot_url"])
        world.ids["screenshot"], world.links["screenshot"] = url.path.rpartition("/")[2], url.query


def an_upload(world: World, ticket: str) -> dict[str, Any]:
    """A file of one byte, announced."""
    return {"ticketId": world.ids[ticket], "filename": "byte.bin", "size": 1}


def _claims(world: World) -> None:
    """Everybody has an open claim on the company that nobody has verified."""
    for role, person in world.people.items():
        claim_id = new_id()
        token = claim_token(TEST_ENVIRONMENT["SECRET_KEY"], claim_id)
        world.sql.execute(
            "INSERT INTO company_claims (id, company_id, user_id, method, email, token_hash, expires_at)"
            " VALUES (%s, %s, %s, 'mail', 'somebody@chalk.example', %s, now() + interval '1 hour')",
            (claim_id, world.ids["unclaimed company"], person.id, hash_secret(token)),
        )
        world.links[f"claim of {role}"] = token


def _invitations(world: World) -> None:
    """Everybody's address is invited by the company; the bystander's is verified."""
    for role, person in world.people.items():
        invitation_id = new_id()
        token = invitation_token(TEST_ENVIRONMENT["SECRET_KEY"], invitation_id)
        world.sql.execute(
            "INSERT INTO company_invitations"
            " (id, company_id, email, email_key, role, inviter_id, token_hash, expires_at)"
            " VALUES (%s, %s, %s, %s, 'reporter', %s, %s, now() + interval '1 hour')",
            (
                invitation_id,
                world.ids["company"],
                person.email,
                person.email,
                world.people["company admin"].id,
                hash_secret(token),
            ),
        )
        world.links[f"invitation of {role}"] = token
        world.ids["invitation"] = str(invitation_id)
    world.sql.execute(
        "UPDATE users SET is_email_verified = true WHERE id = %s", (world.people["bystander"].id,)
    )


def _identities(world: World) -> None:
    """Everybody has linked an identity of a provider; the bystander has a code to exchange, and came back from one."""
    world.ids["provider"] = "github"
    for role, person in world.people.items():
        world.sql.execute(
            "INSERT INTO user_identities (id, user_id, provider, issuer, subject)"
            " VALUES (gen_random_uuid(), %s, 'github', 'https://github.com', %s)",
            (person.id, role),
        )
    world.links |= {name: new_secret() for name in ("oauth code", "oauth verifier", "oauth state", "browser")}
    world.sql.execute(
        "INSERT INTO oauth_codes (id, code_hash, code_challenge, identity_id, provider, expires_at)"
        " SELECT gen_random_uuid(), %s, %s, id, 'github', now() + interval '1 hour'"
        " FROM user_identities WHERE subject = 'bystander'",
        (hash_secret(world.links["oauth code"]), s256(world.links["oauth verifier"])),
    )
    world.sql.execute(
        "INSERT INTO oauth_requests (id, state_hash, browser_hash, provider, return_to, code_challenge, expires_at)"
        " VALUES (gen_random_uuid(), %s, %s, 'github', 'http://127.0.0.1:8000/', '', now() + interval '1 hour')",
        (hash_secret(world.links["oauth state"]), hash_secret(world.links["browser"])),
    )


def _mailed_links(world: World) -> None:
    reporter = world.people["reporter"]
    for purpose in ("verify_email", "reset_password"):
        link_id = new_id()
        token = link_token(TEST_ENVIRONMENT["SECRET_KEY"], purpose=purpose, link_id=link_id)
        world.sql.execute(
            "INSERT INTO one_time_links (id, user_id, purpose, email, token_hash, expires_at)"
            " VALUES (%s, %s, %s, %s, %s, now() + interval '1 hour')",
            (link_id, reporter.id, purpose, reporter.email, hash_secret(token)),
        )
        world.links[purpose] = token
    link = UnsubscribeLink(user_id=UUID(reporter.id), bug_id=UUID(world.ids["bug"]))
    world.links["unsubscribe"] = unsubscribe_token(TEST_ENVIRONMENT["SECRET_KEY"], link)


def _receipt(world: World) -> None:
    """The bug at ink.example was reported anonymously, with an address that is to be confirmed."""
    key, bug_id, contact_id = TEST_ENVIRONMENT["SECRET_KEY"], UUID(world.ids["other bug"]), new_id()
    world.links["receipt"] = receipt_secret(key, bug_id)
    world.links["confirm_contact"] = link_token(key, purpose="confirm_contact", link_id=contact_id)
    world.sql.execute(
        "INSERT INTO report_contacts (id, bug_id, email, level, token_hash, expires_at)"
        " VALUES (%s, %s, 'owner@people.example', 'all', %s, now() + interval '1 hour')",
        (contact_id, bug_id, hash_secret(world.links["confirm_contact"])),
    )


def a_picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), "teal").save(file, "PNG")
    return file.getvalue()
