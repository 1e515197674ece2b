"""Lists and searches of bugs: parser, statements, service."""
