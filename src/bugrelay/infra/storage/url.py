"""`UPLOAD_URL`: a folder or a bucket."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from bugrelay.infra.storage.folder import LocalStorage
from bugrelay.infra.storage.port import Storage
from bugrelay.settings import SettingError


def storage_from(upload_url: str) -> Storage:
    """The storage at `UPLOAD_URL`.

    Raises:
        SettingError: The URL cannot be used.
    """
    if upload_url.startswith("s3://"):
        # Imported here, since the library takes six megabytes, which a process with a folder does not need.
        from bugrelay.infra.storage.bucket import s3_storage_from

        return s3_storage_from(upload_url)
    # Not urlsplit, since the name of a folder may contain # or ?.
    path = Path(unquote(upload_url.removeprefix("file://").removeprefix("localhost")))
    if not upload_url.startswith("file://") or not path.is_absolute():
        raise SettingError("UPLOAD_URL must be s3://bucket/prefix?endpoint=… or file:// and an absolute path")
    return LocalStorage(path)
