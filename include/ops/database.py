"""Short read-only connections of the checks: apart from every pool, so that a full pool does not silence them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from include.shared.db import query_text

Connection = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
_NAMED = re.compile(r"(?<![:\w]):([a-z_]+)")


def connect(url: str) -> Connection:
    """Open a connection (libpq address) that can change nothing and waits for nothing long."""
    limits = "-c statement_timeout=20000 -c default_transaction_read_only=on"
    return psycopg.connect(url, connect_timeout=3, options=limits, row_factory=dict_row, autocommit=True)


def ask(connection: Connection, name: str, **values: Any) -> list[Row]:
    """Run ``sql/queries/<name>.sql``, whose parameters are written as SQLAlchemy wants them."""
    written = _NAMED.sub(r"%(\1)s", query_text(name).replace("%", "%%"))
    return connection.execute(written, values).fetchall()


def one(connection: Connection, query: str, values: Mapping[str, Any] | list[Any] | None = None) -> Row:
    """Return the one row of a question."""
    return connection.execute(query, values).fetchall()[0]
