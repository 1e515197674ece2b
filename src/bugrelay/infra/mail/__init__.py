"""Mails: templates, messages and transports."""
