"""What BugRelay is, one folder per domain; `ARCHITECTURE.md` says which may import which."""
