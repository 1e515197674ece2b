"""Acts of admins and people by HTTP, and looks at what they left."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import httpx
import psycopg
from PIL import Image

from bugrelay.infra.platform import Platform
from bugrelay.integrity_check import problems
from tests.factories import Person

Sql = psycopg.Connection[Any]
WHY = {"reason": "It had to be done"}


def picture() -> bytes:
    """A small PNG."""
    file = BytesIO()
    Image.new("RGB", (2, 2), "teal").save(file, "PNG")
    return file.getvalue()


class Moderator:
    """What an admin does; each call gives the response."""

    def __init__(self, client: httpx.AsyncClient, admin: Person) -> None:
        self._client = client
        self._headers = admin.headers

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self._client.get(f"/api/v1/admin/{path}", params=query, headers=self._headers)

    async def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self._client.request(method, f"/api/v1/admin/{path}", json=body, headers=self._headers)

    async def done(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The same for an act that must succeed."""
        response = await self.send(method, path, body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def remove(self, bug_id: str) -> dict[str, Any]:
        return await self.done("DELETE", f"bugs/{bug_id}", WHY)

    async def restore(self, bug_id: str) -> dict[str, Any]:
        return await self.done("POST", f"bugs/{bug_id}/restore")

    async def merge(self, source_id: str, target_id: str) -> dict[str, Any]:
        return await self.done("POST", "bugs/merge", merging(source_id, target_id))

    async def unmerge(self, bug_id: str) -> dict[str, Any]:
        return await self.done("POST", f"bugs/{bug_id}/unmerge", WHY)

    async def ban(self, user_id: str, **more: Any) -> dict[str, Any]:
        return await self.done("POST", f"users/{user_id}/ban", WHY | more)

    async def unban(self, user_id: str) -> dict[str, Any]:
        return await self.done("POST", f"users/{user_id}/unban", WHY)

    async def logs(self, **query: Any) -> list[dict[str, Any]]:
        response = await self.get("audit-logs", **query)
        assert response.status_code == 200, response.text
        logs: list[dict[str, Any]] = response.json()["logs"]
        return logs


def merging(source_id: str, target_id: str) -> dict[str, Any]:
    return {"source_bug_id": source_id, "target_bug_id": target_id, "reason": "The same crash"}


async def vote(client: httpx.AsyncClient, person: Person, bug_id: str) -> httpx.Response:
    return await client.put(f"/api/v1/bugs/{bug_id}/vote", headers=person.headers)


async def withdraw_vote(client: httpx.AsyncClient, person: Person, bug_id: str) -> httpx.Response:
    return await client.delete(f"/api/v1/bugs/{bug_id}/vote", headers=person.headers)


async def comment(client: httpx.AsyncClient, person: Person, bug_id: str, content: str) -> str:
    """The id of a new comment."""
    response = await client.post(
        f"/api/v1/bugs/{bug_id}/comments", json={"content": content}, headers=person.headers
    )
    assert response.status_code == 201, response.text
    comment_id: str = response.json()["comment"]["id"]
    return comment_id


async def attach(client: httpx.AsyncClient, person: Person, bug_id: str) -> dict[str, Any]:
    """A new picture of the bug."""
    files = {"file": ("shot.png", picture(), "image/png")}
    response = await client.post(f"/api/v1/bugs/{bug_id}/attachments", files=files, headers=person.headers)
    assert response.status_code == 201, response.text
    attachment: dict[str, Any] = response.json()["attachment"]
    return attachment


async def seen(client: httpx.AsyncClient, bug_id: str) -> dict[str, Any]:
    """The bug as the public sees it."""
    response = await client.get(f"/api/v1/bugs/{bug_id}")
    assert response.status_code == 200, response.text
    bug: dict[str, Any] = response.json()["bug"]
    return bug


def said(bug: dict[str, Any]) -> list[str]:
    """What people said, without the notes of BugRelay itself."""
    return [one["content"] for one in bug["comments"] if one["user_id"] is not None]


def dump(sql: Sql, *but: str) -> dict[str, str | None]:
    """Every row of every table of ours, but for those named, and for what waits for a job to fold it."""
    names = sql.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        " AND tablename NOT LIKE 'procrastinate%%' AND tablename <> 'similar_pending' AND tablename <> ALL(%s)",
        (list(but),),
    ).fetchall()
    rows = {}
    for (name,) in names:
        found = sql.execute(
            f"SELECT string_agg(row_text, E'\\n') FROM (SELECT t::text AS row_text FROM {name} t ORDER BY 1) r"
        ).fetchone()
        rows[name] = found[0] if found else None
    return rows


async def found_problems(platform: Platform, *, files: bool = True) -> list[str]:
    """What `bugrelay check` says; without looking at files where a test stores none."""
    found = [problem async for problem in problems(platform)]
    return found if files else [one for one in found if not one.startswith(("attachment", "file"))]
