"""Companies: claims of their domains, teams and tenants, and applications."""
