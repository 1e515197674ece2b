"""Keys by which names are compared."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

_KEY_LENGTH: Final = 300
_KEY_HEAD: Final = 200


def name_key(name: str) -> str:
    """Return the key by which names are compared: regardless of case, width and repeated spaces.

    The key is in NFKC and case-folded; applied to a key, the function returns it unchanged. NFKC makes some characters
    eighteen times as long, too long for an index row of PostgreSQL: so a key over 300 characters is cut to 200, and
    ends in its SHA-256.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())
    key = " ".join(folded.split())
    if len(key) <= _KEY_LENGTH:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{key[:_KEY_HEAD].rstrip()}#{digest}"
