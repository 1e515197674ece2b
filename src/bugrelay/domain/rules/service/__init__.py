"""Use cases of workflow rules: editing, dry runs, and running them for events and idle tickets."""
