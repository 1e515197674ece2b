"""Live updates: the event log, read for whoever listens now."""
