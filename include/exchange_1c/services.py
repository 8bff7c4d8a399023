"""Use cases of the exchange with 1C: take the files that came in, apply them as one fact, put them away (R002-8)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import func, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from include.exchange_1c import folder as places
from include.exchange_1c.models import Exchange, ExchangeFile, ExchangeReject
from include.exchange_1c.reader import CommerceFile
from include.exchange_1c.records import ExchangeFileDamaged, ExchangeFileRefused, Limits
from include.exchange_1c.report import FULL_NOTE, SHOWN_REJECTS, in_words, not_loaded
from include.exchange_1c.rules import OFFICE_ZONE
from include.exchange_1c.staging import Remarks, Stage
from include.installation.places import Places
from include.notices.services import notify
from include.process.models import ProcessCase
from include.shared.db import Json, engine
from include.shared.errors import Conflict
from include.shared.work import INTEGRATION, Work, transaction
from include.staff.services import holders

EXCHANGE_LOCK = 1_031_077  # pg_advisory_lock: one exchange at a time in the whole installation
SETTLE_SECONDS = 5.0
RESPONSIBLE_ROLE = "one_c"
APPLIED_KEY = "on:event:exchange_applied"


class ExchangeBusy(Conflict):
    """Another exchange is being loaded at this moment."""


class FileChanged(Conflict):
    """1C wrote over a file while it was being read: nothing is applied, the next run takes it anew."""


@dataclass(frozen=True)
class Outcome:
    """How a look into the folder ended: empty, waiting (still being written), applied, repeated or failed."""

    state: str
    text: str
    exchange_id: int | None = None
    report: Json | None = None

    @property
    def is_failed(self) -> bool:
        """Say whether somebody must act."""
        return self.state == "failed"


@dataclass
class _Taken:
    """A file of the present exchange: as it arrived, as it is recorded, and its reader when it is readable."""

    arrived: places.Arrived
    sha256: str
    state: str = "received"
    error: str | None = None
    reader: CommerceFile | None = None
    file_id: int = 0


def receive(
    folder: Path | None = None,
    *,
    now: bool = False,
    settle_seconds: float = SETTLE_SECONDS,
    limits: Limits | None = None,
) -> Outcome:
    """Take the files of ``folder`` (default: exchange/1c/incoming of the installation) as ONE exchange (R002-8).

    Waits until nothing has grown for ``settle_seconds`` unless ``now``. A file that is no exchange file goes to
    failed/ and the others are loaded; a cut or broken one fails the whole exchange, and nothing is applied.
    ExchangeBusy when another run is at work. A crash at any point is put right by the next call.
    """
    incoming = folder or Places.from_environment().exchange / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    with _alone():
        _finish_interrupted(incoming)
        arrived = places.wait_until_complete(incoming, 0 if now else settle_seconds)
        if arrived is None:
            return Outcome("waiting", "Файлы обмена ещё пишутся: они будут взяты в следующий раз.")
        if not arrived:
            return Outcome("empty", "Новых файлов обмена нет.")
        taken = [_look_into(one, limits or Limits()) for one in arrived]
        exchange_id = _register(taken)
        try:
            _apply(exchange_id, taken)
        except (ExchangeFileDamaged, DataError, IntegrityError, psycopg.DataError, _NothingReadable) as error:
            _fail(exchange_id, taken, error)
        except (FileChanged, FileNotFoundError) as error:
            _give_up(exchange_id, f"Файл изменился во время чтения: {error}")
            msg = "1С перезаписала файл во время чтения. Ничего не загружено, следующий запуск возьмёт файлы заново."
            raise FileChanged(msg) from error
        return _put_away(exchange_id, incoming)


class _NothingReadable(Conflict):
    """Not one file of the exchange can be read."""


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the exchange's lock on a connection of its own; ExchangeBusy when somebody else holds it."""
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(select(func.pg_try_advisory_lock(EXCHANGE_LOCK))):
            msg = "Обмен уже идёт: дождитесь его конца и запустите снова."
            raise ExchangeBusy(msg)
        try:
            yield
        finally:
            with suppress(DBAPIError):  # a lost connection has lost the lock too
                connection.scalar(select(func.pg_advisory_unlock(EXCHANGE_LOCK)))


def _look_into(arrived: places.Arrived, limits: Limits) -> _Taken:
    """First pass over a file: can it be read at all (R002-8)."""
    if arrived.is_picture:
        return _Taken(arrived, places.sha256_of(arrived.path), "skipped", "картинки пока не загружаются")
    if not arrived.is_xml:
        kind = "Архивы" if arrived.path.suffix.lower() in {".zip", ".rar", ".7z", ".gz"} else "Такие файлы"
        error = f"{kind} пока не принимаются: положите в папку файлы XML из выгрузки 1С."
        return _Taken(arrived, places.sha256_of(arrived.path), "refused", error)
    reader = CommerceFile(arrived.path, limits)
    try:
        head = reader.inspect()
    except ExchangeFileRefused as refusal:
        return _Taken(arrived, places.sha256_of(arrived.path), "refused", str(refusal))
    return _Taken(arrived, head.sha256, reader=reader)


def _register(taken: list[_Taken]) -> int:
    """Record the exchange before anything is done, so that even a crash leaves its trace."""
    digest = hashlib.sha256("\n".join(sorted(one.sha256 for one in taken)).encode()).hexdigest()
    with transaction(INTEGRATION) as work:
        exchange = Exchange(source="folder", state="received", started_at=work.now, digest=digest)
        work.session.add(exchange)
        work.session.flush()
        for one in taken:
            row = ExchangeFile(
                exchange_id=exchange.id,
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
        return exchange.id


def _apply(exchange_id: int, taken: list[_Taken]) -> None:
    """Stage every readable file and apply all of them in this one transaction, with its audit and event."""
    with transaction(INTEGRATION) as work:
        exchange = work.session.get_one(Exchange, exchange_id, with_for_update=True)
        readable = [(one, one.reader) for one in taken if one.reader is not None]
        if not readable:
            msg = "среди файлов нет ни одного, который можно прочитать."
            raise _NothingReadable(msg)
        report = _base(exchange)
        first = work.session.scalar(
            select(func.min(Exchange.id)).where(Exchange.digest == exchange.digest, Exchange.state == "applied")
        )
        if first is not None:
            report["repeat_of"] = first
            for one, reader in readable:
                _write_file(work, one, reader, "applied")
        else:
            report |= _load(work, exchange_id, readable)
        exchange.state, exchange.finished_at = "applied", work.now
        work.session.flush()
        report["state"], report["files"] = "applied", _files(work, exchange_id)
        if any(one.arrived.is_picture for one in taken):
            pictures = sum(one.arrived.is_picture for one in taken)
            report.setdefault("not_loaded", {})["файлы картинок"] = pictures
        exchange.report = report
        if first is None:
            _tell(work, exchange_id, report)


def _load(work: Work, exchange_id: int, readable: list[tuple[_Taken, CommerceFile]]) -> Json:
    remarks = Remarks()
    stage = Stage(work, exchange_id, remarks)
    counts: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for one, reader in readable:
        try:
            stage.take(one.file_id, one.arrived.name, reader.records())
        except ExchangeFileRefused as refusal:
            one.error = str(refusal)
            msg = f"{one.arrived.name}: {refusal}"
            raise ExchangeFileDamaged(msg) from refusal
        if not one.arrived.is_same():
            raise FileChanged(one.arrived.name)
        counts.update(reader.counts)
        unknown.update(reader.unknown)
        _write_file(work, one, reader, "applied")
    result = stage.apply()
    notes = [FULL_NOTE] if any(reader.is_full for _, reader in readable) else []
    return {
        **result,
        "rejects": _rejects(work, exchange_id, stage.rejects),
        "remarks": remarks.as_json(),
        "not_loaded": not_loaded(counts),
        "unknown": dict(unknown),
        "notes": notes,
    }


def _write_file(work: Work, one: _Taken, reader: CommerceFile, state: str) -> None:
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


def _rejects(work: Work, exchange_id: int, count: int) -> Json:
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


def _tell(work: Work, exchange_id: int, report: Json) -> None:
    """Write the exchange's case, its audit row and its one event (ids and counts only)."""
    title = f"Обмен с 1С № {exchange_id} от {report['date']}"
    case = ProcessCase(key=f"exchange-{exchange_id}", kind="exchange", title=title)
    work.session.add(case)
    work.session.flush()
    counts = {key: report[key] for key in ("goods", "companies")} | {
        "rejects": report["rejects"]["count"],
        "refused_files": sum(one["state"] == "refused" for one in report["files"]),
    }
    work.audit(
        "exchange.applied",
        f"{title}: номенклатуры добавлено {report['goods']['added']}, изменено {report['goods']['changed']}; "
        f"контрагентов добавлено {report['companies']['added']}, изменено {report['companies']['changed']}; "
        f"в карантине {counts['rejects']}",
        entity="exchange",
        entity_id=exchange_id,
        case_id=case.id,
        after=counts,
    )
    work.emit(
        "exchange_applied",
        APPLIED_KEY,
        visit=f"exchange-{exchange_id}",
        case_id=case.id,
        payload={"exchange_id": exchange_id, **counts},
    )


def _fail(exchange_id: int, taken: list[_Taken], error: Exception) -> None:
    """Record that the exchange was not applied, and why; its files go to failed/."""
    reason = str(error) if isinstance(error, ExchangeFileRefused | Conflict) else f"База отказала: {_short(error)}"
    with transaction(INTEGRATION) as work:
        exchange = work.session.get_one(Exchange, exchange_id, with_for_update=True)
        for one in taken:
            if one.reader is not None:
                _write_file(work, one, one.reader, "failed")
        exchange.state, exchange.finished_at = "failed", work.now
        work.session.flush()
        report = _base(exchange)
        exchange.report = report | {"state": "failed", "error": reason, "files": _files(work, exchange_id)}
        told = holders(work.session, RESPONSIBLE_ROLE)
        notify(work, told, f"Обмен с 1С № {exchange_id} не загружен: {reason}", key=f"exchange-{exchange_id}/failed")
        work.audit(
            "exchange.failed",
            f"Обмен с 1С № {exchange_id} не загружен: {reason}",
            entity="exchange",
            entity_id=exchange_id,
        )


def _give_up(exchange_id: int, reason: str) -> None:
    """End an exchange whose files stay in the folder for the next one."""
    with transaction(INTEGRATION) as work:
        exchange = work.session.get_one(Exchange, exchange_id, with_for_update=True)
        exchange.state, exchange.finished_at, exchange.filed_at = "failed", work.now, work.now
        work.session.execute(
            update(ExchangeFile)
            .where(ExchangeFile.exchange_id == exchange_id, ExchangeFile.state == "received")
            .values(state="failed")
        )
        work.session.flush()
        report = _base(exchange)
        exchange.report = report | {"state": "failed", "error": reason, "files": _files(work, exchange_id)}


def _finish_interrupted(incoming: Path) -> None:
    """Put right what a crash left: decided exchanges get their files moved, undecided ones are begun anew."""
    with transaction(INTEGRATION) as work:
        open_ = work.session.execute(
            select(Exchange.id, Exchange.state).where(Exchange.filed_at.is_(None), Exchange.state != "held")
        ).all()
    for exchange_id, state in sorted((row[0], row[1]) for row in open_):
        if state == "received":
            _give_up(exchange_id, "Обмен был прерван до загрузки; файлы остались в папке и взяты новым обменом.")
        else:
            _put_away(exchange_id, incoming)


def _put_away(exchange_id: int, incoming: Path) -> Outcome:
    """Move the files of a decided exchange, write its report beside them and close it; safe to repeat."""
    with transaction(INTEGRATION) as work:
        exchange = work.session.get_one(Exchange, exchange_id)
        report, state, started = exchange.report, exchange.state, exchange.started_at
        rows = work.session.execute(
            select(ExchangeFile.name, ExchangeFile.sha256, ExchangeFile.state)
            .where(ExchangeFile.exchange_id == exchange_id)
            .order_by(ExchangeFile.id)
        ).all()
    name = f"{started.astimezone(OFFICE_ZONE):%Y-%m-%d}-{exchange_id}"
    words = in_words(report)
    wrong = [(row.name, row.sha256) for row in rows if state == "failed" or row.state == "refused"]
    right = [(row.name, row.sha256) for row in rows if (row.name, row.sha256) not in wrong]
    for room, files in (("failed", wrong), ("done", right)):
        if files:
            target = incoming.parent / room / name
            places.write_report(target, report, words)
            places.move(incoming, target, files)
    with transaction(INTEGRATION) as work:
        work.session.execute(update(Exchange).where(Exchange.id == exchange_id).values(filed_at=work.now))
    outcome = "repeated" if report.get("repeat_of") else state
    return Outcome(outcome, words, exchange_id, report)


def _base(exchange: Exchange) -> Json:
    return {
        "exchange": exchange.id,
        "date": f"{exchange.started_at.astimezone(OFFICE_ZONE):%d.%m.%Y %H:%M}",
        "digest": exchange.digest,
    }


def _files(work: Work, exchange_id: int) -> list[Json]:
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


def _short(error: Exception) -> str:
    cause: Any = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0][:300]
