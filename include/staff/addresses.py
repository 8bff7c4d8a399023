"""Addresses of work that a setting may turn into a role."""

from __future__ import annotations

from sqlalchemy.orm import Session

from include.shared import settings

SETTING = "setting:"


def settled(session: Session, address: str) -> str:
    """Return ``role:<code>`` while the setting of ``setting:<code>|<address>`` names a role, else its other address.

    Any other address is returned as it is.
    """
    if not address.startswith(SETTING):
        return address
    code, _, otherwise = address.removeprefix(SETTING).partition("|")
    role = settings.value_of(session, code, "")
    return f"role:{role}" if role else otherwise
