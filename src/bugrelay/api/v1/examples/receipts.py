"""Examples of receipts."""

from __future__ import annotations

from bugrelay.http.routes import Example

RECEIPT = Example(
    response={
        "receipt": {
            "bug_id": "01a1fbf5-dbb1-76ac-bd8d-7a78fe5a99c8",
            "reported_at": "2026-01-15T10:30:00Z",
            "state": "listed",
            "merged_into": None,
            "bug": {
                "title": "Export to PDF hangs on long documents",
                "status": "reviewing",
                "vote_count": 3,
                "comment_count": 1,
                "updated_at": "2026-01-16T09:00:00Z",
                "resolved_at": None,
            },
            "responses": [
                {
                    "id": "01a1fbf7-5e6f-7a8b-9c0d-1e2f3a4b5c6d",
                    "content": "We can see it, too.",
                    "content_html": "<p>We can see it, too.</p>\n",
                    "created_at": "2026-01-16T09:00:00Z",
                    "company": {"id": "01a1fbf5-3c4d-7e5f-9a6b-7c8d9e0f1a2b", "name": "paper.example"},
                }
            ],
            "subscription": {"level": "official", "contact": "confirmed"},
        }
    }
)
FOLLOW = Example(
    request={"level": "resolved"},
    response={"message": "Saved", "subscription": {"level": "resolved", "contact": "confirmed"}},
)
WITHDRAW = Example(response={"message": "The bug is removed", "removed": True})
