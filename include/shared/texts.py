"""What text the database can hold: everything a person can write, and nothing that only breaks; sums in words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

NBSP = "\u00a0"


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


def roubles(value: Decimal) -> str:
    """Return «1 234 567,89 ₽» with unbreakable spaces."""
    return f"{value:,.2f}".replace(",", NBSP).replace(".", ",") + f"{NBSP}₽"
