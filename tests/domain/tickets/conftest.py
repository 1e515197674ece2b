"""The tenant of the ticket API's tests."""

from tests.api.tickets.conftest import boss, company_id, join, mae, rita

__all__ = ["boss", "company_id", "join", "mae", "rita"]
