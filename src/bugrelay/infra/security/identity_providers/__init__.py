"""Identity providers behind one port: GitHub, Google and any OpenID Connect issuer."""
