"""What crosses domains about one person: profiles, my things, export, erasure."""
