"""Published proofs: where a claimant puts the token of a claim, and whether it stands there.

Both places are the owner's of the domain alone: a TXT record of the domain itself, and a file below `/.well-known/`
of its own host.
"""

from __future__ import annotations

import structlog

from bugrelay.domain.companies.repository import ClaimState
from bugrelay.domain.companies.schemas import Publication
from bugrelay.infra.security.egress import Egress, EgressFailed
from bugrelay.infra.security.tokens import hash_secret

log = structlog.get_logger()

PREFIX = "bugrelay-verification="


def file_url(domain: str) -> str:
    return f"https://{domain}/.well-known/bugrelay.txt"


def publication(method: str, *, domain: str, token: str) -> Publication:
    """What the claimant is asked to publish."""
    content = f"{PREFIX}{token}"
    if method == "dns":
        return Publication(kind="TXT record", place=domain, content=content)
    return Publication(kind="file", place=file_url(domain), content=content)


async def is_published(claim: ClaimState, egress: Egress) -> bool:
    """Whether the token stands where this claim says; False also where nothing can be read."""
    try:
        lines = await _lines(claim, egress)
    except EgressFailed as failure:
        log.info("proof_not_readable", claim_id=str(claim.id), method=claim.method, reason=str(failure))
        return False
    found = (line.strip() for line in lines)
    return any(
        hash_secret(line.removeprefix(PREFIX)) == claim.token_hash
        for line in found
        if line.startswith(PREFIX)
    )


async def _lines(claim: ClaimState, egress: Egress) -> list[str]:
    if claim.method == "dns":
        return await egress.txt_records(claim.domain)
    if claim.method == "file":
        return (await egress.get_text(file_url(claim.domain))).splitlines()
    return []
