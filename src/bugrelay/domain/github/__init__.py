"""GitHub issues for tickets: pushed exactly once, and changes at GitHub applied here."""
