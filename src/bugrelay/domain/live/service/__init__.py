"""The hub that reads the log for listeners, and the pull of those who ask by themselves."""
