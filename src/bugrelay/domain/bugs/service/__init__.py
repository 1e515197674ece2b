"""Use cases of the board, one file each: reporting, votes, comments, statuses, attachments."""
