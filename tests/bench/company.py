"""A company at its full size in an empty database: 20,000 deals, 100,000 tasks, and what stands around them.

It is written by SQL in about a minute (through the services it would take a day); its facts are those that the
services would leave, so that sql/queries/ops/invariants.sql finds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psycopg
from sqlalchemy import text

from include.shared.db import engine
from include.shared.work import transaction
from include.staff import admin

FACTS = Path(__file__).with_suffix(".sql")
PASSWORD = "bench-2026"


@dataclass(frozen=True)
class Size:
    """How large the company is; there are five tasks a deal, and two of those of a live deal are open."""

    deals: int = 20_000
    people: int = 200
    departments: int = 20
    companies: int = 5_000
    approvals: int = 2_000


#: Who looks at the pages: a manager and the head of his department (ids are given by company.sql), an administrator.
LOGINS = {"manager": (42, "staff"), "head": (2, "staff"), "admin": (43, "admin")}


def found(size: Size | None = None) -> None:
    """Write the company; the reference data are there, people and deals are not."""
    size = size or Size()
    with engine().connect() as connection:
        raw = cast("psycopg.Connection[tuple[object, ...]]", connection.connection.driver_connection)
        for statement in FACTS.read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                raw.execute(statement.encode(), vars(size))
        _continue_counting(raw)
        raw.commit()
    _let_in(size)
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("RESET statement_timeout"))


def _continue_counting(raw: psycopg.Connection[tuple[object, ...]]) -> None:
    """The next id of each table that was given its ids follows the last one."""
    for table in (
        "department", "person", "company", "process_case", "deal", "stage_visit", "process_scheme", "process_instance",
        "task", "step_state", "approval",
    ):  # fmt: skip
        raw.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}".encode())


def _let_in(size: Size) -> None:
    with transaction() as work:
        for login, (person, access) in LOGINS.items():
            admin.set_account(work, 1 + (person - 1) % size.people, login, PASSWORD, access)
