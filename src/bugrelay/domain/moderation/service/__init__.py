"""Acts of moderation, one file each: flags, removals, merges, bans, companies; and their trace in the audit log."""
