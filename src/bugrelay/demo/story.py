"""The structure of the files in `board/`, and their reader."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

import msgspec
from msgspec import Struct

USER_DOMAIN = "people.example"
_PEOPLE = "people.toml"


class Entry(Struct, kw_only=True, forbid_unknown_fields=True):
    """Something that happened to a bug after `after` days: a comment, or a change of status."""

    after: float
    by: str
    text: str | None = None
    status: str | None = None


class Bug(Struct, kw_only=True, forbid_unknown_fields=True):
    """A report. `votes` users vote for it; `rising` puts most of these votes into the last days."""

    title: str
    description: str
    days_ago: float
    votes: int
    reporter: str | None = None
    rising: bool = False
    priority: str = "medium"
    tags: list[str] = []
    operating_system: str | None = None
    device_type: str | None = None
    app_version: str | None = None
    browser_version: str | None = None
    timeline: list[Entry] = []


class Application(Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    bugs: list[Bug]
    url: str | None = None


class Company(Struct, kw_only=True, forbid_unknown_fields=True):
    """A company with a team, whose members have addresses at its domain."""

    domain: str
    name: str
    description: str
    admin: str
    members: list[str]

    @property
    def people(self) -> list[str]:
        return [self.admin, *self.members]


class _People(Struct, kw_only=True, forbid_unknown_fields=True):
    users: list[str]
    companies: list[Company]


@dataclass(frozen=True)
class Story:
    users: list[str]
    companies: list[Company]
    applications: list[Application]

    @property
    def addresses(self) -> dict[str, str]:
        """E-mail addresses by user name."""
        at_home = {name: f"{name}@{USER_DOMAIN}" for name in self.users}
        at_work = {name: f"{name}@{company.domain}" for company in self.companies for name in company.people}
        return at_home | at_work


def read_story() -> Story:
    """The whole story, with the applications ordered by file name."""
    folder = resources.files("bugrelay.demo") / "board"
    people = msgspec.convert(tomllib.loads((folder / _PEOPLE).read_text("utf-8")), _People)
    files = sorted((file for file in folder.iterdir() if file.name != _PEOPLE), key=lambda file: file.name)
    applications = [msgspec.convert(tomllib.loads(file.read_text("utf-8")), Application) for file in files]
    return Story(people.users, people.companies, applications)
