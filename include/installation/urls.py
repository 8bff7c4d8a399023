"""Database addresses: SQLAlchemy's spelling for the programs, libpq's for plain SQL."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"^postgres(?:ql)?(?:\+\w+)?://")


def with_driver(url: str, driver: str) -> str:
    """Return the address for SQLAlchemy with this driver, however it was written."""
    return _SCHEME.sub(f"postgresql+{driver}://", url)


def libpq(url: str) -> str:
    """Return the address for psycopg and the command line tools."""
    return _SCHEME.sub("postgresql://", url)
