"""`make bench`: a large board, the same requests to BugRelay and to what one would write otherwise, and one table."""
