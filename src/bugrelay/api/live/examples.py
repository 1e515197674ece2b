"""Examples of events, for the OpenAPI document."""

from __future__ import annotations

from bugrelay.http.routes import Example

EVENTS = Example(
    response={
        "events": [
            {
                "id": 1719,
                "type": "ticket.status_changed",
                "at": "2026-01-16T09:00:00Z",
                "actor": {
                    "id": "01a1fbf7-5e6f-7a8b-9c0d-1e2f3a4b5c6d",
                    "username": "grace",
                    "name": "Grace Hopper",
                },
                "ticket": {
                    "id": "01a1fbf8-0c1d-7e2f-8a3b-4c5d6e7f8091",
                    "key": "WEB-12",
                    "project_id": "01a1fbf8-1d2e-7f30-9b4c-5d6e7f8091a2",
                },
                "bug_id": None,
                "version": 4,
                "data": {"from": "open", "to": "in_progress", "category": "doing"},
            }
        ],
        "next": 1719,
        "head": 1720,
    }
)
