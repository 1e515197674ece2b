"""`UPLOAD_URL` chooses the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from bugrelay.infra.storage.bucket import S3Storage
from bugrelay.infra.storage.folder import LocalStorage
from bugrelay.infra.storage.url import storage_from
from bugrelay.settings import SettingError
from tests.infra.storage.files import KEY


def test_the_url_chooses_the_store(tmp_path: Path) -> None:
    assert isinstance(storage_from(f"file://{tmp_path}"), LocalStorage)
    assert isinstance(storage_from("s3://pics/board"), S3Storage)


@pytest.mark.parametrize("folder", ["my uploads", "a#b", "what?", "100%"])
async def test_a_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    await storage_from(f"file://{tmp_path}/{folder}").put(KEY, b"x", content_type="image/png")
    assert (tmp_path / folder / KEY).read_bytes() == b"x"


async def test_an_escaped_folder_name_is_understood(tmp_path: Path) -> None:
    await storage_from(f"file://localhost{tmp_path}/my%20uploads").put(KEY, b"x", content_type="image/png")
    assert (tmp_path / "my uploads" / KEY).exists()


@pytest.mark.parametrize(
    "url", ["file://relative/path", "s3://", "s3://pics?typo=1", "ftp://x/y", "", "/var/uploads"]
)
def test_a_url_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(SettingError, match="UPLOAD_URL"):
        storage_from(url)
