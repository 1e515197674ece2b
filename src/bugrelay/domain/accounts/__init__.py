"""Accounts: users, passwords, sessions, identities of providers, and mailed links."""
