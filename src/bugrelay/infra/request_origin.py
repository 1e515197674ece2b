"""The origin of the current request; empty for the command line and for jobs."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

USER_AGENT_LENGTH = 300


@dataclass(frozen=True)
class Origin:
    """The client's address, and its User-Agent, cut to 300 characters."""

    ip_address: str | None = None
    user_agent: str | None = None

    @classmethod
    def of(cls, ip_address: str, user_agent: str | None) -> Origin:
        return cls(ip_address, user_agent[:USER_AGENT_LENGTH] if user_agent else None)


origin: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 - an Origin never changes
