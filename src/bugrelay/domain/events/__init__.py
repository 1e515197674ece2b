"""The event log: changes in the order of their COMMITs, and its consumers."""
