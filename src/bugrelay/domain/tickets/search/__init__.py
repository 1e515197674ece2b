"""Lists and searches of tickets: query, statements, service."""
