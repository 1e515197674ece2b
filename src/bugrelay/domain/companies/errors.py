"""Errors of use cases of companies and applications."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class CompanyNotFound(BugRelayError):
    code = "COMPANY_NOT_FOUND"
    status = 404
    message = "There is no such company"


class CompanyRequired(BugRelayError):
    code = "COMPANY_REQUIRED"
    status = 400
    message = "You belong to several companies; name one in X-Company-ID or ?company="


class ApplicationNotFound(BugRelayError):
    code = "APPLICATION_NOT_FOUND"
    status = 404
    message = "There is no such application"


class MemberNotFound(BugRelayError):
    code = "MEMBER_NOT_FOUND"
    status = 404
    message = "This user is not a member of the company"


class InvitationNotFound(BugRelayError):
    code = "INVITATION_NOT_FOUND"
    status = 404
    message = "The company has no such open invitation"


class InvalidDomain(BugRelayError):
    code = "INVALID_DOMAIN"
    status = 400
    message = "The address must be at exactly the company's domain, and the domain one that a company can be"


class CompanyAlreadyVerified(BugRelayError):
    code = "ALREADY_VERIFIED"
    status = 409
    message = "This company is verified already; ask one of its admins to add you"


class AlreadyMember(BugRelayError):
    code = "ALREADY_MEMBER"
    status = 409
    message = "This user is a member already"


class LastAdmin(BugRelayError):
    code = "LAST_ADMIN"
    status = 409
    message = "A company keeps at least one admin; make somebody else an admin first"


class NotMember(BugRelayError):
    code = "NOT_MEMBER"
    status = 403
    message = "Only members of the company may do this, and only while it is verified"
