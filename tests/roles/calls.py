"""For each route a call that fits, so that only the caller's rights decide how it is answered."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx

from tests.factories import PASSWORD, a_report
from tests.roles.table import Row
from tests.roles.world import World, a_picture, an_upload

NEW_PASSWORD = "a second long passphrase"
NOBODYS_ID = "00000000-0000-7000-8000-000000000000"


def path_values(world: World, thing: str, role: str) -> dict[str, str]:
    """What stands in the path, by the words in the column "on" of the table."""
    bug, company = {"bug_id": world.ids["bug"]}, {"company_id": world.ids["company"]}
    file = {
        "attachment_id": world.ids["ticket's file"],
        "file_id": world.ids["ticket's file"],
        "screenshot_id": world.ids["screenshot"],
    }
    things = {
        "": {"name": "swagger-ui.css"},
        "a colleague": {},
        "a verified address": {},
        "the bug": bug,
        "the comment": {"comment_id": world.ids["comment"]},
        "the picture": bug | {"attachment_id": world.ids["attachment"], "name": world.ids["file"]},
        "own session": {"session_id": world.ids.get(f"session of {role}", world.ids["session of bystander"])},
        "another's session": {"session_id": world.ids["session of bystander"]},
        "a removed bug": {"bug_id": world.ids["removed bug"]},
        "a merged bug": {"bug_id": world.ids["merged bug"]},
        "a removed bug's picture": {"name": world.ids["removed file"]},
        "a removed comment": {"comment_id": world.ids["removed comment"]},
        "the reporter": {"user_id": world.people["reporter"].id},
        "the banned user": {"user_id": world.people["banned user"].id},
        "a provider": {"provider": world.ids["provider"]},
        "no provider": {"provider": "nobody"},
        "an admin": {"user_id": world.people["admin"].id},
        "the company": company,
        "the company's application": company | {"application_id": world.ids["application"]},
        "the application": {"application_id": world.ids["application"]},
        "the member": company | {"user_id": world.people["member"].id},
        "the invitation": {"invitation_id": world.ids["invitation"]},
        "oneself": {"user_id": world.people.get(role, world.people["bystander"]).id},
        "an unclaimed company": {"company_id": world.ids["unclaimed company"]},
        "a mail's link": {"token": world.links["unsubscribe"]},
        "the webhook": company | {"webhook_id": world.ids["webhook"], "delivery_id": world.ids["delivery"]},
        "the connection": {"connection_id": world.ids["connection"]},
        "no connection": {"connection_id": NOBODYS_ID},
        "no webhook": company | {"webhook_id": NOBODYS_ID},
        "a receipt": {"secret": world.links["receipt"]},
        "no receipt": {"secret": "none"},
        "the project": {"project": world.ids["project"]},
        "an empty project": {"project": world.ids["empty project"]},
        "an archived project": {"project": world.ids["archived project"]},
        "the ticket": {"ticket": world.ids["ticket"]},
        "a long text of the ticket": {"ticket": world.ids["ticket"], "entry": world.ids["history entry"]},
        "the issue": {"issue_id": world.ids["issue"]},
        "the colleague's issue": {"issue_id": world.ids["colleague's issue"]},
        "a removed ticket": {"ticket": world.ids["removed ticket"]},
        "the ticket's comment": {
            "ticket": world.ids["ticket"],
            "comment_id": world.ids["ticket's comment"],
        },
        "an internal comment": {"ticket": world.ids["ticket"], "comment_id": world.ids["internal comment"]},
        "the colleague's ticket": {"ticket": world.ids["colleague's ticket"]},
        "the report": {"ticket_number": world.ids["ticket_number of the report"]},
        "the colleague's report": {"ticket_number": world.ids["ticket_number of the colleague's report"]},
        "a link to the report's screenshot": {"screenshot_id": world.ids["screenshot"]},
        "the ticket's file": file,
        "an unfinished file": {"attachment_id": world.ids["unfinished file"]},
        "a link to the ticket's file": file,
        "a link for an unfinished file": {"attachment_id": world.ids["unfinished file"]},
        "a forged link": file,
        "the workflow rule": {"workflow_id": world.ids["workflow rule"]},
        "no bug": {"bug_id": NOBODYS_ID},
        "no comment": {"comment_id": NOBODYS_ID},
        "nobody": {"user_id": NOBODYS_ID},
        "no company": {"company_id": NOBODYS_ID},
        "no application": {"application_id": NOBODYS_ID},
    }
    values = things[thing]
    return values | {"file": f"{values['bug_id']}.atom"} if "bug_id" in values else values


async def call(world: World, row: Row, role: str) -> httpx.Response:
    """The route of a row, called by this role."""
    path = row.path.format_map(path_values(world, row.thing, role))
    more = arguments(world, row, role)
    headers = world.headers(role) | _tenant_header(world, row) | more.pop("headers", {})
    return await world.client.request(row.method, path, headers=headers, **more)


def _tenant_header(world: World, row: Row) -> dict[str, str]:
    companies = {"the tenant": "company", "another tenant": "other company"}
    return {} if row.tenant is None else {"X-Company-ID": world.ids[companies[row.tenant]]}


def arguments(world: World, row: Row, role: str) -> dict[str, Any]:
    """What the request carries besides its path and its credential: of this thing, else of the route."""
    make = _ARGUMENTS.get(f"{row.route} on {row.thing}") or _ARGUMENTS.get(row.route)
    return make(world, role) if make else {}


def _json(**body: Any) -> Callable[[World, str], dict[str, Any]]:
    return lambda _world, _role: {"json": body}


def _form(**fields: str) -> Callable[[World, str], dict[str, Any]]:
    return lambda world, _role: {"data": {"token": world.links[fields["link"]], **_without_link(fields)}}


def _without_link(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name != "link"}


def _own_ticket(world: World, role: str) -> str:
    return world.ids["other company's ticket" if role == "other company's admin" else "ticket"]


_OUTSIDE = ("user", "reporter", "other company's admin", "admin")


def _accepting(world: World, role: str) -> dict[str, Any]:
    """An invitation to an address that is verified by then, of those who do not belong to the company."""
    if role in _OUTSIDE:
        world.sql.execute("UPDATE users SET is_email_verified = true WHERE id = %s", (world.people[role].id,))
    return {"json": {"token": world.links.get(f"invitation of {role}", "none")}}


def _signed(world: World) -> dict[str, Any]:
    """A ping of GitHub's webhook."""
    body = b'{"zen": "Keep it logically awesome."}'
    digest = hmac.new(world.links["GitHub's secret"].encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "ping",
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-Hub-Signature-256": f"sha256={digest}",
    }
    return {"content": body, "headers": headers}


_TO_FRONT_END = {"return_to": "http://127.0.0.1:8000/", "code_challenge": "x" * 43}
_BECAUSE = _json(reason="It must be")
_ARGUMENTS: dict[str, Callable[[World, str], dict[str, Any]]] = {
    "POST /api/v1/auth/register": _json(email="new@people.example", username="new", password=PASSWORD),
    "POST /api/v1/auth/login": lambda world, _: {
        "json": {"email": world.people["bystander"].email, "password": PASSWORD}
    },
    "POST /api/v1/auth/refresh": lambda world, _: {
        "json": {"refresh_token": world.people["bystander"].refresh_token}
    },
    "PUT /api/v1/auth/password": _json(current_password=PASSWORD, new_password=NEW_PASSWORD),
    "PUT /api/v1/auth/profile": _json(display_name="Somebody"),
    "GET /api/v1/auth/verify-email": lambda world, _: {"params": {"token": world.links["verify_email"]}},
    "GET /api/v1/auth/oauth/{provider}": lambda _world, _role: {"params": _TO_FRONT_END},
    "GET /api/v1/auth/oauth/callback/{provider}": lambda world, _: {
        "params": {"state": world.links["oauth state"], "error": "access_denied"},
        "headers": {"Cookie": f"bugrelay-oauth={world.links['browser']}"},
    },
    "POST /api/v1/auth/oauth/exchange": lambda world, _: {
        "json": {"code": world.links["oauth code"], "verifier": world.links["oauth verifier"]}
    },
    "POST /api/v1/auth/oauth/link/{provider}": lambda _world, _role: {"json": _TO_FRONT_END},
    "POST /api/v1/auth/password-reset": _json(email="somebody@people.example"),
    "POST /api/v1/auth/password-reset/confirm": lambda world, _: {
        "json": {"token": world.links["reset_password"], "new_password": NEW_PASSWORD}
    },
    "GET /account/reset-password": lambda world, _: {"params": {"token": world.links["reset_password"]}},
    "POST /account/verify-email": _form(link="verify_email"),
    "POST /account/reset-password": _form(link="reset_password", new_password=NEW_PASSWORD),
    "PUT /api/v1/receipts/{secret}/subscription": _json(level="official"),
    "GET /contact/confirm": lambda world, _: {"params": {"token": world.links["confirm_contact"]}},
    "POST /contact/confirm": _form(link="confirm_contact"),
    "DELETE /api/v1/users/me": _json(password=PASSWORD),
    "POST /api/v1/bugs": lambda _world, _role: {"json": a_report()},
    "POST /api/v1/bugs/similar": _json(title="Saving a draft crashes"),
    "PATCH /api/v1/bugs/{bug_id}": _json(title="A title that says more"),
    "PATCH /api/v1/bugs/{bug_id}/status": _json(status="reviewing"),
    "POST /api/v1/bugs/{bug_id}/comments": _json(content="Here as well"),
    "POST /api/v1/bugs/{bug_id}/company-response": _json(content="We are looking into it"),
    "POST /api/v1/bugs/{bug_id}/attachments": lambda _world, _role: {
        "files": {"file": ("shot.png", a_picture())}
    },
    "POST /api/v1/companies/{company_id}/claim": _json(email="somebody@chalk.example"),
    "POST /api/v1/companies/{company_id}/verify": lambda world, role: {
        "json": {"token": world.links.get(f"claim of {role}", world.links["claim of bystander"])}
    },
    "PATCH /api/v1/companies/{company_id}": _json(description="We make paper."),
    "POST /api/v1/companies/{company_id}/members": lambda world, _: {
        "json": {"email": world.people["colleague"].email, "role": "member"}
    },
    "DELETE /api/v1/companies/{company_id}/members": lambda world, _: {
        "json": {"user_id": world.people["member"].id}
    },
    "PATCH /api/v1/companies/{company_id}/members/{user_id}": _json(role="admin"),
    "PUT /api/v1/bugs/{bug_id}/subscription": _json(level="official"),
    "PATCH /api/v1/users/me/notice-settings": _json(mail="digest"),
    "POST /api/v1/users/me/notices/read": _json(up_to=NOBODYS_ID),
    "POST /api/v1/companies/{company_id}/webhooks": _json(url="https://hooks.paper.example", events=["*"]),
    "PUT /api/v1/companies/{company_id}/github": _json(repo="paper/others", token="ghp_another-token"),
    "POST /api/v1/integrations/github/{connection_id}": lambda world, _: _signed(world),
    "PATCH /api/v1/companies/{company_id}/webhooks/{webhook_id}": _json(include_internal=True),
    "POST /api/v1/companies/{company_id}/webhooks/{webhook_id}/replay": lambda _world, _role: {
        "json": {"since": datetime.now(UTC).isoformat()}
    },
    "POST /api/v1/users": _json(email="new@customer.example", role="user"),
    "POST /api/v1/users on a colleague": lambda world, _: {
        "json": {"email": world.people["colleague"].email, "role": "manager"}
    },
    "POST /api/v1/invitations/accept": lambda world, role: {
        "json": {"token": world.links.get(f"invitation of {role}", "none")}
    },
    "POST /api/v1/invitations/accept on a verified address": _accepting,
    "GET /invitations/accept": lambda world, _: {"params": {"token": world.links["invitation of bystander"]}},
    "POST /invitations/accept": _form(link="invitation of bystander"),
    "PUT /api/v1/users/{user_id}": _json(role="reporter", is_active=False),
    "PUT /api/v1/users/{user_id} on oneself": _json(name="Somebody"),
    "POST /api/v1/issues": _json(title="The door does not close"),
    "PUT /api/v1/issues/{issue_id}": _json(title="The front door does not close"),
    "POST /api/support/report": _json(title="It does not print", description="Nor does it scan"),
    "POST /api/support/upload-screenshot": lambda _world, _role: {
        "files": {"screenshot": ("shot.png", a_picture())}
    },
    "GET /uploads/support/{screenshot_id} on a link to the report's screenshot": lambda world, _: {
        "params": dict(parse_qsl(world.links["screenshot"]))
    },
    "POST /api/support/report/{ticket_number}/comments": _json(comment="It does again"),
    "POST /api/v1/workflows": _json(
        name="Urgent", trigger="ticket.created", actions=[{"type": "set_priority", "value": "high"}]
    ),
    "PUT /api/v1/workflows/{workflow_id}": _json(name="Most urgent"),
    "POST /api/v1/workflows/test": lambda world, role: {"json": {"ticketId": _own_ticket(world, role)}},
    "POST /api/v1/workflows/{workflow_id}/test": lambda world, role: {
        "json": {"ticketId": _own_ticket(world, role)}
    },
    "POST /api/v1/projects": _json(key="WEB", name="Web"),
    "POST /api/v1/attachments/presign on the ticket": lambda world, _: {"json": an_upload(world, "ticket")},
    "POST /api/v1/attachments/presign on the colleague's ticket": lambda world, _: {
        "json": an_upload(world, "colleague's ticket")
    },
    "GET /api/v1/attachments on the ticket": lambda world, _: {"params": {"ticketId": world.ids["ticket"]}},
    "GET /api/v1/attachments on the colleague's ticket": lambda world, _: {
        "params": {"ticketId": world.ids["colleague's ticket"]}
    },
    "GET /uploads/tickets/{attachment_id} on a link to the ticket's file": lambda world, _: {
        "params": dict(parse_qsl(world.links["ticket's file"]))
    },
    "PUT /uploads/incoming/{attachment_id} on a link for an unfinished file": lambda world, _: {
        "params": dict(parse_qsl(world.links["unfinished file"])),
        "content": b"x",
    },
    "POST /api/v1/files/upload/{issue_id}": lambda _world, _role: {
        "files": {"file": ("shot.png", a_picture(), "image/png")}
    },
    "POST /api/v1/tickets": _json(title="The printer is out of paper"),
    "PUT /api/v1/projects/{project}": _json(name="Everything"),
    "PUT /api/v1/tickets/{ticket}": _json(title="The printer is out of paper again"),
    "PATCH /api/v1/tickets/{ticket}/status": _json(status="in_progress"),
    "POST /api/v1/tickets/{ticket}/comments": _json(content="It is the same upstairs"),
    "PUT /api/v1/tickets/{ticket}/subscription": _json(level="official"),
    "PATCH /api/v1/tickets/{ticket}/comments/{comment_id}": _json(content="And downstairs"),
    "POST /api/v1/tickets/{ticket}/publication": lambda world, role: {
        "json": {
            "token": world.links.get(f"preview of {role}", "none"),
            "applicationId": world.ids["application"],
        }
    },
    "POST /api/v1/tickets/{ticket}/links": lambda world, _: {"json": {"bugId": world.ids["bug"]}},
    "DELETE /api/v1/tickets/{ticket}/links": lambda world, _: {"json": {"bugId": world.ids["bug"]}},
    "PATCH /api/v1/comments/{comment_id}": _json(content="It happened twice"),
    "POST /api/v1/bugs/{bug_id}/flag": _json(reason="spam"),
    "POST /api/v1/comments/{comment_id}/flag": _json(reason="abuse"),
    "POST /api/v1/admin/bugs/{bug_id}/flag": _BECAUSE,
    "DELETE /api/v1/admin/bugs/{bug_id}": _BECAUSE,
    "POST /api/v1/admin/bugs/{bug_id}/restore": _BECAUSE,
    "POST /api/v1/admin/bugs/{bug_id}/unmerge": _BECAUSE,
    "DELETE /api/v1/admin/comments/{comment_id}": _BECAUSE,
    "POST /api/v1/admin/comments/{comment_id}/restore": _BECAUSE,
    "POST /api/v1/admin/users/{user_id}/ban": _BECAUSE,
    "POST /api/v1/admin/users/{user_id}/unban": _BECAUSE,
    "POST /api/v1/admin/companies/{company_id}/verify": _BECAUSE,
    "POST /api/v1/admin/companies/{company_id}/unverify": _BECAUSE,
    "PATCH /api/v1/admin/applications/{application_id}": _json(company_id=None, reason="It must be"),
    "POST /api/v1/admin/bugs/merge": lambda world, _: {
        "json": {
            "source_bug_id": world.ids["bug"],
            "target_bug_id": world.ids["other bug"],
            "reason": "The same",
        }
    },
}
