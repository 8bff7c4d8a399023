"""Ends the rows of dead programs in Airflow's table of jobs, so that others take their work over at once.

Airflow itself notices a dead triggerer or scheduler only when its heartbeat is 30 s old. A trigger may be
taken by another triggerer as soon as its owner's row has an end, and a scheduler that starts resets the tasks
of schedulers whose row is not running.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

_END = """
with ended as (
    update job set state = 'failed', end_date = now()
     where job_type = %(job_type)s and hostname = %(hostname)s
       and end_date is null and start_date <= %(died_at)s
    returning id
), freed as (
    update trigger set triggerer_id = null where triggerer_id in (select id from ended) returning id
)
select (select count(*) from ended), (select count(*) from freed)
"""

_LIFE = """
select end_date is not null or state <> 'running', extract(epoch from now() - latest_heartbeat)
  from job
 where job_type = %(job_type)s and hostname = %(hostname)s and start_date >= %(begun_at)s
 order by id desc
 limit 1
"""


def end_jobs(url: str, *, job_type: str, hostname: str, died_at: datetime) -> tuple[int, int]:
    """End the rows, free their triggers, count both. `died_at` spares the row of a successor."""
    limits = "-c statement_timeout=10000 -c lock_timeout=3000"
    with psycopg.connect(url, connect_timeout=3, options=limits) as connection:
        if connection.execute("select to_regclass('job')").fetchone() == (None,):
            return 0, 0
        values = {"job_type": job_type, "hostname": hostname, "died_at": died_at}
        row = connection.execute(_END, values).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


@dataclass(frozen=True)
class Life:
    """What a program's row says: its work has ended, or how many seconds ago it was last seen at work."""

    ended: bool
    silent: float


def life_of(url: str, *, job_type: str, hostname: str, begun_at: datetime) -> Life | None:
    """Return what the newest row of a program that began then says; None while it has none."""
    limits = "-c statement_timeout=10000"
    with psycopg.connect(url, connect_timeout=3, options=limits) as connection:
        values = {"job_type": job_type, "hostname": hostname, "begun_at": begun_at}
        row = connection.execute(_LIFE, values).fetchone()
    return Life(bool(row[0]), float(row[1])) if row else None


def end_all_jobs(url: str) -> int:
    """End every row and free every trigger: nothing of a database that was just restored runs anywhere."""
    with psycopg.connect(url, connect_timeout=3) as connection:
        if connection.execute("select to_regclass('job')").fetchone() == (None,):
            return 0
        connection.execute("update trigger set triggerer_id = null where triggerer_id is not null")
        ended = connection.execute("update job set state = 'failed', end_date = now() where end_date is null")
        return ended.rowcount
