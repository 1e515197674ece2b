"""Pictures, decoded and re-encoded in worker processes."""
