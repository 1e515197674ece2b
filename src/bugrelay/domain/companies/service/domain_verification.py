"""Published proofs of control of a domain: where to publish the token of a claim, and whether it is published.

Only the domain's owner can publish there: in a TXT record of the domain itself, or in a file below `/.well-known/` on
the host of that name.
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
    """What the claimant has to publish."""
    content = f"{PREFIX}{token}"
    if method == "dns":
        return Publication(kind="TXT record", place=domain, content=content)
    return Publication(kind="file", place=file_url(domain), content=content)


async def is_published(claim: ClaimState, egress: Egress) -> bool:
    """Whether the token of the claim is published; False also if the record or file cannot be read."""
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
