"""As much of S3 as the tests need."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree


class Bucket(ThreadingHTTPServer):
    """As much of S3 as one bucket `pics` needs: PUT, ranged GET, list in pages of two, bulk delete."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.files: dict[str, tuple[bytes, str]] = {}
        self.status = 200
        self.delay_seconds = 0.0

    @property
    def url(self) -> str:
        return (
            f"s3://pics/board/live?endpoint=http://127.0.0.1:{self.server_port}"
            "&region=eu-central-1&access_key_id=key&secret_access_key=s3cret"
        )


class _Request(BaseHTTPRequestHandler):
    server: Bucket
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Quiet."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _ill(self) -> bool:
        time.sleep(self.server.delay_seconds)
        if self.server.status == 200:
            return False
        self._answer(self.server.status)
        return True

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/pics/")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._ill():
            self.server.files[self._key()] = (body, self.headers["Content-Type"])
            self._answer(200, ETag='"1"')

    def do_GET(self) -> None:
        if self._ill():
            return
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self._list(query)
            return
        if self._key() not in self.server.files:
            self._answer(404)
            return
        body, content_type = self.server.files[self._key()]
        first, last = (int(end) for end in self.headers["Range"].removeprefix("bytes=").split("-"))
        part = body[first : last + 1]
        span = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
        stamp = "Wed, 01 Jan 2025 00:00:00 GMT"
        headers = {"Content_Range": span, "ETag": '"1"', "Last_Modified": stamp, "Content_Type": content_type}
        self._answer(206, part, **headers)

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix, after = (
            query.get("prefix", [""])[0],
            (query.get("continuation-token") or query.get("start-after") or [""])[0],
        )
        names = sorted(name for name in self.server.files if name.startswith(prefix) and name > after)
        more = f"<NextContinuationToken>{names[1]}</NextContinuationToken>" if len(names) > 2 else ""
        items = "".join(
            f"<Contents><Key>{name}</Key><Size>{len(self.server.files[name][0])}</Size>"
            "<LastModified>2025-01-01T00:00:00Z</LastModified></Contents>"
            for name in names[:2]
        )
        self._answer(200, f"<ListBucketResult>{items}{more}</ListBucketResult>".encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._ill():
            return
        names = [node.text or "" for node in ElementTree.fromstring(body).iter() if node.tag.endswith("Key")]
        for name in names:
            self.server.files.pop(name, None)
        done = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
        self._answer(200, f"<DeleteResult>{done}</DeleteResult>".encode())
