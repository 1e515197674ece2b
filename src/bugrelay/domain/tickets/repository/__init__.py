"""All SELECTs of projects and tickets. Each has a condition on the company."""
