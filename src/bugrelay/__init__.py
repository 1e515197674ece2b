"""BugRelay: a public bug board with an API."""

from importlib.metadata import version

__version__ = version("bugrelay")
