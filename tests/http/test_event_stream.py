"""How events stand in a stream, also for clients that split lines where Unicode does."""

from __future__ import annotations

import json

from bugrelay.http.event_stream import event
from bugrelay.http.responses import to_json
from tests.event_streams import Parsed


def test_no_character_of_a_text_ends_a_line() -> None:
    text = "".join(map(chr, range(0x3000))) + "\U0001f41b"
    written = event("7", to_json({"title": text}), name="resync")
    assert len(written.decode().splitlines()) == 4
    (received,) = Parsed().feed(written)
    assert (received.id, received.name) == ("7", "resync")
    assert received.data == {"title": json.loads(to_json(text))}
