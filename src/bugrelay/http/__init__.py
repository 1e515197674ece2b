"""The HTTP side that all domains share; knows no feature."""
