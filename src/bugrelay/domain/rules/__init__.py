"""Workflow rules: what a company wants to be done by itself when something happens to its tickets."""
