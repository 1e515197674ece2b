"""Uploaded files: named, stored before their row, deleted with it, swept. Whose they are, domains above know."""
