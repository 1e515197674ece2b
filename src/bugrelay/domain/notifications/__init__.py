"""Subscriptions to bugs and tickets, notices of their events, and mails of these."""
