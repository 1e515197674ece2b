"""The public board: bugs, votes, comments, company responses, status, pictures, search."""
