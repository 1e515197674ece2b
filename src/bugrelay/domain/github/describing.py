"""Reads what is sent to GitHub of a ticket. A public repository gets neither captures, page URLs nor names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bugrelay.domain.companies.schemas import Automation
from bugrelay.domain.github.issue_text import TicketText
from bugrelay.domain.github.schemas import ConnectionRow, TicketRow
from bugrelay.domain.support.repository import find_report
from bugrelay.domain.support.schemas import Capture, ReportDetail
from bugrelay.infra.db.query import Reader
from bugrelay.infra.text.redaction import redact_text

_BROWSER = ("name", "version", "platform")


async def describe(
    reader: Reader, connection: ConnectionRow, ticket: TicketRow, is_private: bool
) -> TicketText:
    """What may be sent of a ticket, and of its support report if it is one."""
    report = await find_report(reader, Automation(connection.company_id), ticket.key)
    typed = {"Description": ticket.description}
    if report is not None:
        typed |= _typed(report)
    return (
        _for_private_repository(ticket, report, typed)
        if is_private
        else _for_public_repository(ticket, report, typed)
    )


def _for_private_repository(
    ticket: TicketRow, report: ReportDetail | None, typed: Mapping[str, str]
) -> TicketText:
    return TicketText(
        ticket_id=ticket.id,
        key=ticket.key,
        title=ticket.title,
        kind=ticket.kind,
        priority=ticket.priority,
        created_at=ticket.created_at,
        reporter=ticket.reporter,
        typed=typed,
        facts=_facts(report) if report else {},
        recorded=_recorded(report.capture or Capture()) if report else {},
        screenshot=report.screenshot is not None if report else None,
    )


def _for_public_repository(
    ticket: TicketRow, report: ReportDetail | None, typed: Mapping[str, str]
) -> TicketText:
    """Only typed texts, redacted, and the browser."""
    return TicketText(
        ticket_id=ticket.id,
        key=ticket.key,
        title=redact_text(ticket.title)[0],
        kind=ticket.kind,
        priority=ticket.priority,
        created_at=ticket.created_at,
        reporter=None,
        typed={heading: redact_text(text)[0] for heading, text in typed.items()},
        facts={"Browser": redact_text(_browser(report.browser_info))[0]} if report else {},
        screenshot=report.screenshot is not None if report else None,
    )


def _typed(report: ReportDetail) -> dict[str, str]:
    return {
        "Steps to reproduce": report.steps_to_reproduce or "",
        "Expected behavior": report.expected_behavior or "",
        "Actual behavior": report.actual_behavior or "",
    }


def _facts(report: ReportDetail) -> dict[str, str]:
    browser = report.browser_info or {}
    return {
        "Browser": _browser(browser),
        "User agent": _text(browser.get("user_agent")),
        "Language": _text(browser.get("language")),
        "Page": report.page_url or "",
        "Page title": report.page_title or "",
        "Viewport": report.viewport_size or "",
        "Screen": report.screen_resolution or "",
    }


def _browser(browser: Mapping[str, Any] | None) -> str:
    return " ".join(filter(None, (_text((browser or {}).get(name)) for name in _BROWSER)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _recorded(capture: Capture) -> dict[str, Sequence[Any]]:
    """The capture without local storage, session storage and cookies."""
    return {
        "Console errors": capture.console_errors or [],
        "API calls": capture.api_history or [],
        "Actions": capture.user_actions or [],
    }
