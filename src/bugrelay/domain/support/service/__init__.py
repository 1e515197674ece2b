"""What can be done with support reports."""
