"""The private half: projects and tickets of companies; one engine for three APIs with their own vocabularies."""
