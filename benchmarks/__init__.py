"""`make bench` fills a large board, sends BugRelay and a plain baseline the same requests, and prints one table."""
