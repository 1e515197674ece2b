"""A company that nobody has claimed, people around it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.settings import Settings
from tests.conftest import RunJobs, SignUp
from tests.factories import Person, make_admin, make_member, report

Sql = psycopg.Connection[Any]


@pytest.fixture
def claim_mails(settings: Settings) -> Callable[[], list[EmailMessage]]:
    """The mails about claims that have been sent, in no order."""

    def read() -> list[EmailMessage]:
        folder = Path(settings.bugrelay_home) / "mail"
        mails = [
            BytesParser(policy=policy.default).parsebytes(one.read_bytes()) for one in folder.glob("*.eml")
        ]
        return [mail for mail in mails if "Speak for" in str(mail["Subject"])]  # type: ignore[misc]

    return read


def token_in(mail: EmailMessage) -> str:
    """The token of a claim's mail."""
    body = mail.get_body(("plain",))
    assert body is not None
    (token,) = re.findall(r"^token=(\S+)$", body.get_content(), re.MULTILINE)
    assert isinstance(token, str)
    return token


Claim = Callable[..., Awaitable[str]]


@pytest.fixture
def claim_by_mail(
    client: httpx.AsyncClient, run_jobs: RunJobs, claim_mails: Callable[[], list[EmailMessage]]
) -> Claim:
    """`await claim_by_mail(person, company_id, "boss@paper.example")` gives the token of the mail."""

    async def claim(person: Person, company_id: str, email: str) -> str:
        former = {str(mail["Message-ID"]) for mail in claim_mails()}
        response = await client.post(
            f"/api/v1/companies/{company_id}/claim", json={"email": email}, headers=person.headers
        )
        assert response.status_code == 200, response.text
        await run_jobs()
        (mail,) = [mail for mail in claim_mails() if str(mail["Message-ID"]) not in former]
        assert mail["To"] == email
        return token_in(mail)

    return claim


@pytest.fixture
async def company(client: httpx.AsyncClient) -> str:
    """The company at paper.example, as an anonymous report has made it."""
    bug = await report(client, application_name="Paper", application_url="https://app.paper.example")
    return str(bug["assigned_company_id"])


@pytest.fixture
async def root(sign_up: SignUp, sql: Sql) -> Person:
    """A system admin."""
    person = await sign_up("root")
    make_admin(sql, person)
    return person


@pytest.fixture
async def boss(sign_up: SignUp, sql: Sql, company: str) -> Person:
    """An admin of the company, which is verified by that."""
    person = await sign_up("boss", email="boss@paper.example")
    make_member(sql, person, company, role="admin")
    return person


@pytest.fixture
async def member(sign_up: SignUp, sql: Sql, company: str, boss: Person) -> Person:
    """A member of the company without special rights."""
    person = await sign_up("mae", email="mae@paper.example")
    make_member(sql, person, company)
    return person


@pytest.fixture
async def other_boss(sign_up: SignUp, sql: Sql, client: httpx.AsyncClient) -> Person:
    """An admin of another verified company."""
    bug = await report(client, application_name="Ink", application_url="https://ink.example")
    person = await sign_up("otto", email="otto@ink.example")
    make_member(sql, person, bug["assigned_company_id"], role="admin")
    return person
