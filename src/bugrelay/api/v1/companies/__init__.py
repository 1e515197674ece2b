"""`/api/v1/companies` and `/api/v1/applications`."""
