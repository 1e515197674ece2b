"""Accounts: who people are, how they sign in, and how long that lasts."""
