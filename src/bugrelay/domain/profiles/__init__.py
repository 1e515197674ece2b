"""A read model over all domains about one person: their profile, what is theirs, their export.

It reads the tables of several domains and writes none. A profile is changed and an account erased by use cases of
domain/accounts; the domains above hear of it.
"""
