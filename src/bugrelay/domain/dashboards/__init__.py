"""A read model over companies and bugs: companies and applications with the counts of their bugs, and dashboards.

It reads the tables of several domains and writes none. Changes of companies are use cases of domain/companies, which
does not depend on bugs; deliveries that respond with the counts read them here.
"""
