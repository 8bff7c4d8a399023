"""Our metrics, sent through Airflow's own settings (``[metrics]`` statsd_on or otel_on); docs/runbook.md lists them.

One engine sends them, whoever holds the lock; when it dies the next one goes on. Where no metrics are wanted nothing is
measured.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Any

import psycopg
from airflow.configuration import conf
from airflow.observability.metrics import stats_utils
from airflow.sdk.observability import stats

from backoffice import ops
from include.ops.database import connect
from include.ops.findings import ACTIONS, Finding
from include.ops.machine import disks
from include.ops.measures import airflow_numbers, backoffice_numbers, latencies
from include.shared import clock
from include.shared.db import libpq_url
from include.shared.work import reading

log = logging.getLogger(__name__)

EVERY = 30.0
PREFIX = "backoffice"
LOCK = "SELECT pg_try_advisory_lock(hashtextextended('backoffice-metrics', 0))"
LATENCIES = {"step": f"{PREFIX}.step.latency", "next": f"{PREFIX}.step.next_latency"}
#: A name of a disk in Russian → what the metric calls it
DISKS = {"установка": "home", "журналы": "logs", "файлы": "files", "база данных": "database"}
#: The first part of a number's name is its subject: outbox_pending → backoffice.outbox.pending
SUBJECTS = ("outbox", "waits", "steps", "instances", "engine", "hub", "reconciler", "clock", "callbacks", "runs",
            "scheduler", "triggerer", "dag_processor", "airflow_database", "database")  # fmt: skip


async def run_forever() -> None:
    """Send until cancelled; a program without metrics settings sleeps."""
    if not wanted():
        await asyncio.Event().wait()
    initialize()
    async with await psycopg.AsyncConnection.connect(
        libpq_url(), autocommit=True, connect_timeout=5, application_name="backoffice-metrics"
    ) as connection:
        since: datetime | None = None
        while True:
            cursor = await connection.execute(LOCK)  # held as long as the connection lives
            row = await cursor.fetchone()
            if row is not None and row[0]:
                since = await asyncio.to_thread(send, since)
            await asyncio.sleep(EVERY)


def wanted() -> bool:
    """Say whether Airflow's settings ask for metrics."""
    return any(
        conf.getboolean("metrics", name, fallback=False) for name in ("statsd_on", "otel_on", "statsd_datadog_enabled")
    )


def initialize() -> None:
    """Choose where metrics go, as Airflow's own programs do."""
    stats.initialize(
        factory=stats_utils.get_stats_factory(),
        export_legacy_names=conf.getboolean("metrics", "legacy_names_on", fallback=False),
    )


def send(since: datetime | None) -> datetime | None:
    """Measure once and send; ``since`` is up to when steps were timed, and so is what it returns."""
    found = ops.findings()
    for name, value in {**counted(found), **disk_room()}.items():
        stats.gauge(name, value)
    until = since
    try:
        with connect(libpq_url()) as connection:
            _gauges(backoffice_numbers(connection))
            until = _now()
            for kind, seconds in latencies(connection, since, until) if since is not None else []:
                stats.timing(LATENCIES[kind], seconds * 1000.0)
        with connect(ops.patient().airflow_url) as connection:
            _gauges(airflow_numbers(connection))
    except psycopg.Error as error:
        log.warning("Не все метрики измерены: %s", error)
    return until


def counted(found: list[Finding]) -> dict[str, float]:
    """Return a gauge per finding: how often it is said now, 0 where all is well."""
    said = [one.code for one in found]
    return {
        f"{PREFIX}.findings.total": float(len(said)),
        **{f"{PREFIX}.findings.{code}": float(said.count(code)) for code in ACTIONS},
    }


def disk_room() -> dict[str, float]:
    """Return how many bytes are free for each thing of ours."""
    found: dict[str, float] = {}
    for disk in disks(ops.patient().folders):
        for holds in disk.holds.split(", "):
            found[f"{PREFIX}.disk.{DISKS.get(holds, 'other')}_free_bytes"] = float(disk.free)
    return found


def name_of(number: str) -> str:
    """Return how a number is called as a metric."""
    subject = next(one for one in SUBJECTS if number.startswith(f"{one}_"))
    return f"{PREFIX}.{subject}.{number.removeprefix(f'{subject}_')}"


def _gauges(numbers: dict[str, Any]) -> None:
    for number, value in numbers.items():
        stats.gauge(name_of(number), value)


def _now() -> datetime:
    with reading() as session:
        return clock.now(session)
