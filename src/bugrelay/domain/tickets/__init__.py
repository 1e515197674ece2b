"""The private half: projects of companies, and the tickets in them; three vocabularies over one engine."""
