"""The HTTP side of accounts: the API, and the small pages behind mailed links."""
