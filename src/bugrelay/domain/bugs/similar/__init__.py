"""Similar bugs: an index that finds the reports that may be the same, and their ranking (docs/finding.md)."""
