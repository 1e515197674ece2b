"""Tickets with files: announced, put, completed, fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
from PIL import Image

from bugrelay.infra.storage.port import Storage
from bugrelay.infra.storage.url import storage_from
from bugrelay.settings import Settings
from tests.factories import Person, make_member, register, report

Json = dict[str, Any]
Sql = psycopg.Connection[Any]
LOG = b"\x00<script>alert(1)</script>\n" * 5000


def picture(kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 6), (200, 30, 30)).save(file, kind, **options)
    return file.getvalue()


ROLES = {
    "admin": "admin",
    "member": "member",
    "colleague": "member",
    "reporter": "reporter",
    "other": "reporter",
}


@dataclass
class Desk:
    """A verified company, its people, who join when they first do something, and a ticket of each of them."""

    client: httpx.AsyncClient
    sql: Sql
    settings: Settings
    name: str
    company_id: str
    project_id: str | None = None
    people: dict[str, Person] = field(default_factory=dict)
    tickets: dict[str, str] = field(default_factory=dict)

    async def join(self, who: str) -> Person:
        if who not in self.people:
            self.people[who] = await register(self.client, f"{self.name}-{who}")
            make_member(self.sql, self.people[who], self.company_id, role=ROLES[who])
        return self.people[who]

    async def ticket_of(self, who: str) -> str:
        if who not in self.tickets:
            body = {"title": f"Of the {who}", "projectId": self.project_id}
            response = await self.call("POST", "tickets", who, json=body)
            assert response.status_code == 201, response.text
            self.tickets[who] = response.json()["ticket"]["id"]
        return self.tickets[who]

    @property
    def storage(self) -> Storage:
        """Past the application."""
        return storage_from(self.settings.upload_url)

    async def stored(self, folder: str = "") -> list[str]:
        return [file.key async for file in self.storage.listing() if file.key.startswith(folder)]

    async def announce(self, who: str, *, of: str | None = None, **changes: Any) -> httpx.Response:
        """`POST /attachments/presign` for the ticket of `of`."""
        body = {
            "ticketId": await self.ticket_of(of or who),
            "filename": "trace.log",
            "size": len(LOG),
            "contentType": "text/plain",
            **changes,
        }
        return await self.call("POST", "attachments/presign", who, json=body)

    async def put(self, announced: Json, content: bytes | AsyncIterator[bytes]) -> httpx.Response:
        """As a client does, who knows nothing of where it goes, and has no credential for it."""
        sending = {"content": content, "headers": announced["headers"]}
        if announced["uploadUrl"].startswith(self.settings.public_url):
            return await self.client.put(self.path_of(announced["uploadUrl"]), **sending)
        async with httpx.AsyncClient() as outside:
            return await outside.put(announced["uploadUrl"], **sending)

    async def complete(self, announced: Json, who: str) -> httpx.Response:
        return await self.call("POST", f"attachments/{announced['attachment']['id']}/complete", who)

    async def attach(self, who: str, content: bytes = LOG, **announced: Any) -> Json:
        """A file that is there."""
        response = await self.announce(who, size=len(content), **announced)
        assert response.status_code == 201, response.text
        put = await self.put(response.json(), content)
        assert put.status_code == 200, put.text
        completed = await self.complete(response.json(), who)
        assert completed.status_code == 200, completed.text
        attachment: Json = completed.json()["attachment"]
        return attachment

    async def fetch(self, url: str) -> httpx.Response:
        return await self.client.get(self.path_of(url))

    async def call(self, method: str, path: str, who: str, **request: Any) -> httpx.Response:
        person = await self.join(who)
        return await self.client.request(method, f"/api/v1/{path}", headers=person.headers, **request)

    async def ticket(self, who: str) -> Json:
        ticket: Json = (await self.call("GET", f"tickets/{await self.ticket_of(who)}", who)).json()["ticket"]
        return ticket

    @staticmethod
    def path_of(url: str) -> str:
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"


async def new_desk(client: httpx.AsyncClient, sql: Sql, settings: Settings, name: str = "paper") -> Desk:
    bug = await report(client, application_name=name, application_url=f"https://{name}.example")
    return Desk(client, sql, settings, name, bug["assigned_company_id"])
