"""Read model: the feeds of the board."""
