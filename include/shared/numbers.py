"""Numbers of documents as people compare them: «ВК-15» typed in Latin is the same as 1C's in Cyrillic."""

from __future__ import annotations

import re

#: Latin letters that look like Cyrillic ones; both are seen in one and the same key of 1C
_LOOK_ALIKE = str.maketrans("ABCEHKMOPTXYЁ", "АВСЕНКМОРТХУЕ")
_DASHES = str.maketrans("‐‑‒–—−", "------")
_INVISIBLE = dict.fromkeys((0x00, 0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
_SIGN = re.compile(r"(?:(?:№|#|NО?[.º°]?(?=[\s\d№]))\s*)+")
_AROUND_DASH = re.compile(r"\s*([-/\\])\s*")


def number_key(text: str | None) -> str:
    """Return the form in which two numbers of documents are compared; empty for none.

    Capitals, Latin look-alikes as Cyrillic letters, one kind of dash, single spaces, no «№» before and no full stop
    behind; the key of a key is the key itself.
    """
    if not text:
        return ""
    if text.isascii() and text.isdigit():
        return text
    plain = " ".join(text.translate(_INVISIBLE).upper().translate(_LOOK_ALIKE).translate(_DASHES).split())
    while plain:
        shorter = _AROUND_DASH.sub(r"\1", _SIGN.sub("", plain, count=1) if _SIGN.match(plain) else plain)
        shorter = shorter.strip(" .,;:")
        if shorter == plain:
            break
        plain = shorter
    return plain
