"""Text that people send."""
