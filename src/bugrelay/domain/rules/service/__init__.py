"""Use cases of workflow rules: admins change and try them, the event log and the clock run them."""
