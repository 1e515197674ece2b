"""Tickets that are tied to public bugs: published as one, made to track one, or linked; and what follows from it."""
