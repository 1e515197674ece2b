"""Use cases of webhooks: what a company's admins do with them, and how deliveries are made."""
