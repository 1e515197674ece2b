"""`bugrelay demo`: a board that looks as if people had used it for three months, and a company at work on it.

What they wrote stands in `board/*.toml`, one file an application, and in `company/`; all of it is our own invention.
"""

from bugrelay.demo.seed import fill
from bugrelay.demo.summary import Summary

__all__ = ["Summary", "fill"]
