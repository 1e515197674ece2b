"""The envelopes of responses: a resource under its name, and pages of lists."""
