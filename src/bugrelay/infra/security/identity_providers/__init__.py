"""Sign-in with others: GitHub, Google and any OpenID Connect issuer, behind one port."""
