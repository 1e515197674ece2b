"""The HTTP side of profiles: my own, and what everybody may see of a user."""
