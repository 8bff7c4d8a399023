"""What text the database can hold: everything a person can write, and nothing that only breaks."""

from __future__ import annotations

from typing import Any


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
