"""The event log: what has changed, in the order in which it was committed, and who follows it."""
