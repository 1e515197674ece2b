"""Use cases of links: preview, publication, linking, tracking, and propagation of changes."""
