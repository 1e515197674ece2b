"""Routes of moderation: `/api/v1/admin`, and the flags that everybody may raise."""
