"""The HTTP side of the board, one file for each kind of thing."""
