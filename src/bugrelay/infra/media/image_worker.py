"""The process that decodes pictures: it has no secrets, and may be killed at any time.

It reads pictures from standard input, and writes a reply for each to standard output. Each message is preceded by its
length in four bytes, big-endian. The process ends at the end of its input, or with its parent.
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

MAX_ADDRESS_SPACE_BYTES = 2 << 30  # a picture at the limit takes about 400 MB
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    """Reply until the input ends."""
    _end_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE_BYTES, MAX_ADDRESS_SPACE_BYTES))
    # Only messages may reach the parent, whatever a library prints to standard output.
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
    """Ignore signals to the whole service: the server finishes its pictures first, and then ends this process."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


if __name__ == "__main__":
    main()
