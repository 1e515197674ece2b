"""Use cases of projects and tickets. Each locks the acting user's row first (ARCHITECTURE.md, Locks)."""
