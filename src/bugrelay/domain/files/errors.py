"""Errors of use cases of uploaded files."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class FileNotFound(BugRelayError):
    code = "FILE_NOT_FOUND"
    status = 404
    message = "There is no such file"


class AttachmentNotFound(BugRelayError):
    code = "ATTACHMENT_NOT_FOUND"
    status = 404
    message = "There is no such attachment"


class TooManyAttachments(BugRelayError):
    """The maximum number of attached files is reached; the message says how many."""

    code = "TOO_MANY_ATTACHMENTS"
    status = 400
    message = "No more files can be attached"


class FileTooLarge(BugRelayError):
    code = "FILE_TOO_LARGE"
    status = 400
    message = "The file is too large"


class TooManyUploads(BugRelayError):
    code = "TOO_MANY_UPLOADS"
    status = 409
    message = "Complete or delete some of your unfinished uploads first"


class UploadMissing(BugRelayError):
    code = "UPLOAD_MISSING"
    status = 409
    message = "Nothing has been uploaded yet"


class UploadMismatch(BugRelayError):
    code = "UPLOAD_MISMATCH"
    status = 409
    message = "What was uploaded is not what was announced"
