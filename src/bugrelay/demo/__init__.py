"""`bugrelay demo`: a board that looks as if it had been used for three months, and a company at work on it.

The texts are in `board/*.toml`, one file for each application, and in `company/`; all of them are invented.
"""

from bugrelay.demo.seed import fill
from bugrelay.demo.summary import Summary

__all__ = ["Summary", "fill"]
