"""`make doctor`: looks at the programs and both databases and says in words what is wrong and what to do.

Every code below has its own heading in docs/runbook.md (a test checks it).
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from include.installation.airflow_settings import TRIGGERER_CAPACITY
from include.installation.installation import Installation
from include.installation.urls import libpq

#: code → what a person should do
ACTIONS: dict[str, str] = {
    "not_running": "Запустите: make up",
    "supervisor_dead": "Надзор убит, программы остались без присмотра. Верните его: make up",
    "program_down": "Подождите минуту; если не вернулась, смотрите её журнал.",
    "program_trouble": "Прочитайте конец её журнала и устраните причину; надзор продолжает попытки сам.",
    "page_silent": "Смотрите журнал logs/api-server.log; перезапуск: make down && make up",
    "database_down": "Смотрите журнал logs/postgres.log; если сервер свой, проверьте адрес и доступ.",
    "schema_missing": "Выполните: make migrate",
    "job_silent": "Программа жива, но не отмечается: смотрите её журнал; перезапуск: make down && make up",
    "relay_silent": "События не становятся процессами. Смотрите logs/api-server.log (слово relay).",
    "relay_lag": "Очередь событий стоит. Если процессы стоят на паузе или не разобраны, начните с них.",
    "listener_missing": "Процесс для события не разобран: смотрите ошибки разбора и папку dags/.",
    "dead_letters": "Откройте список на странице обслуживания, исправьте причину и повторите события.",
    "hub_silent": "Ожидания проснутся лишь при обходе раз в 30 с. Смотрите logs/triggerer.log (слово hub).",
    "reconciler_silent": "Сверка с Airflow не идёт. Смотрите logs/api-server.log (слово reconciler).",
    "nudge_missing": "Всё работает, но медленнее. Верните подсказку: make migrate",
    "process_paused": "Снимите паузу в Airflow: дела этого процесса стоят.",
    "process_stale": "Файл процесса исчез или не читается: верните его, живые дела стоят.",
    "process_import_error": "Исправьте файл процесса: до этого работает его прежняя версия или никакая.",
    "wait_overdue": "Проверьте triggerer и hub (журнал logs/triggerer.log); перезапуск: make down && make up",
    "triggerer_full": "Добавьте ещё один triggerer: make down && REPLICAS=triggerer=2 make up",
    "triggers_unassigned": "Ожидания никем не взяты: проверьте, что triggerer работает.",
    "disk_low": "Освободите место: logs/ можно чистить, postgres/ нельзя.",
}

RELAY_LAG = timedelta(seconds=60)
HEARTBEAT_AGE = timedelta(seconds=60)
DISK_LOW = 2_000_000_000
#: The part of the engine → the code of its silence
PARTS = {"relay": "relay_silent", "hub": "hub_silent", "reconciler": "reconciler_silent"}
JOBS = {"SchedulerJob": "scheduler", "TriggererJob": "triggerer", "DagProcessorJob": "dag-processor"}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what, and what to do."""

    code: str
    text: str
    action: str


def finding(code: str, text: str) -> Finding:
    """Make a finding; its action stands in ACTIONS."""
    return Finding(code, text, ACTIONS[code])


Connection = psycopg.Connection[dict[str, Any]]


def examine(installation: Installation) -> list[Finding]:
    """Look at everything and return what is wrong, the causes before their consequences."""
    found = list(_programs(installation))
    if any(one.code == "not_running" for one in found):
        return found + list(_disk(installation))
    found += _ask(installation.airflow_database_url, "Airflow", "dag", _airflow_checks)
    found += _ask(installation.backoffice_database_url, "бэк-офиса", "outbox_event", _backoffice_checks)
    found += _listeners(installation)
    found += _disk(installation)
    return found


def _ask(url: str, name: str, table: str, checks: Callable[[Connection], Iterator[Finding]]) -> Iterator[Finding]:
    """Run the checks of one database; an unreachable one is itself a finding."""
    try:
        with _connect(url) as connection:
            if connection.execute("select to_regclass(%s) is null as no", [table]).fetchall()[0]["no"]:
                yield finding("schema_missing", f"В базе {name} нет таблиц.")
                return
            yield from checks(connection)
    except psycopg.OperationalError as error:
        yield finding("database_down", f"База {name} не отвечает: {str(error).strip().splitlines()[0]}")
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        reason = str(error).strip().splitlines()[0]
        yield finding("schema_missing", f"База {name} другой версии: {reason}")


def _connect(url: str) -> Connection:
    limits = "-c statement_timeout=10000 -c default_transaction_read_only=on"
    return psycopg.connect(libpq(url), connect_timeout=3, options=limits, row_factory=dict_row, autocommit=True)


def _programs(installation: Installation) -> Iterator[Finding]:
    programs = installation.status().get("programs", {})
    if not programs and installation.postgres is None:
        return  # a company's containers: whoever runs them watches them
    if not installation.supervisor_alive():
        alive = [name for name in programs if installation.program_pid(name)]
        if alive:
            yield finding("supervisor_dead", f"Надзор не работает, а программы остались: {', '.join(alive)}.")
        else:
            yield finding("not_running", "Бэк-офис не запущен.")
        return
    for name, one in programs.items():
        if one["trouble"]:
            yield finding("program_trouble", one["trouble"])
        elif installation.program_pid(name) is None:
            text = f"«{name}» ({one['title']}) сейчас не работает: {one['last_exit'] or one['state']}."
            yield finding("program_down", f"{text} Журнал: {one['log']}")
    if installation.program_pid("api-server") and "api-server" in installation.unhealthy():
        yield finding("page_silent", f"Сервер страниц не отвечает по адресу {installation.base_url}.")


def _airflow_checks(connection: Connection) -> Iterator[Finding]:
    yield from _jobs(connection)
    yield from _dags(connection)
    yield from _triggers(connection)
    nudge = """
        select count(*) as n from pg_trigger
         where tgrelid = to_regclass('task_instance') and not tgisinternal
           and tgenabled <> 'D' and tgname like '%%nudge%%'
    """
    if _number(connection, nudge) == 0:
        yield finding("nudge_missing", "В базе Airflow нет подсказки планировщику (nudge).")


def _jobs(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        """
        select job_type, now() - max(latest_heartbeat) as age from job
         where job_type = any(%s) and end_date is null group by job_type
        """,
        [list(JOBS)],
    ).fetchall()
    ages = {row["job_type"]: row["age"] for row in rows}
    for job_type, name in JOBS.items():
        if job_type not in ages:
            yield finding("job_silent", f"Airflow не видит ни одного работающего {name}.")
        elif ages[job_type] > HEARTBEAT_AGE:
            yield finding("job_silent", f"{name} не отмечался {_span(ages[job_type])}.")


def _dags(connection: Connection) -> Iterator[Finding]:
    listening = """
        select distinct d.dag_id, coalesce(d.dag_display_name, d.dag_id) as title, d.is_paused, d.is_stale
          from dag d join dag_tag t using (dag_id) where t.name like 'on:%%' order by d.dag_id
    """
    live = "select count(*) as n from dag_run where dag_id = %s and state in ('queued', 'running')"
    for row in connection.execute(listening).fetchall():
        name = f"«{row['title']}» ({row['dag_id']})"
        if row["is_stale"]:
            runs = _number(connection, live, [row["dag_id"]])
            if runs:
                yield finding("process_stale", f"Процесс {name} больше не читается, а дел в нём {runs}.")
        elif row["is_paused"]:
            runs = _number(connection, live, [row["dag_id"]])
            yield finding("process_paused", f"Процесс {name} на паузе; дел в нём {runs}.")
    for row in connection.execute("select filename, stacktrace from import_error order by filename").fetchall():
        last = (row["stacktrace"] or "").strip().splitlines()[-1:]
        yield finding("process_import_error", f"Файл {row['filename']} не разобран: {''.join(last)}")


def _triggers(connection: Connection) -> Iterator[Finding]:
    row = connection.execute(
        """
        select (select count(*) from trigger) as held,
               (select count(*) from trigger
                 where created_date < now() - interval '60 seconds'
                   and (triggerer_id is null or triggerer_id not in (select id from job
                        where job_type = 'TriggererJob' and end_date is null))) as unassigned,
               (select count(*) from job where job_type = 'TriggererJob' and end_date is null
                   and latest_heartbeat > now() - interval '60 seconds') as triggerers
        """
    ).fetchall()[0]
    room = row["triggerers"] * TRIGGERER_CAPACITY
    if room and row["held"] > 0.9 * room:
        yield finding("triggerer_full", f"Ожиданий {row['held']}, а места для {room}.")
    if row["unassigned"]:
        yield finding("triggers_unassigned", f"Ожиданий без хозяина: {row['unassigned']}.")


def _backoffice_checks(connection: Connection) -> Iterator[Finding]:
    yield from _parts(connection)
    yield from _events(connection)
    offset = "coalesce((select microseconds from clock_offset where id = 1), 0) * interval '1 microsecond'"
    overdue = f"""
        select count(*) as n, min(s.moment) as first, min(c.key) as example
          from step_state s join process_case c on c.id = s.case_id
         where s.state = 'waiting' and s.moment < now() + {offset} - interval '2 minutes'
    """  # noqa: S608 - no outside text in it
    row = connection.execute(overdue).fetchall()[0]
    if row["n"]:
        text = f"Ожиданий, чей момент прошёл: {row['n']}; самое раннее {row['first']:%d.%m.%Y %H:%M} UTC"
        yield finding("wait_overdue", f"{text}, например дело {row['example']}.")


def _parts(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute("select name, min(now() - at) as age from heartbeat group by name").fetchall()
    ages = {row["name"]: row["age"] for row in rows}
    waiting = connection.execute("select 1 from step_state where state = 'waiting' limit 1").fetchall()
    if not waiting:  # the hub lives in the triggerer from its first wait on: without waits nobody needs it
        ages["hub"] = timedelta()
    deaf = connection.execute(
        "select 1 from heartbeat where name = 'hub' and at > now() - interval '1 minute'"
        " and info->>'connected' = 'false'"
    ).fetchall()
    if waiting and deaf:
        yield finding("hub_silent", "Будильник ожиданий (hub) жив, но не слышит базу.")
    titles = {"relay": "Передатчик событий", "hub": "Будильник ожиданий", "reconciler": "Сверка с Airflow"}
    for part, code in PARTS.items():
        if part not in ages:
            yield finding(code, f"{titles[part]} ({part}) ещё ни разу не отметился.")
        elif ages[part] > HEARTBEAT_AGE:
            yield finding(code, f"{titles[part]} ({part}) не отмечался {_span(ages[part])}.")


def _events(connection: Connection) -> Iterator[Finding]:
    row = connection.execute(
        """
        select count(*) filter (where state = 'pending') as pending,
               now() - min(created_at) filter (where state = 'pending') as lag,
               count(*) filter (where state = 'dead') as dead,
               (select error from outbox_event where state = 'dead' order by id desc limit 1) as error
          from outbox_event where state in ('pending', 'dead')
        """
    ).fetchall()[0]
    if row["lag"] is not None and row["lag"] > RELAY_LAG:
        yield finding("relay_lag", f"Событий в очереди: {row['pending']}, старшее ждёт {_span(row['lag'])}.")
    if row["dead"]:
        error = (row["error"] or "").strip().splitlines()[:1]
        yield finding("dead_letters", f"Событий, которые не удалось обработать: {row['dead']}. {''.join(error)}")


def _listeners(installation: Installation) -> Iterator[Finding]:
    """Name the events that wait because no process listens to them any more (or not yet)."""
    try:
        with _connect(installation.backoffice_database_url) as connection:
            waiting = connection.execute(
                """
                select listen_key, count(*) as n from outbox_event
                 where state = 'pending' and created_at < now() - interval '60 seconds'
                 group by listen_key order by listen_key
                """
            ).fetchall()
        with _connect(installation.airflow_database_url) as connection:
            rows = connection.execute(
                "select distinct t.name from dag_tag t join dag d using (dag_id) where not d.is_stale"
            ).fetchall()
    except psycopg.Error:
        return  # said already by the checks of that database
    tags = {row["name"] for row in rows}
    for row in waiting:
        if row["listen_key"] not in tags:
            yield finding("listener_missing", f"Событие {row['listen_key']} ждёт ({row['n']}): его никто не слушает.")


def _disk(installation: Installation) -> Iterator[Finding]:
    folder = installation.places.home if installation.places.home.exists() else installation.places.home.parent
    if folder.exists() and (free := shutil.disk_usage(folder).free) < DISK_LOW:
        yield finding("disk_low", f"На диске с {folder} осталось {free / 1e9:.1f} ГБ.")


def _number(connection: Connection, query: str, values: list[Any] | None = None) -> int:
    return int(connection.execute(query, values or []).fetchall()[0]["n"])


def _span(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    if seconds < 120:
        return f"{seconds} с"
    if seconds < 7200:
        return f"{seconds // 60} мин"
    return f"{seconds // 3600} ч"


def run(installation: Installation, *, as_json: bool = False) -> int:
    """Print what is wrong; 0 when nothing is."""
    found = examine(installation)
    if as_json:
        print(json.dumps({"ok": not found, "findings": [asdict(one) for one in found]}, ensure_ascii=False, indent=1))
    elif not found:
        print("Всё в порядке.")
    for one in [] if as_json else found:
        print(f"✗ {one.text}\n  → {one.action}\n  (docs/runbook.md#{one.code})")
    sys.stdout.flush()
    return 1 if found else 0
