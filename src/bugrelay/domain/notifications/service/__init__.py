"""Use cases of notifications: subscribing, reading, telling, mailing, forgetting."""
