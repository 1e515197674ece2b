"""`UPLOAD_URL`: a folder or a bucket."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from bugrelay.infra.storage.folder import LocalStorage
from bugrelay.infra.storage.port import Storage
from bugrelay.settings import SettingError


def storage_from(upload_url: str) -> Storage:
    """The storage that `UPLOAD_URL` names.

    Raises:
        SettingError: The URL cannot be used.
    """
    if upload_url.startswith("s3://"):
        # Its library takes six megabytes, which a process with a folder does without.
        from bugrelay.infra.storage.bucket import s3_storage_from

        return s3_storage_from(upload_url)
    # Not urlsplit: a folder may well have a # or ? in its name.
    path = Path(unquote(upload_url.removeprefix("file://").removeprefix("localhost")))
    if not upload_url.startswith("file://") or not path.is_absolute():
        raise SettingError("UPLOAD_URL must be s3://bucket/prefix?endpoint=… or file:// and an absolute path")
    return LocalStorage(path)
