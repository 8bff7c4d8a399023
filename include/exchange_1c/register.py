"""What is recorded of an exchange and its files, and the report that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select, update

from include.exchange_1c.models import Exchange, ExchangeFile, ExchangeReject
from include.exchange_1c.parcels import Taken, digest_of
from include.exchange_1c.reader import CommerceFile
from include.exchange_1c.report import SHOWN_REJECTS
from include.exchange_1c.rules import OFFICE_ZONE
from include.shared.db import Json
from include.shared.work import INTEGRATION, Work, transaction


def register(taken: Sequence[Taken], *, source: str, place: str, package: str | None) -> int:
    """Record an exchange before anything is done, so that even a crash leaves its trace."""
    with transaction(INTEGRATION) as work:
        exchange = Exchange(
            source=source, package=package, place=place, state="received", started_at=work.now, digest=digest_of(taken)
        )
        work.session.add(exchange)
        work.session.flush()
        _record(work, exchange.id, taken)
        return exchange.id


def register_again(exchange_id: int, taken: Sequence[Taken]) -> None:
    """Record the files of an exchange anew: it waited, or its run was broken off before anything was applied."""
    with transaction(INTEGRATION) as work:
        exchange = work.session.get_one(Exchange, exchange_id, with_for_update=True)
        if exchange.source != "again":
            exchange.digest = digest_of(taken)
        work.session.execute(
            delete(ExchangeFile).where(ExchangeFile.exchange_id == exchange_id, ExchangeFile.archive_id.is_not(None))
        )
        work.session.execute(delete(ExchangeFile).where(ExchangeFile.exchange_id == exchange_id))
        _record(work, exchange_id, taken)


def _record(work: Work, exchange_id: int, taken: Sequence[Taken]) -> None:
    for outer in taken:
        for one in outer.all:
            row = ExchangeFile(
                exchange_id=exchange_id,
                archive_id=outer.file_id if one is not outer else None,
                name=one.arrived.name,
                sha256=one.sha256,
                size=one.arrived.size,
                encoding=one.reader.inspect().encoding if one.reader else None,
                state=one.state,
                error=one.error,
            )
            work.session.add(row)
            work.session.flush()
            one.file_id = row.id


def write_file(work: Work, one: Taken, reader: CommerceFile, state: str) -> None:
    """Record what a file held and what became of it."""
    work.session.execute(
        update(ExchangeFile)
        .where(ExchangeFile.id == one.file_id)
        .values(
            state=state,
            error=one.error,
            schema_version=reader.schema_version,
            is_full=reader.is_full,
            counts=dict(reader.counts),
        )
    )


def base(exchange: Exchange) -> Json:
    """Return what every report begins with."""
    return {
        "exchange": exchange.id,
        "date": f"{exchange.started_at.astimezone(OFFICE_ZONE):%d.%m.%Y %H:%M}",
        "digest": exchange.digest,
    }


def files_of(work: Work, exchange_id: int) -> list[Json]:
    """Return the files as the report tells of them."""
    rows = work.session.scalars(
        select(ExchangeFile).where(ExchangeFile.exchange_id == exchange_id).order_by(ExchangeFile.id)
    )
    return [
        {
            "name": row.name,
            "state": row.state,
            "size": row.size,
            "encoding": row.encoding,
            "version": row.schema_version,
            "is_full": row.is_full,
            "counts": row.counts,
            "error": row.error,
        }
        for row in rows
    ]


def rejects_of(work: Work, exchange_id: int, count: int) -> Json:
    """Return the first records of the quarantine and how many there are."""
    rows = work.session.execute(
        select(
            ExchangeFile.name,
            ExchangeReject.line,
            ExchangeReject.entity,
            ExchangeReject.external_id,
            ExchangeReject.reason,
        )
        .join(ExchangeFile, ExchangeFile.id == ExchangeReject.file_id)
        .where(ExchangeReject.exchange_id == exchange_id)
        .order_by(ExchangeReject.id)
        .limit(SHOWN_REJECTS)
    )
    names = ("file", "line", "entity", "external_id", "reason")
    return {"count": count, "rows": [dict(zip(names, row, strict=True)) for row in rows]}


def short(error: Exception) -> str:
    """Return what a database says of an error, in one line."""
    cause: Any = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0][:300]
