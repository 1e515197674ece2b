"""Workflow rules: a company's automations of its tickets."""
