"""Use cases of links: preview, publication, linking, tracking, and what follows from events."""
