"""The process that decodes pictures: it may be killed at any moment, and holds no secret.

It reads one picture after the other from standard input and answers each on standard output; both are framed by four
bytes of length, most significant first. It ends with its input, or with its parent.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

import msgspec

from bugrelay.infra.media.image_exchange import LENGTH_BYTES, NotAnImage, Reply, framed
from bugrelay.infra.media.images import clean_image

MAX_ADDRESS_SPACE_BYTES = 2 << 30  # a picture at the limit takes some 400 MB
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    """Answer until the input ends."""
    _end_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE_BYTES, MAX_ADDRESS_SPACE_BYTES))
    # Only frames may reach the parent, whatever a library prints.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as replies:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        while length := sys.stdin.buffer.read(LENGTH_BYTES):
            raw = sys.stdin.buffer.read(int.from_bytes(length, "big"))
            replies.write(framed(msgspec.msgpack.encode(_reply_to(raw))))
            replies.flush()


def _reply_to(raw: bytes) -> Reply:
    try:
        return Reply(image=clean_image(raw))
    except NotAnImage as error:
        return Reply(refusal=type(error).__name__, cause=type(error.__cause__ or error).__name__)


def _end_with_parent() -> None:
    """Whoever stops the service stops the server, which finishes its pictures first and then ends this process."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


if __name__ == "__main__":
    main()
