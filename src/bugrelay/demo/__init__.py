"""`bugrelay demo`: a board that looks as if people had used it for three months.

What they wrote stands in `board/*.toml`, one file an application; all of it is our own invention.
"""

from bugrelay.demo.seed import fill
from bugrelay.demo.summary import Summary

__all__ = ["Summary", "fill"]
