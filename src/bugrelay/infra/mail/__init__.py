"""Mails from templates."""
