"""When two names are the same."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

_KEY_LENGTH: Final = 300
_KEY_HEAD: Final = 200


def name_key(name: str) -> str:
    """Return the key by which names are the same: without case, width and repeated space.

    The key is NFKC and casefolded, and its own key. A few characters grow eighteenfold under NFKC, beyond
    what a PostgreSQL index row holds: so a key over 300 characters keeps 200 and ends in its SHA-256.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())
    key = " ".join(folded.split())
    if len(key) <= _KEY_LENGTH:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{key[:_KEY_HEAD].rstrip()}#{digest}"
