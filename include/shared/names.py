"""Search keys: how names are compared when people look for something (never to match counterparties)."""

from __future__ import annotations

import re

_NOISE = re.compile(r"[\"'«»„“”‘’`]")


def search_key(name: str) -> str:
    """Return the name lower-cased, ё as е, without quotation marks and doubled spaces."""
    return " ".join(_NOISE.sub("", name.lower().replace("ё", "е")).split())


def like_pattern(query: str) -> str:
    """Return a LIKE pattern that finds the typed text anywhere in a search key."""
    escaped = search_key(query).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
