"""Passwords, tokens, captchas, signed links, and lookups at places that users name."""
