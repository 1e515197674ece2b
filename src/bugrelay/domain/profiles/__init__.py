"""A read model of one person across domains: their profile, votes and comments, and the export of their data.

It reads the tables of several domains and writes none. Use cases of domain/accounts change profiles and erase accounts;
the domains above subscribe to their facts.
"""
