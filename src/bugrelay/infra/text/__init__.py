"""Typed text: normalisation, markup, Markdown, redaction of secrets; URLs, tags, names of files, CSV."""
