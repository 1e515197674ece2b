"""Redis (or Valkey), which is optional at any time."""
