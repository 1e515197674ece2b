"""Read model: what feed readers are told of the board."""
