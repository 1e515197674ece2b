"""Use cases of notifications: subscriptions, fan-out, mails, reading, erasure."""
