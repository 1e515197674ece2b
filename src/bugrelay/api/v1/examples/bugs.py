"""OpenAPI examples of the board's main routes, all about the same bug."""

from __future__ import annotations

from typing import Any

from bugrelay.http.routes import Example

_BUG_ID = "01a1fbf5-dbb1-76ac-bd8d-7a78fe5a99c8"
_USER: dict[str, Any] = {"id": "01a1fbf5-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "username": "ada"}
_COMPANY = {
    "id": "01a1fbf5-3c4d-7e5f-9a6b-7c8d9e0f1a2b",
    "name": "paper.example",
    "domain": "paper.example",
    "verified": True,
}
_APPLICATION = {
    "id": "01a1fbf5-2b3c-7d4e-8f5a-6b7c8d9e0f1a",
    "name": "Paper Notes",
    "url": "https://notes.paper.example",
}
_ITEM: dict[str, Any] = {
    "id": _BUG_ID,
    "title": "Export to PDF hangs on long documents",
    "description": "Export a document of **more than 50 pages**: the window freezes and no file appears.",
    "description_html": "<p>Export a document of <strong>more than 50 pages</strong>: the window freezes and no file"
    " appears.</p>\n",
    "status": "open",
    "priority": "high",
    "tags": ["export", "pdf"],
    "application_id": _APPLICATION["id"],
    "reporter_id": _USER["id"],
    "assigned_company_id": _COMPANY["id"],
    "vote_count": 0,
    "comment_count": 0,
    "created_at": "2026-01-15T10:30:00Z",
    "updated_at": "2026-01-15T10:30:00Z",
    "resolved_at": None,
    "application": _APPLICATION,
    "reporter": _USER,
    "assigned_company": _COMPANY,
}
_TECHNICAL = {
    "operating_system": "Debian 13",
    "device_type": "laptop",
    "app_version": "2.0.1",
    "browser_version": "Firefox 140",
}
_BUG = {**_ITEM, **_TECHNICAL, "reporter": {**_USER, "email": None}}
_COMMENT: dict[str, Any] = {
    "id": "01a1fbf6-4d5e-7f6a-8b7c-8d9e0f1a2b3c",
    "bug_id": _BUG_ID,
    "user_id": _USER["id"],
    "content": "Same here, with 60 pages.",
    "content_html": "<p>Same here, with 60 pages.</p>\n",
    "is_company_response": False,
    "created_at": "2026-01-15T11:00:00Z",
    "updated_at": "2026-01-15T11:00:00Z",
    "edited_at": None,
    "user": _USER,
}
_PAGE = {"page": 1, "limit": 20, "total": 1, "total_pages": 1, "has_next": False, "has_prev": False}

REPORT = Example(
    request={
        **{name: _ITEM[name] for name in ("title", "description", "priority", "tags")},
        "application_name": _APPLICATION["name"],
        "application_url": _APPLICATION["url"],
        **_TECHNICAL,
        "contact_email": "ada@people.example",
        "recaptcha_token": "03AFcWeA…",
    },
    response={
        "message": "Bug report created successfully",
        "bug": {**_BUG, "reporter_id": None, "reporter": None},
        "receipt": {
            "url": "https://bugs.example.com/api/v1/receipts/9NXH2MS0vkIUeYHBp3Sg1mXUpnrYIWzbGYVuTBYbh7E"
        },
    },
)
LIST = Example(response={"bugs": [_ITEM], "pagination": {**_PAGE, "next_cursor": None}, "match": "all"})
_SIMILAR = {
    "similar": [
        {
            "bug": _ITEM,
            "score": 6.1,
            "why": {
                "words": ["hangs", "pdf", "exporting"],
                "same_application": True,
                "title_similarity": 0.41,
            },
            "via": {"id": "01a1fbf4-0a1b-7c2d-8e3f-4a5b6c7d8e9f", "title": "PDF export never ends"},
        }
    ]
}
SIMILAR = Example(
    request={
        "title": "Exporting a long PDF hangs",
        "description": "The window does not answer any more.",
        "application_name": _APPLICATION["name"],
        "limit": 5,
    },
    response=_SIMILAR,
)
SIMILAR_TO = Example(response=_SIMILAR)
SHOW = Example(
    response={"bug": {**_BUG, "comment_count": 1, "attachments": [], "comments": [_COMMENT], "voted": None}}
)
CORRECT = Example(
    request={"title": "Export to PDF hangs on documents over 50 pages", "app_version": "2.0.2"},
    response={
        "message": "Bug updated successfully",
        "bug": {
            **_BUG,
            "title": "Export to PDF hangs on documents over 50 pages",
            "app_version": "2.0.2",
            "updated_at": "2026-01-15T10:45:00Z",
        },
    },
)
STATUS = Example(
    request={"status": "fixed"},
    response={
        "message": "Bug status updated successfully",
        "bug": {
            **_BUG,
            "status": "fixed",
            "updated_at": "2026-01-20T09:00:00Z",
            "resolved_at": "2026-01-20T09:00:00Z",
        },
    },
)
HISTORY = Example(
    response={
        "history": [
            {
                "id": "01a1fbf7-5e6f-7a7b-8c8d-9e0f1a2b3c4d",
                "kind": "status",
                "at": "2026-01-20T09:00:00Z",
                "user": {"id": "01a1fbf5-6f7a-7b8c-8d9e-0f1a2b3c4d5e", "username": "grace"},
                "company": {"id": _COMPANY["id"], "name": _COMPANY["name"]},
                "from_status": "open",
                "to_status": "fixed",
            }
        ],
        "pagination": _PAGE,
    }
)
VOTE = Example(response={"message": "Vote added successfully", "voted": True, "vote_count": 1})
WITHDRAW_VOTE = Example(response={"message": "Vote removed successfully", "voted": False, "vote_count": 0})
COMMENT = Example(
    request={"content": _COMMENT["content"]},
    response={
        "message": "Comment created successfully",
        "comment": {**_COMMENT, "user": {**_USER, "email": "ada@people.example"}},
    },
)
RESPOND = Example(
    request={"content": "Fixed in 2.1, which is out today."},
    response={
        "message": "Company response added successfully",
        "comment": {
            **_COMMENT,
            "content": "Fixed in 2.1, which is out today.",
            "content_html": "<p>Fixed in 2.1, which is out today.</p>\n",
            "is_company_response": True,
        },
    },
)
