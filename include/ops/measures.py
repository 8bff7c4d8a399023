"""The numbers of operations: what the ops page shows and the metrics send."""

from __future__ import annotations

from datetime import datetime

from include.ops.database import Connection, ask, one

Numbers = dict[str, float]
OFFSET = "select coalesce((select microseconds from clock_offset where id = 1), 0) as offset"


def backoffice_numbers(connection: Connection) -> Numbers:
    """Return the counts of the business database: ``outbox_pending``, ``waits_open`` …"""
    (row,) = ask(connection, "ops/numbers", offset=one(connection, OFFSET)["offset"])
    return {name: float(value) for name, value in row.items()}


def airflow_numbers(connection: Connection) -> Numbers:
    """Return the counts of Airflow's database: ``callbacks_pending`` …"""
    (row,) = ask(connection, "ops/airflow_numbers")
    return {name: float(value) for name, value in row.items()}


def latencies(connection: Connection, since: datetime, until: datetime) -> list[tuple[str, float]]:
    """Return how long each step took since a moment of the business clock: ``(step | next, seconds)``."""
    rows = ask(connection, "ops/step_latency", since=since, until=until)
    return [(str(row["kind"]), float(row["seconds"])) for row in rows]
