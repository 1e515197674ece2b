"""Webhooks of companies: who is told of events, by signed posts that are tried again."""
