"""From the lines of a file to payments: COPY into a temporary table, then set-based statements, in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import msgspec
import psycopg
from sqlalchemy import text

from include.shared.db import Json, query_text
from include.shared.work import Work

# an integration may rightly run for minutes, unlike a page (ten seconds)
_PATIENCE = ("statement_timeout = '30min'", "lock_timeout = '30s'", "work_mem = '64MB'")
_COPY = (
    b"COPY stage_payment (seq, line, own_account_id, direction, internal, refund, base_key, kind, number, date, amount,"
    b" counter_account, counter_inn, counter_kpp, counter_name, purpose, mentions, details) FROM STDIN"
)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of a payment on an account of ours: what came to it or left it."""

    line: int
    own_account_id: int | None
    direction: str  # in | out
    internal: bool
    refund: bool
    base_key: str
    kind: str
    number: str
    date: dt.date
    amount: Decimal
    counter_account: str | None
    counter_inn: str | None
    counter_kpp: str | None
    counter_name: str
    purpose: str
    mentions: tuple[str, ...]
    details: Json


@dataclass(frozen=True)
class Turnover:
    """What the staged payments of an account make in one direction: all of them, and alike ones counted once."""

    total: Decimal
    number: int
    total_once: Decimal
    number_once: int


@dataclass(frozen=True)
class News:
    """What of a file is new: numbers of payments and their sums in roubles; ``twins`` came from another source."""

    incoming: int
    outgoing: int
    internal: int
    repeated: int
    twins: int
    incoming_sum: Decimal
    outgoing_sum: Decimal


class Stage:
    """The temporary table of one file inside its transaction."""

    def __init__(self, work: Work, source: str) -> None:
        self.work = work
        self.source = source
        self.staged = 0
        for value in _PATIENCE:
            work.session.execute(text("SELECT set_config(:name, :value, true)"), _setting(value))
        work.session.execute(text(query_text("money/create_stage")))

    def take(self, legs: Iterable[Leg]) -> None:
        """Bring the legs into the table as they come; what ``legs`` raises passes through, nothing is loaded then."""
        # psycopg's own connection inside SQLAlchemy's: COPY belongs to the same transaction
        raw = self.work.session.connection().connection.driver_connection
        connection = cast("psycopg.Connection[Any]", raw)
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for leg in legs:
                self.staged += 1
                copy.write_row(_row(self.staged, leg))
        self.work.session.execute(text("ANALYZE stage_payment (seq, base_key, counter_inn, direction)"))

    def sums(self) -> dict[tuple[int | None, str], Turnover]:
        """Return the turnover of each account and direction."""
        rows = self.work.session.execute(text(query_text("money/stage_sums")))
        return {
            (row.own_account_id, row.direction): Turnover(row.total, row.number, row.total_once, row.number_once)
            for row in rows
        }

    def keep_once(self, own_account_id: int | None, direction: str) -> None:
        """Take away the payments of an account that stand in the file twice."""
        values = {"own_account_id": own_account_id, "direction": direction}
        self.work.session.execute(text(query_text("money/keep_once")), values)

    def news(self) -> News:
        """Find out what is not loaded yet; called once, before ``apply``."""
        self.work.session.execute(text(query_text("money/new_payments")), {"source": self.source})
        self.work.session.execute(text("ANALYZE new_payment (seq)"))
        row = self.work.session.execute(text(query_text("money/count_new"))).one()
        return News(**row._mapping)

    def apply(self, statement_id: int) -> int:
        """Bring what is new into the table of payments; returns how many there were."""
        values = {"statement_id": statement_id, "source": self.source}
        result = cast("Any", self.work.session.execute(text(query_text("money/load_payments")), values))
        return int(result.rowcount)


def _setting(value: str) -> dict[str, str]:
    name, _, said = value.partition(" = ")
    return {"name": name, "value": said.strip("'")}


def _row(seq: int, leg: Leg) -> tuple[Any, ...]:
    return (
        seq, leg.line, leg.own_account_id, leg.direction, leg.internal, leg.refund, leg.base_key, leg.kind, leg.number,
        leg.date, leg.amount, leg.counter_account, leg.counter_inn, leg.counter_kpp, leg.counter_name, leg.purpose,
        list(leg.mentions), _encode(leg.details).decode() if leg.details else "{}",
    )  # fmt: skip
