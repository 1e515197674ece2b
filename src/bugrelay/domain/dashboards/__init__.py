"""A read model over companies and bugs: companies and applications with the counts of their bugs, and dashboards.

It reads the tables of several domains and writes none. Changes of a company are use cases of domain/companies, which
knows nothing of bugs; whoever answers one with the counts reads them here.
"""
