"""Use cases of webhooks: their management by a company's admins, and deliveries."""
