"""Use cases of retention: old rows of ended cases go in batches, each one transaction; live cases are not touched.

A pass that dies is simply run again: what is gone is gone, the rest is found by the same questions. Airflow's side is
done by the engine (``backoffice.retention``), for workers may not touch Airflow's database; the pass is the hand-over.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from include.documents.models import FileVersion
from include.installation.places import Places
from include.retention import folders, rules
from include.retention.models import RetentionPass
from include.shared import clock
from include.shared.db import engine, query_text
from include.shared.errors import BackofficeError
from include.shared.settings import value_of
from include.shared.work import Actor, reading, transaction

BATCH = 500
PASSES_KEPT = timedelta(days=400)
AIRFLOW_LOCK = 1_031_078  # pg_advisory_lock: one engine at a time cleans Airflow's side
RETENTION = Actor(kind="retention")

#: Rows of ended cases, and rows that belong to no case.
OF_CASES = {
    "retention_events_days": """
        DELETE FROM outbox_event
         WHERE case_id = ANY(:cases) AND state = 'done' AND coalesce(done_at, created_at) < :before
    """,
    "retention_notices_days": "DELETE FROM notice WHERE case_id = ANY(:cases) AND created_at < :before",
    "retention_links_days": """
        DELETE FROM decision_link link USING approval_seat seat, approval
         WHERE seat.id = link.seat_id AND approval.id = seat.approval_id
           AND approval.case_id = ANY(:cases) AND link.expires_at < :before
    """,
}
OF_NOBODY = (
    (
        "retention_events_days",
        """
        DELETE FROM outbox_event WHERE id IN (
            SELECT id FROM outbox_event
             WHERE case_id IS NULL AND state = 'done' AND coalesce(done_at, created_at) < :before
             ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
        """,
    ),
    (
        "retention_notices_days",
        """
        DELETE FROM notice WHERE id IN (
            SELECT id FROM notice WHERE case_id IS NULL AND read_at < :before
             ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
        """,
    ),
    (
        "retention_exchange_days",
        """
        DELETE FROM exchange_reject WHERE id IN (
            SELECT id FROM exchange_reject WHERE resolved_at < :before
             ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
        """,
    ),
    (
        "retention_exchange_days",
        """
        DELETE FROM exchange_change WHERE id IN (
            SELECT change.id
              FROM exchange
              JOIN exchange_change AS change ON change.exchange_id = exchange.id
             WHERE exchange.finished_at < :before
             ORDER BY change.id LIMIT :limit FOR UPDATE OF change SKIP LOCKED)
        """,
    ),
    (  # a visit of 1C with what it sent; one that took orders is named by them and stays
        "retention_exchange_days",
        """
        WITH old AS (
            SELECT id FROM one_c_session AS visit
             WHERE visit.seen_at < :before
               AND NOT EXISTS (SELECT 1 FROM order_batch WHERE order_batch.session_id = visit.id)
               AND NOT EXISTS (
                   SELECT 1 FROM one_c_package AS package
                    WHERE package.session_id = visit.id AND package.state = 'receiving')
             ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED),
        files AS (
            DELETE FROM one_c_file USING one_c_package AS package, old
             WHERE package.id = one_c_file.package_id AND package.session_id = old.id),
        packages AS (DELETE FROM one_c_package USING old WHERE one_c_package.session_id = old.id)
        DELETE FROM one_c_session USING old WHERE one_c_session.id = old.id
        """,
    ),
)


class AirflowNotCleaned(BackofficeError):
    """No engine has cleaned Airflow's side in time."""


@dataclass(frozen=True)
class Cutoffs:
    """Before which moment each kind may go: of the business's time, and of the machine's."""

    business: Mapping[str, datetime | None]
    machine: Mapping[str, datetime | None]


@dataclass(frozen=True)
class Pass:
    """A pass as it stands."""

    id: int
    asked_at: datetime
    finished_at: datetime | None
    removed: dict[str, int]

    @property
    def text(self) -> str:
        """Say what it removed."""
        return rules.told(self.removed)


def cutoffs() -> Cutoffs:
    """Read the settings."""
    with reading() as session:
        now, machine = clock.now(session), clock.machine_now()
        days = {code: int(value_of(session, code, kind.days)) for code, kind in rules.KINDS.items()}
    return Cutoffs(
        {code: rules.cutoff(now, number) for code, number in days.items()},
        {code: rules.cutoff(machine, number) for code, number in days.items()},
    )


# --- our own side (a worker) ----------------------------------------------------------------------


def begin() -> int:
    """Ask for a pass, or join the one that is not finished; returns its number."""
    with transaction(RETENTION) as work:
        open_one = select(RetentionPass.id).where(RetentionPass.finished_at.is_(None)).order_by(RetentionPass.id)
        known = work.session.scalar(open_one.limit(1))
        if known is not None:
            return known
        made = RetentionPass(asked_at=clock.machine_now(), removed={})
        work.session.add(made)
        work.session.flush()
        return made.id


def clean(pass_id: int | None = None, *, dry: bool = False, batch: int = BATCH) -> dict[str, int]:
    """Remove what is old of ended cases, of nobody and of the exchange's folders; `dry` only counts.

    Each batch is one transaction and is written into the pass with it.
    """
    moments, removed = cutoffs(), Counter[str]()
    for counts in (*_of_cases(moments, batch, pass_id, dry=dry), *_of_nobody(moments, batch, pass_id, dry=dry)):
        removed.update(counts)
    put_away = moments.machine["retention_exchange_days"]
    if put_away is not None:
        files = folders.clean_exchange(Places.from_environment().exchange, put_away, dry=dry)
        removed["retention_exchange_days"] += files
        if not dry and pass_id is not None and files:
            add(pass_id, {"retention_exchange_days": files})
    return dict(removed)


def _of_cases(moments: Cutoffs, batch: int, pass_id: int | None, *, dry: bool) -> Iterator[Counter[str]]:
    wanted = {code: moment for code in OF_CASES if (moment := moments.business[code]) is not None}
    after = 0
    while wanted:
        with transaction(RETENTION) as work:
            values = {"before": max(wanted.values()), "after": after, "limit": batch}
            cases = work.session.execute(text(query_text("retention/ended_cases")), values).all()
            counts = Counter[str]()
            with work.session.begin_nested() as attempt:
                for code, moment in wanted.items():
                    ended = [case_id for case_id, ended_at in cases if ended_at < moment]
                    own = moments.machine[code] if code == "retention_events_days" else moment
                    counts[code] = (
                        _delete(work.session, OF_CASES[code], {"cases": ended, "before": own}) if ended else 0
                    )
                if dry:
                    attempt.rollback()
            if not dry:
                _add(work.session, pass_id, counts)
        yield counts
        if len(cases) < batch:
            return
        after = cases[-1].id


def _of_nobody(moments: Cutoffs, batch: int, pass_id: int | None, *, dry: bool) -> Iterator[Counter[str]]:
    for code, query in OF_NOBODY:
        moment = (moments.machine if code == "retention_events_days" else moments.business)[code]
        if moment is None:
            continue
        values = {"before": moment, "limit": batch}
        if dry:
            yield Counter({code: _count_nobodys(query, values)})
            continue
        gone = batch
        while gone == batch:
            with transaction(RETENTION) as work:
                gone = _delete(work.session, query, values)
                _add(work.session, pass_id, {code: gone})
            yield Counter({code: gone})


def _count_nobodys(query: str, values: Mapping[str, Any]) -> int:
    """Remove batch by batch and take it all back: what has been counted is out of the way of the next batch."""
    counted = 0
    with transaction(RETENTION) as work, work.session.begin_nested() as attempt:
        while gone := _delete(work.session, query, values):
            counted += gone
        attempt.rollback()
    return counted


def _delete(session: Session, query: str, values: Mapping[str, Any]) -> int:
    return int(session.execute(text(query), dict(values)).rowcount)  # type: ignore[attr-defined]


def _add(session: Session, pass_id: int | None, counts: Mapping[str, int]) -> None:
    if pass_id is None or not any(counts.values()):
        return
    row = session.get_one(RetentionPass, pass_id, with_for_update=True, populate_existing=True)
    row.removed = dict(Counter(row.removed) + Counter(counts))


# --- Airflow's side (the engine) ------------------------------------------------------------------


@contextmanager
def taken() -> Iterator[int | None]:
    """Give the oldest unfinished pass, for this engine alone; None when there is none or another one is at it."""
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(select(func.pg_try_advisory_lock(AIRFLOW_LOCK))):
            yield None
            return
        try:
            waiting = select(RetentionPass.id).where(RetentionPass.finished_at.is_(None)).order_by(RetentionPass.id)
            yield connection.scalar(waiting.limit(1))
        finally:
            with suppress(DBAPIError):  # a lost connection has lost the lock too
                connection.scalar(select(func.pg_advisory_unlock(AIRFLOW_LOCK)))


def kept_runs(runs: Iterable[tuple[str, str]], before: datetime) -> set[tuple[str, str]]:
    """Return those of the finished runs that must stay: their case lives, or ended only after the moment."""
    asked = list(runs)
    values = {"processes": [one[0] for one in asked], "run_ids": [one[1] for one in asked], "before": before}
    with reading() as session:
        return {(process, run) for process, run in session.execute(text(query_text("retention/kept_runs")), values)}


def named_contents(hashes: Iterable[str]) -> set[str]:
    """Return those of the contents that a version names."""
    with reading() as session:
        return set(session.scalars(select(FileVersion.content_hash).where(FileVersion.content_hash.in_(list(hashes)))))


def add(pass_id: int, counts: Mapping[str, int]) -> None:
    """Write what a batch removed into the pass."""
    with transaction(RETENTION) as work:
        _add(work.session, pass_id, counts)


def finish(pass_id: int) -> None:
    """Say that Airflow's side is done; passes of long ago go."""
    with transaction(RETENTION) as work:
        now = clock.machine_now()
        row = update(RetentionPass).where(RetentionPass.id == pass_id, RetentionPass.finished_at.is_(None))
        work.session.execute(row.values(finished_at=now))
        old = text("DELETE FROM retention_pass WHERE finished_at < :before")
        work.session.execute(old, {"before": now - PASSES_KEPT})


def wait_finished(pass_id: int, *, seconds: float = 3600, step: float = 2) -> Pass:
    """Wait until an engine has done Airflow's side; AirflowNotCleaned when none does."""
    until = time.monotonic() + seconds
    while (found := seen(pass_id)).finished_at is None:
        if time.monotonic() > until:
            msg = "Двигатель не убрал старые прогоны Airflow: смотрите logs/engine.log (слово retention)."
            raise AirflowNotCleaned(msg)
        time.sleep(step)
    return found


def seen(pass_id: int | None = None) -> Pass:
    """Return a pass, the last one unless it is named; NotFound never: without any, an empty one of number 0."""
    with reading() as session:
        query = select(RetentionPass).order_by(RetentionPass.id.desc()).limit(1)
        row = session.scalar(query if pass_id is None else query.where(RetentionPass.id == pass_id))
        if row is None:
            return Pass(0, clock.machine_now(), None, {})
        return Pass(row.id, row.asked_at, row.finished_at, dict(row.removed))
