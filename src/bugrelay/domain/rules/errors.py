"""Errors of workflow rules."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class WorkflowNotFound(BugRelayError):
    code = "WORKFLOW_NOT_FOUND"
    status = 404
    message = "The company has no such workflow rule"


class TooManyWorkflows(BugRelayError):
    code = "TOO_MANY_WORKFLOWS"
    status = 409
    message = "A company can have at most 50 workflow rules; remove one first"
