"""`/api/v1/companies`."""
