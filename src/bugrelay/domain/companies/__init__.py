"""Companies: claims of their domains, teams and tenants, and the applications that they stand behind."""
