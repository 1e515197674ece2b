"""The hub, which fans the log out to listeners, and pages for clients that poll."""
