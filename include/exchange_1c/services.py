"""Use cases of the exchange with 1C: take what came in, apply each exchange as one fact, put its files away (R002-8).

An exchange that would put too much out of use is held until a person decides (``holding``); whatever comes meanwhile
waits behind it, in order. A crash at any point is put right by the next ``receive``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import func, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError

from include.exchange_1c import folder as places
from include.exchange_1c import register
from include.exchange_1c.applying import FileChanged, NothingReadable, Only, TooMuchAbsent, apply
from include.exchange_1c.models import Exchange, ExchangeFile, ExchangeReject
from include.exchange_1c.parcels import Taken, look_into, readable
from include.exchange_1c.records import ExchangeFileDamaged, ExchangeFileRefused, Limits
from include.exchange_1c.report import in_words
from include.exchange_1c.rules import OFFICE_ZONE
from include.installation.places import Places
from include.money import matching
from include.notices.services import notify
from include.shared.db import Json, engine
from include.shared.errors import Conflict
from include.shared.work import INTEGRATION, reading, transaction
from include.staff.services import holders

EXCHANGE_LOCK = 1_031_077  # pg_advisory_lock: one exchange at a time in the whole installation
SETTLE_SECONDS = 5.0
RESPONSIBLE_ROLE = "one_c"
NO_ROOM = "На диске кончилось место. Ничего не загружено, файлы целы: освободите место и запустите загрузку снова."
WAITS = "Обмен № {number} ждёт: сначала решите об обмене № {held}."

__all__ = ["ExchangeBusy", "FileChanged", "NoRoom", "Outcome", "Progress", "progress", "receive"]


class ExchangeBusy(Conflict):
    """Another exchange is being loaded at this moment."""


class NoRoom(Conflict):
    """A disk is full: nothing is applied, nothing is lost, the next run takes everything anew."""


@dataclass(frozen=True)
class Outcome:
    """How a look into the folder ended: empty, waiting (being written), applied, repeated, held, queued or failed."""

    state: str
    text: str
    exchange_id: int | None = None
    report: Json | None = None

    @property
    def is_failed(self) -> bool:
        """Say whether somebody must act."""
        return self.state == "failed"


@dataclass(frozen=True)
class Progress:
    """Where the loading of a package stands: waiting, loading, held, applied, repeated or failed."""

    state: str
    text: str = ""


_WORST_FIRST = ("failed", "held", "queued", "applied", "repeated", "replaced", "waiting", "empty")


def receive(
    folder: Path | None = None,
    *,
    now: bool = False,
    settle_seconds: float = SETTLE_SECONDS,
    limits: Limits | None = None,
) -> Outcome:
    """Take what waits and what has come into ``folder``, by default exchange/1c/incoming of the installation (R002-8).

    First what people have decided about and what waited behind it; then each package that came over HTTP, and all the
    loose files as ONE exchange, once nothing has grown for ``settle_seconds`` (unless ``now``). A file that is no
    exchange file goes to failed/ and the others are loaded; a cut or broken one fails its whole exchange.
    ExchangeBusy when another run is at work, NoRoom when a disk is full.
    """
    incoming = folder or Places.from_environment().exchange / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    with _alone():
        try:
            outcomes = list(_Intake(incoming, limits or Limits()).everything(0 if now else settle_seconds))
        except (OSError, ExchangeFileDamaged, OperationalError, psycopg.OperationalError) as error:
            if not _is_full_disk(error):
                raise
            raise NoRoom(NO_ROOM) from error
    if len(outcomes) <= 1:
        return outcomes[0] if outcomes else Outcome("empty", "Новых файлов обмена нет.")
    worst = min(outcomes, key=lambda one: _WORST_FIRST.index(one.state))
    return Outcome(worst.state, "\n".join(one.text for one in outcomes), worst.exchange_id, worst.report)


def progress(package: str) -> Progress:
    """Say where the loading of a package stands that came over HTTP; 1C asks it again and again."""
    with reading() as session:
        found = session.scalars(
            select(Exchange).where(Exchange.package == package).order_by(Exchange.id.desc()).limit(1)
        ).first()
        if found is None or (found.state == "failed" and found.report.get("interrupted")):
            return Progress("waiting")
        number, report, state = found.id, found.report, found.state
    if state == "applied":
        goods, companies = report.get("goods", {}), report.get("companies", {})
        counts = f"товаров {goods.get('taken', 0)}, контрагентов {companies.get('taken', 0)}"
        loaded = f"Обмен № {number} загружен: {counts}."
        return Progress("repeated") if report.get("repeat_of") else Progress("applied", loaded)
    if state in ("failed", "replaced"):
        return Progress("failed", f"Обмен № {number} не загружен: {report.get('error', 'причина в отчёте')}")
    return Progress("loading") if state == "received" else Progress("held")


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


def _is_full_disk(error: BaseException | None) -> bool:
    """Say whether an error, or what it came from, is that of a full disk: ours or PostgreSQL's."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        if isinstance(getattr(error, "orig", error), psycopg.errors.DiskFull):
            return True
        error = error.__cause__
    return False


class _Intake:
    """One pass over everything, alone in the installation."""

    def __init__(self, incoming: Path, limits: Limits) -> None:
        self.incoming = incoming
        self.home = incoming.parent
        self.limits = limits

    def everything(self, settle_seconds: float) -> Iterator[Outcome]:
        """Put right what a crash left, then take what waited, then what has come."""
        self._finish_interrupted()
        yield from self._waiting()
        for package in places.packages(self.incoming):
            place = f"{self.incoming.name}/{package.name}"
            yield self._new(places.look(package), source="http", place=place, package=package.name)
        arrived = places.wait_until_complete(self.incoming, settle_seconds)
        if arrived is None:
            yield Outcome("waiting", "Файлы обмена ещё пишутся: они будут взяты в следующий раз.")
        elif arrived:
            yield self._new(arrived, source="folder", place=self.incoming.name, package=None)

    # --- what has come ----------------------------------------------------------------------------

    def _new(self, arrived: list[places.Arrived], *, source: str, place: str, package: str | None) -> Outcome:
        taken = look_into(arrived, self.home / places.WORKSHOP, self.limits)
        exchange_id = register.register(taken, source=source, place=place, package=package)
        held = _first_waiting()
        if held is not None:
            return self._queue(exchange_id, taken, held)
        return self._settle(exchange_id, taken)

    def _queue(self, exchange_id: int, taken: list[Taken], held: int) -> Outcome:
        """Let an exchange wait behind the held one; what it holds is counted, for the person who decides."""
        for _, reader in readable(taken):
            with suppress(ExchangeFileRefused):  # said when its turn comes
                for _ in reader.records():
                    pass
        self._keep(exchange_id, taken, "queued", {})
        return Outcome("queued", WAITS.format(number=exchange_id, held=held), exchange_id)

    # --- what waited ------------------------------------------------------------------------------

    def _waiting(self) -> Iterator[Outcome]:
        """Carry out decisions and take the exchanges that a person asked for, then the queue, until one is held."""
        while True:
            with reading() as session:
                row = session.execute(
                    select(Exchange.id, Exchange.state, Exchange.source, Exchange.decision)
                    .where(Exchange.filed_at.is_(None), Exchange.state.in_(("held", "queued", "received")))
                    .order_by(Exchange.state != "held", Exchange.id)
                    .limit(1)
                ).first()
            if row is None or (row.state == "held" and row.decision is None):
                return
            if row.decision == "refuse":
                yield self._refuse(row.id)
            elif row.source == "again":
                yield self._take_again(row.id, row.decision)
            else:
                yield self._resume(row.id, row.decision)

    def _resume(self, exchange_id: int, decision: str | None) -> Outcome:
        with reading() as session:
            place = session.get_one(Exchange, exchange_id).place
        arrived = places.look(self.home / place)
        taken = look_into(arrived, self.home / places.WORKSHOP, self.limits)
        register.register_again(exchange_id, taken)
        return self._settle(exchange_id, taken, decision=decision)

    def _refuse(self, exchange_id: int) -> Outcome:
        with transaction(INTEGRATION) as work:
            exchange = work.session.get_one(Exchange, exchange_id, with_for_update=True)
            reason = f"отказано человеком: {exchange.decision_reason}"
            exchange.state, exchange.finished_at = "failed", work.now
            exchange.report = exchange.report | {"state": "failed", "error": reason}
        return self._put_away(exchange_id)

    def _take_again(self, exchange_id: int, decision: str | None) -> Outcome:
        with reading() as session:
            exchange = session.get_one(Exchange, exchange_id)
            origin = origin_of(exchange.retake_of or 0)
            arrived = filed_files(self.home, origin)
            whole = session.get_one(Exchange, origin).state == "failed"  # nothing of it was ever applied
            only: Only | None = None if whole else quarantine_of(origin)
        taken = look_into(arrived, self.home / places.WORKSHOP, self.limits)
        register.register_again(exchange_id, taken)
        return self._settle(exchange_id, taken, decision=decision, only=only)

    # --- one exchange -----------------------------------------------------------------------------

    def _settle(
        self, exchange_id: int, taken: list[Taken], *, decision: str | None = None, only: Only | None = None
    ) -> Outcome:
        """Apply an exchange, or hold it, or say why not; then put its files where they belong."""
        try:
            report = apply(exchange_id, taken, decision=decision, only=only)
        except TooMuchAbsent as asked:
            return self._hold(exchange_id, taken, asked)
        except (ExchangeFileDamaged, DataError, IntegrityError, psycopg.DataError, NothingReadable) as error:
            damage = next((one.damage for one in taken if one.damage is not None), None)
            if _is_full_disk(error) or _is_full_disk(damage):
                _give_up(exchange_id, NO_ROOM)
                raise NoRoom(NO_ROOM) from error
            _fail(exchange_id, taken, error)
        except (FileChanged, FileNotFoundError) as error:
            _give_up(exchange_id, f"Файл изменился во время чтения: {error}")
            msg = "1С перезаписала файл во время чтения. Ничего не загружено, следующий запуск возьмёт файлы заново."
            raise FileChanged(msg) from error
        else:
            if report.get("invoices"):
                matching.run(INTEGRATION)  # payments may have waited for these very invoices
        return self._put_away(exchange_id)

    def _hold(self, exchange_id: int, taken: list[Taken], asked: TooMuchAbsent) -> Outcome:
        self._keep(exchange_id, taken, "held", asked.report)
        return Outcome("held", f"Обмен с 1С № {exchange_id} ждёт решения: {asked}", exchange_id, asked.report)

    def _keep(self, exchange_id: int, taken: list[Taken], state: str, report: Json) -> None:
        """Put an exchange aside: first it is said in the database, then its files go to a folder of its own."""
        with transaction(INTEGRATION) as work:
            exchange = work.session.get_one(Exchange, exchange_id, with_for_update=True)
            for one, reader in readable(taken):
                register.write_file(work, one, reader, "received")
            work.session.flush()
            exchange.state = state
            exchange.report = register.base(exchange) | report | {
                "state": state, "files": register.files_of(work, exchange_id), "from": exchange.place,
            }  # fmt: skip
            if exchange.source != "again":  # whose files were put away long ago
                exchange.place = f"held/{exchange_id}"
            if state == "held":
                held = report["held"]
                said = (
                    f"Обмен с 1С № {exchange_id} остановлен: снялось бы {held['would_deactivate']} из "
                    f"{held['in_scope']} товаров. Решите на странице обмена."
                )
                told = holders(work.session, RESPONSIBLE_ROLE)
                notify(work, told, said, key=f"exchange-{exchange_id}/held")
                work.audit("exchange.held", said, entity="exchange", entity_id=exchange_id)
        self._move_aside(exchange_id)

    def _move_aside(self, exchange_id: int) -> None:
        """Bring the files of a waiting exchange to its folder; safe to repeat."""
        with reading() as session:
            exchange = session.get_one(Exchange, exchange_id)
            came_to, place = exchange.report.get("from"), exchange.place
        if came_to is None or came_to == place:
            return
        places.move(self.home / came_to, self.home / place, _outer_files(exchange_id))
        if came_to != self.incoming.name:
            places.remove_empty(self.home / came_to)

    def _finish_interrupted(self) -> None:
        """Put right what a crash left: decided exchanges get their files moved, undecided ones are begun anew."""
        with reading() as session:
            open_ = session.execute(
                select(Exchange.id, Exchange.state, Exchange.source)
                .where(Exchange.filed_at.is_(None))
                .order_by(Exchange.id)
            ).all()
        for exchange_id, state, source in open_:
            if state in ("held", "queued"):
                self._move_aside(exchange_id)
            elif state != "received":
                self._put_away(exchange_id)
            elif source != "again":
                _give_up(exchange_id, "Обмен был прерван до загрузки; файлы остались в папке и взяты новым обменом.")

    def _put_away(self, exchange_id: int) -> Outcome:
        """Move the files of a decided exchange, write its report beside them and close it; safe to repeat."""
        with reading() as session:
            exchange = session.get_one(Exchange, exchange_id)
            report, state, place, source = exchange.report, exchange.state, exchange.place, exchange.source
            name = filed_name(exchange)
            rows = session.execute(
                select(ExchangeFile.name, ExchangeFile.sha256, ExchangeFile.state)
                .where(ExchangeFile.exchange_id == exchange_id, ExchangeFile.archive_id.is_(None))
                .order_by(ExchangeFile.id)
            ).all()
        words = in_words(report)
        ended_badly = state in ("failed", "replaced")
        wrong = [(row.name, row.sha256) for row in rows if ended_badly or row.state == "refused"]
        right = [(row.name, row.sha256) for row in rows if (row.name, row.sha256) not in wrong]
        for room, files in (("failed", wrong), ("done", right)):
            if files and source != "again":  # whose files were put away long ago
                target = self.home / room / name
                places.write_report(target, report, words)
                places.move(self.home / place, target, files)
        if place != self.incoming.name:
            places.remove_empty(self.home / place)
        with transaction(INTEGRATION) as work:
            work.session.execute(update(Exchange).where(Exchange.id == exchange_id).values(filed_at=work.now))
        outcome = "repeated" if report.get("repeat_of") else state
        return Outcome(outcome, words, exchange_id, report)


def _first_waiting() -> int | None:
    with reading() as session:
        return session.scalar(
            select(func.min(Exchange.id)).where(Exchange.filed_at.is_(None), Exchange.state.in_(("held", "queued")))
        )


def _outer_files(exchange_id: int) -> list[tuple[str, str]]:
    with reading() as session:
        rows = session.execute(
            select(ExchangeFile.name, ExchangeFile.sha256)
            .where(ExchangeFile.exchange_id == exchange_id, ExchangeFile.archive_id.is_(None))
            .order_by(ExchangeFile.id)
        )
        return [(row.name, row.sha256) for row in rows]


def origin_of(exchange_id: int) -> int:
    """Return the exchange that brought the files which this one takes again; itself when it brought its own."""
    with reading() as session:
        while (above := session.get_one(Exchange, exchange_id).retake_of) is not None:
            exchange_id = above
    return exchange_id


def filed_name(exchange: Exchange) -> str:
    """Return the name of the folder in done/ and failed/ where its files lie."""
    return f"{exchange.started_at.astimezone(OFFICE_ZONE):%Y-%m-%d}-{exchange.id}"


def filed_files(home: Path, exchange_id: int) -> list[places.Arrived]:
    """Return the files of a finished exchange as they lie in done/ and failed/, the refused ones too."""
    with reading() as session:
        name = filed_name(session.get_one(Exchange, exchange_id))
    rooms = [home / room / name for room in ("done", "failed")]
    return [one for room in rooms if room.is_dir() for one in places.look(room)]


def quarantine_of(origin: int) -> set[tuple[str, str]]:
    """Return the records (entity, Ид) that still stand in the quarantine of an exchange and of its repetitions."""
    with reading() as session:
        family = select(Exchange.id).where((Exchange.id == origin) | (Exchange.retake_of == origin))
        rows = session.execute(
            select(ExchangeReject.entity, ExchangeReject.external_id).where(
                ExchangeReject.exchange_id.in_(family),
                ExchangeReject.resolved_at.is_(None),
                ExchangeReject.external_id.is_not(None),
            )
        )
        return {(row.entity, row.external_id) for row in rows}


def _fail(exchange_id: int, taken: list[Taken], error: Exception) -> None:
    """Record that the exchange was not applied, and why; its files go to failed/."""
    known = isinstance(error, ExchangeFileRefused | Conflict)
    reason = str(error) if known else f"База отказала: {register.short(error)}"
    with transaction(INTEGRATION) as work:
        exchange = work.session.get_one(Exchange, exchange_id, with_for_update=True)
        for one, reader in readable(taken):
            register.write_file(work, one, reader, "failed")
        exchange.state, exchange.finished_at = "failed", work.now
        work.session.flush()
        files = register.files_of(work, exchange_id)
        exchange.report = register.base(exchange) | {"state": "failed", "error": reason, "files": files}
        told = holders(work.session, RESPONSIBLE_ROLE)
        notify(work, told, f"Обмен с 1С № {exchange_id} не загружен: {reason}", key=f"exchange-{exchange_id}/failed")
        work.audit(
            "exchange.failed",
            f"Обмен с 1С № {exchange_id} не загружен: {reason}",
            entity="exchange",
            entity_id=exchange_id,
        )


def _give_up(exchange_id: int, reason: str) -> None:
    """End an exchange whose files stay in the folder for the next one; one that waited goes on waiting."""
    with transaction(INTEGRATION) as work:
        exchange = work.session.get_one(Exchange, exchange_id, with_for_update=True)
        if exchange.state != "received" or exchange.source == "again":
            return
        exchange.state, exchange.finished_at, exchange.filed_at = "failed", work.now, work.now
        work.session.execute(
            update(ExchangeFile)
            .where(ExchangeFile.exchange_id == exchange_id, ExchangeFile.state == "received")
            .values(state="failed")
        )
        work.session.flush()
        files = register.files_of(work, exchange_id)
        exchange.report = register.base(exchange) | {
            "state": "failed", "error": reason, "files": files, "interrupted": True,
        }  # fmt: skip
