"""Live updates: the event log, fanned out to the connections of a process."""
