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
from dataclasses import dataclass

import msgspec

from bugrelay.infra.media.images import CleanImage, NotAnImage, TooManyPixels, TooManyScans, clean_image

LENGTH_BYTES = 4
MAX_ADDRESS_SPACE_BYTES = 2 << 30  # a picture at the limit takes some 400 MB
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

# msgpack and not pickle: whoever takes over the decoder must not thereby run code in the parent.
REFUSALS: dict[str, type[NotAnImage]] = {
    refusal.__name__: refusal for refusal in (NotAnImage, TooManyPixels, TooManyScans)
}


@dataclass(frozen=True)
class Reply:
    """A picture, or the name of its refusal with the type of the error behind it."""

    image: CleanImage | None = None
    refusal: str = ""
    cause: str = ""


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


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


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
