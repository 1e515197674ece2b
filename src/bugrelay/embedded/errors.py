"""What can go wrong with the embedded servers, told in one line for the person at the terminal."""


class EmbeddedError(Exception):
    """An embedded server cannot be used."""


class HomeInUseError(EmbeddedError):
    """Another process owns this home."""
