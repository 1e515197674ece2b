"""Webhooks of companies: events as signed posts, with retries."""
