"""A bucket that can be ill, a real S3 server, and each of the stores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bugrelay.infra.storage.port import Storage
from bugrelay.infra.storage.url import storage_from
from tests.infra.storage.s3 import Bucket


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return storage_from(f"file://{tmp_path}/new/uploads")
    return storage_from(request.getfixturevalue("s3_server").new_upload_url())
