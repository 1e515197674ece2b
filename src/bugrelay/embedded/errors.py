"""Errors of the embedded servers; each text is one line for the person at the terminal."""


class EmbeddedError(Exception):
    """An embedded server cannot be used."""


class HomeInUseError(EmbeddedError):
    """Another process owns this home."""
