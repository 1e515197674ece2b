"""Every SELECT of dashboards: companies and applications with the counts of their bugs, and what one team is shown.

Counts are taken from the bugs themselves, by index and only for what is shown, so they are exact.
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
