"""Use cases of support reports."""
