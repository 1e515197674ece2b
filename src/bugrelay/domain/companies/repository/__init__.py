"""The SELECTs of companies, one module for each subject."""

from bugrelay.domain.companies.repository.claims import (
    ClaimState,
    claim_of_token,
    claims_to_check,
    open_claim,
    published_claim,
)
from bugrelay.domain.companies.repository.companies import (
    application_state,
    company_at_domain,
    company_state,
    lock_application,
    lock_company,
)
from bugrelay.domain.companies.repository.invitations import (
    ACCEPTABLE,
    invitation_of_token,
    list_invitations,
    open_invitation,
)
from bugrelay.domain.companies.repository.roles import (
    lock_role_of,
    lock_tenant_of,
    role_in,
    role_of,
    some_tenants_of,
    tenant_at_domain,
    tenant_of,
)
from bugrelay.domain.companies.repository.team import (
    FORMER_SHOWN,
    admins_of,
    find_member,
    former_members,
    has_other_admin,
    is_on_team,
    list_members,
)
from bugrelay.domain.companies.repository.users import (
    MembershipState,
    find_tenant_user,
    has_member_at,
    list_tenant_users,
    membership_state,
)

__all__ = [
    "ACCEPTABLE",
    "FORMER_SHOWN",
    "ClaimState",
    "MembershipState",
    "admins_of",
    "application_state",
    "claim_of_token",
    "claims_to_check",
    "company_at_domain",
    "company_state",
    "find_member",
    "find_tenant_user",
    "former_members",
    "has_member_at",
    "has_other_admin",
    "invitation_of_token",
    "is_on_team",
    "list_invitations",
    "list_members",
    "list_tenant_users",
    "lock_application",
    "lock_company",
    "lock_role_of",
    "lock_tenant_of",
    "membership_state",
    "open_claim",
    "open_invitation",
    "published_claim",
    "role_in",
    "role_of",
    "some_tenants_of",
    "tenant_at_domain",
    "tenant_of",
]
