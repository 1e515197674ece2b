"""The SELECTs of dashboards: companies and applications with the counts of their bugs, and a company's dashboard.

Bugs are counted when they are read, by index and only for the rows of the page, so the counts are exact.
"""

from bugrelay.domain.dashboards.repository.applications import find_application, list_applications
from bugrelay.domain.dashboards.repository.companies import find_company, list_companies
from bugrelay.domain.dashboards.repository.dashboard import (
    newest_bugs,
    oldest_unanswered,
    recent_votes,
    response_stats,
)

__all__ = [
    "find_application",
    "find_company",
    "list_applications",
    "list_companies",
    "newest_bugs",
    "oldest_unanswered",
    "recent_votes",
    "response_stats",
]
