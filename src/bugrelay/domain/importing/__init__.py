"""`bugrelay import`: bugs of another tracker, one JSON object a line, put on the board in batches.

docs/import.md names the fields and says what happens to a value that breaks a rule.
"""

from bugrelay.domain.importing.reader import Lines
from bugrelay.domain.importing.run import import_bugs
from bugrelay.domain.importing.summary import Summary

__all__ = ["Lines", "Summary", "import_bugs"]
