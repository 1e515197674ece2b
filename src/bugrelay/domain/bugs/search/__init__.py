"""Lists and searches of bugs: planner, statements, service."""
