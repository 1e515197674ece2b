"""The business rules, one folder for each domain; `ARCHITECTURE.md` says which may import which."""
