"""Redis (or Valkey), which may vanish at any moment."""
