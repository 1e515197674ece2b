"""`bugrelay import`: imports bugs from another tracker as JSON Lines, in batches.

docs/import.md describes the fields, and how invalid values are normalised.
"""

from bugrelay.domain.importing.reader import Lines
from bugrelay.domain.importing.run import import_bugs
from bugrelay.domain.importing.summary import Summary

__all__ = ["Lines", "Summary", "import_bugs"]
