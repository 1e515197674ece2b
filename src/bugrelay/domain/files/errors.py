"""What can go wrong with an uploaded file."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class FileNotFound(BugRelayError):
    code = "FILE_NOT_FOUND"
    status = 404
    message = "There is no such file"


class FileTooLarge(BugRelayError):
    code = "FILE_TOO_LARGE"
    status = 400
    message = "The file is too large"
