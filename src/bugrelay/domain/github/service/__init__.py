"""Use cases of GitHub: what a company's admins set, what is sent, what comes in."""
