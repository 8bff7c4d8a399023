"""The relay: an outbox event becomes exactly one run of each listening process.

Runs in every engine at once: rows are taken with SKIP LOCKED, runs have deterministic ids, so that a relay that
dies in the middle leaves nothing lost and nothing doubled. Order across relays is not promised and does not matter.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from datetime import datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as SQLTimeoutError
from sqlalchemy.orm import Session

from backoffice import airflow_api
from backoffice.declared import declared_listeners
from include.process import engine
from include.process.models import OutboxEvent
from include.process.scheme import RUN_PREFIX
from include.shared import clock
from include.shared.db import engine as business_engine
from include.shared.db import libpq_url
from include.shared.heartbeat import beat
from include.shared.work import CHANGES_CHANNEL

log = logging.getLogger(__name__)

BATCH = 20
IDLE_LOOK = 5.0
FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
OUTAGE_RETRY = 3.0
DEAD_AFTER = 20
NOT_PARSED = "процесс ещё не разобран Airflow"
BEAT_EVERY = 10.0


class NotParsedYet(LookupError):
    """A process that listens to the event is declared but Airflow has not parsed it."""


async def run_forever() -> None:
    """Relay events and nudges until cancelled; each loop restarts itself after a failure."""
    wake = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_forever("события", lambda: _relay_loop(wake)))
        group.create_task(_forever("слушатель событий", lambda: _listen_for_events(wake)))


async def _forever(name: str, loop: Any) -> None:
    pause = 0.5
    while True:
        try:
            await loop()
        except Exception:
            log.exception("Передатчик (%s): сбой, повтор через %.1f с", name, pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 15.0)


async def _listen_for_events(wake: asyncio.Event) -> None:
    async with await psycopg.AsyncConnection.connect(
        libpq_url(), autocommit=True, connect_timeout=5, application_name="backoffice-relay"
    ) as connection:
        await connection.execute(f"LISTEN {CHANGES_CHANNEL}")
        wake.set()
        async for message in connection.notifies():
            if json.loads(message.payload)["events"]:
                wake.set()


async def _relay_loop(wake: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    beaten = 0.0
    while True:
        wake.clear()
        while await asyncio.to_thread(relay_batch):
            pass
        if loop.time() - beaten > BEAT_EVERY:
            await asyncio.to_thread(beat, "relay", f"{socket.gethostname()}:{os.getpid()}", {})
            beaten = loop.time()
        try:
            async with asyncio.timeout(IDLE_LOOK):
                await wake.wait()
        except TimeoutError:
            continue


def relay_batch(limit: int = BATCH) -> int:
    """Relay up to ``limit`` due events; returns how many were done with (a failed one waits for its retry)."""
    done = 0
    for _ in range(limit):
        with Session(business_engine()) as session, session.begin():
            event = session.scalars(
                select(OutboxEvent)
                .where(OutboxEvent.state == "pending", _is_due(clock.machine_now()))
                .order_by(OutboxEvent.next_try_at, OutboxEvent.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if event is None:
                break
            try:
                _relay(event)
            except NotParsedYet as waiting:
                event.error = str(waiting)
                event.next_try_at = clock.machine_now() + timedelta(seconds=FIRST_RETRY)
            except (OperationalError, InterfaceError, SQLTimeoutError, OSError) as outage:
                # a database that is away says nothing about the event: it waits, however long that takes
                log.warning("Событие %s не передано, база недоступна: %s", event.id, outage)
                event.error = f"{type(outage).__name__}: {outage}"[:2000]
                event.next_try_at = clock.machine_now() + timedelta(seconds=OUTAGE_RETRY)
            except Exception as error:
                log.exception("Событие %s не передано", event.id)
                _postpone(event, error)
            else:
                event.state, event.error, event.done_at = "done", None, clock.machine_now()
            done += 1
    return done


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Say which events have their turn: also those set further ahead than any pause – the machine's clock went back."""
    return or_(OutboxEvent.next_try_at <= now, OutboxEvent.next_try_at > now + timedelta(seconds=LONGEST_RETRY))


def _relay(event: OutboxEvent) -> None:
    listening = {one.dag_id for one in airflow_api.listeners(event.listen_key)}
    hears = {process: {*tags, f"{RUN_PREFIX}{process}"} for process, tags in declared_listeners().items()}
    declared = {process for process, keys in hears.items() if event.listen_key in keys}
    for process in sorted(listening):
        scheme = airflow_api.declared_scheme(process)
        if scheme is None:
            msg = f"{NOT_PARSED}: {process}"
            raise NotParsedYet(msg)
        begun = engine.begin(event.id, process, scheme)
        if begun.run_id is not None:
            _create_run(event, process, begun.run_id)
    missing = declared - listening
    if missing:
        msg = f"{NOT_PARSED}: {', '.join(sorted(missing))}"
        raise NotParsedYet(msg)


def _create_run(event: OutboxEvent, process: str, run_id: str) -> None:
    try:
        airflow_api.create_run(process, run_id, {"event": event.id})
    except airflow_api.RunIdTaken as taken:
        log.warning("%s: дело ведёт другой прогон", taken)
        airflow_api.create_run(process, engine.rename_run(process, run_id, event.id), {"event": event.id})


def _postpone(event: OutboxEvent, error: Exception) -> None:
    event.attempts += 1
    event.error = f"{type(error).__name__}: {error}"[:2000]
    if event.attempts >= DEAD_AFTER:
        event.state = "dead"
        return
    pause = min(FIRST_RETRY * 2 ** min(event.attempts - 1, 10), LONGEST_RETRY)
    event.next_try_at = clock.machine_now() + timedelta(seconds=pause)
