"""What Airflow's own database tells: programs, processes, triggers, callbacks, nightly runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from include.ops.database import Connection, one
from include.ops.findings import Finding, finding, span

HEARTBEAT_AGE = timedelta(seconds=60)
#: A row this old belongs to a program that nobody misses any more
FORGOTTEN_AGE = timedelta(hours=1)
CALLBACKS, CALLBACK_AGE = 500, timedelta(seconds=120)
NIGHTLY_LATE = timedelta(minutes=15)
#: The database triggers of plugins/backoffice/nudge.py
NUDGES = ("backoffice_nudge", "backoffice_keep_apart")
JOBS = {"SchedulerJob": "scheduler", "TriggererJob": "triggerer", "DagProcessorJob": "dag-processor"}


def airflow_checks(connection: Connection, capacity: int) -> Iterator[Finding]:
    """Look at Airflow's database; ``capacity`` is how many waits one triggerer holds."""
    yield from _jobs(connection)
    yield from _dags(connection)
    yield from _triggers(connection, capacity)
    yield from _callbacks(connection)
    yield from _nightly(connection)
    if _number_of_nudges(connection) < len(NUDGES):
        yield finding("nudge_missing", "В базе Airflow нет подсказки планировщику (nudge) или её части.")


def _number_of_nudges(connection: Connection) -> int:
    found = connection.execute(
        "select tgname from pg_trigger where tgenabled <> 'D' and tgname = any(%s)", [list(NUDGES)]
    )
    return len({row["tgname"] for row in found.fetchall()})


def _jobs(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        """
        select job_type, hostname, clock_timestamp() - latest_heartbeat as age from job
         where job_type = any(%s) and end_date is null and latest_heartbeat is not null
         order by latest_heartbeat desc
        """,
        [list(JOBS)],
    ).fetchall()
    for job_type, name in JOBS.items():
        ages = [(row["age"], row["hostname"]) for row in rows if row["job_type"] == job_type]
        if not ages:
            yield finding("job_silent", f"Airflow не видит ни одного работающего {name}.")
        elif ages[0][0] > HEARTBEAT_AGE:
            yield finding("job_silent", f"{name} не отмечался {span(ages[0][0])}.")
        else:
            for age, host in ages:
                if HEARTBEAT_AGE < age < FORGOTTEN_AGE:
                    yield finding("replica_silent", f"Один из {name} ({host}) не отмечался {span(age)}.")


def _dags(connection: Connection) -> Iterator[Finding]:
    listening = """
        select d.dag_id, coalesce(d.dag_display_name, d.dag_id) as title, d.is_paused, d.is_stale,
               (select count(*) from dag_run r where r.dag_id = d.dag_id and r.state in ('queued', 'running')) as runs
          from dag d
         where (d.is_paused or d.is_stale)
           and exists (select from dag_tag t where t.dag_id = d.dag_id and t.name like %(tag)s)
         order by d.dag_id
    """
    for row in connection.execute(listening, {"tag": "on:%"}).fetchall():
        name = f"«{row['title']}» ({row['dag_id']})"
        if row["is_stale"]:
            if row["runs"]:
                yield finding("process_stale", f"Процесс {name} больше не читается, а дел в нём {row['runs']}.")
        else:
            yield finding("process_paused", f"Процесс {name} на паузе; дел в нём {row['runs']}.")
    for row in connection.execute("select filename, stacktrace from import_error order by filename").fetchall():
        last = (row["stacktrace"] or "").strip().splitlines()[-1:]
        yield finding("process_import_error", f"Файл {row['filename']} не разобран: {''.join(last)}")


def _triggers(connection: Connection, capacity: int) -> Iterator[Finding]:
    row = one(
        connection,
        """
        select (select count(*) from trigger where queue is distinct from 'backoffice') as held,
               (select count(*) from trigger
                 where created_date < now() - interval '60 seconds' and queue is distinct from 'backoffice'
                   and (triggerer_id is null or triggerer_id not in (select id from job
                        where job_type = 'TriggererJob' and end_date is null))) as unassigned,
               (select count(*) from job where job_type = 'TriggererJob' and end_date is null
                   and latest_heartbeat > now() - interval '60 seconds') as triggerers
        """,
    )
    room = row["triggerers"] * capacity
    if room and row["held"] > 0.9 * room:
        yield finding("triggerer_full", f"Ожиданий {row['held']}, а места для {room}.")
    if row["unassigned"]:
        yield finding("triggers_unassigned", f"Ожиданий без хозяина: {row['unassigned']}.")


def _callbacks(connection: Connection) -> Iterator[Finding]:
    """Each step that ends queues a request for which the DAG processor parses a file (docs/adr/0001)."""
    row = one(
        connection,
        "select count(*) as n, clock_timestamp() - min(created_at) as age from callback where type = 'dag_processor'",
    )
    if row["n"] > CALLBACKS or (row["age"] is not None and row["age"] > CALLBACK_AGE):
        said = f"Обращений к dag-processor в очереди: {row['n']}, старшее ждёт {span(row['age'])}."
        yield finding("callback_backlog", said)


def _nightly(connection: Connection) -> Iterator[Finding]:
    """Scheduled work: how its last finished run ended, and whether the next one has begun in time."""
    rows = connection.execute(
        """
        select d.dag_id, coalesce(d.dag_display_name, d.dag_id) as title, d.is_paused,
               clock_timestamp() - d.next_dagrun_create_after as late, last.state, last.run_id
          from dag d
          left join lateral (
              select r.state, r.run_id from dag_run r
               where r.dag_id = d.dag_id and r.state in ('success', 'failed') order by r.id desc limit 1) last on true
         where d.next_dagrun_create_after is not null and not d.is_stale
         order by d.dag_id
        """
    ).fetchall()
    for row in rows:
        name = f"«{row['title']}» ({row['dag_id']})"
        if row["state"] == "failed":
            yield finding("nightly_failed", f"Последний запуск {name} не удался: {row['run_id']}.")
        if row["late"] > NIGHTLY_LATE:
            paused = ", на паузе" if row["is_paused"] else ""
            yield finding("nightly_late", f"Запуск {name} опаздывает на {span(row['late'])}{paused}.")
