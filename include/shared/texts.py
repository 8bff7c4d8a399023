"""What text the database can hold: everything a person can write, and nothing that only breaks; sums in words."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import Any

NBSP = "\u00a0"
#: Letters and pictures by their category, and yet nothing is drawn: the Hangul fillers and the empty Braille cell.
BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def storable(value: Any) -> bool:
    """Say whether PostgreSQL can keep the value: no zero byte and no half of a surrogate pair, at any depth."""
    if isinstance(value, str):
        if "\x00" in value:
            return False
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
        return True
    if isinstance(value, dict):
        return all(storable(key) and storable(one) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return all(storable(one) for one in value)
    return True


def visible(text: str) -> bool:
    """Say whether a text has at least one sign that can be seen.

    Spaces, control and zero-width signs, fillers and marks without a letter to stand on are nothing to read.
    """
    return any(unicodedata.category(sign)[0] not in "CZM" and sign not in BLANKS for sign in text)


def roubles(value: Decimal) -> str:
    """Return «1 234 567,89 ₽» with unbreakable spaces."""
    return f"{value:,.2f}".replace(",", NBSP).replace(".", ",") + f"{NBSP}₽"
