"""Issues at GitHub for tickets: told there once, and what is done there told back."""
