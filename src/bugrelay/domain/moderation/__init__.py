"""Moderation: flags, the queue, removals, merges, bans, and the audit log."""
