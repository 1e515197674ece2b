"""Imports the tables of every domain, so that the metadata is whole."""

import bugrelay.domain.accounts.models
import bugrelay.domain.bugs.models
import bugrelay.domain.companies.models
import bugrelay.domain.moderation.models
import bugrelay.infra.idempotency  # noqa: F401 - all five are imported for their tables
