"""What the business database tells: parts of the engine, events, failed steps, waits, clocks, invariants, backup."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from include.ops.database import Connection, ask, one
from include.ops.findings import Finding, finding, span

RELAY_LAG = timedelta(seconds=60)
HEARTBEAT_AGE = timedelta(seconds=60)
BACKUP_AGE = timedelta(hours=26)
DEAF_AFTER_SECONDS = 60
SKEW_SECONDS = 60.0
#: An event is never put off for longer by itself: a later moment was written by a clock that had jumped ahead
LONGEST_PAUSE = timedelta(minutes=3)
GRACE_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 3.0
#: The part of the engine → the code of its silence
PARTS = {"relay": "relay_silent", "hub": "hub_silent", "reconciler": "reconciler_silent"}
TITLES = {"relay": "Передатчик событий", "hub": "Будильник ожиданий", "reconciler": "Сверка с Airflow"}
#: What connections that listen call themselves
RELAY_LISTENS, NUDGE_LISTENS = "backoffice-relay", "backoffice-nudge"
#: Invariants that have a finding of their own
SAID_OTHERWISE = frozenset({"event_dead", "event_pending", "moment_passed", "change_unseen"})
OFFSET = "coalesce((select microseconds from clock_offset where id = 1), 0) * interval '1 microsecond'"
OVERDUE = f"""
    select count(*) as n, min(s.moment) as first, min(c.key) as example
      from step_state s join process_case c on c.id = s.case_id
     where s.state = 'waiting' and s.moment < now() + {OFFSET} - interval '2 minutes'
"""  # noqa: S608 - no outside text in it


def backoffice_checks(connection: Connection, *, deep: bool) -> Iterator[Finding]:
    """Look at the business database; ``deep`` counts the invariants, too, which reads whole tables."""
    yield from _clocks(connection)
    yield from _parts(connection)
    yield from _events(connection)
    yield from _steps(connection)
    yield from _waits(connection)
    yield from _backup(connection)
    if deep:
        yield from broken_invariants(connection)


def _clocks(connection: Connection) -> Iterator[Finding]:
    here = datetime.now(UTC)  # the machine's: the business clock may be moved on purpose
    off = (here - one(connection, "select clock_timestamp() as now")["now"]).total_seconds()
    if abs(off) > SKEW_SECONDS:
        yield finding("clock_skew", f"Часы этой машины и базы расходятся на {span(timedelta(seconds=abs(off)))}.")
    rows = connection.execute(
        """
        select name, instance, abs((info->>'skew')::float) as off from heartbeat
         where at > now() - %s and abs((info->>'skew')::float) > %s order by name, instance
        """,
        [HEARTBEAT_AGE, SKEW_SECONDS],
    ).fetchall()
    for row in rows:
        text = f"Часы программы {row['name']} ({row['instance']}) и базы расходятся на"
        yield finding("clock_skew", f"{text} {span(timedelta(seconds=row['off']))}.")
    ahead = one(
        connection,
        "select count(*) as n from outbox_event where state = 'pending' and next_try_at > now() + %s",
        [LONGEST_PAUSE],
    )["n"]
    if ahead:
        yield finding("clock_skew", f"Событий, записанных убежавшими вперёд часами: {ahead}; они ждут своего времени.")


def _parts(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute("select name, min(clock_timestamp() - at) as age from heartbeat group by name").fetchall()
    ages = {row["name"]: row["age"] for row in rows}
    deaf = connection.execute(
        "select 1 from heartbeat where name = 'hub' and at > now() - interval '1 minute'"
        " and info->>'connected' = 'false'"
    ).fetchall()
    if deaf:
        yield finding("hub_silent", "Будильник ожиданий (hub) работает, но не слышит базу.")
    for part, code in PARTS.items():
        if part not in ages:
            yield finding(code, f"{TITLES[part]} ({part}) ещё ни разу не отметился.")
        elif ages[part] > HEARTBEAT_AGE:
            yield finding(code, f"{TITLES[part]} ({part}) не отмечался {span(ages[part])}.")
    if ages.get("relay", HEARTBEAT_AGE) < HEARTBEAT_AGE and not listens(connection, RELAY_LISTENS):
        yield finding("relay_deaf", "Передатчик событий жив, но его соединение LISTEN с базой потеряно.")


def listens(connection: Connection, name: str) -> bool:
    """Say whether somebody holds a listening connection of this name to this database."""
    asked = "select count(*) as n from pg_stat_activity where datname = current_database() and application_name = %s"
    return bool(one(connection, asked, [name])["n"])


def _events(connection: Connection) -> Iterator[Finding]:
    row = one(
        connection,
        """
        select count(*) filter (where state = 'pending') as pending,
               now() - min(created_at) filter (where state = 'pending') as lag,
               count(*) filter (where state = 'dead') as dead,
               (select error from outbox_event where state = 'dead' order by id desc limit 1) as error
          from outbox_event where state in ('pending', 'dead')
        """,
    )
    if row["lag"] is not None and row["lag"] > RELAY_LAG:
        yield finding("relay_lag", f"Событий в очереди: {row['pending']}, старшее ждёт {span(row['lag'])}.")
    if row["dead"]:
        error = (row["error"] or "").strip().splitlines()[:1]
        yield finding("dead_letters", f"Событий, которые не удалось обработать: {row['dead']}. {''.join(error)}")


def _steps(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        """
        select s.state, count(*) as n, min(c.key) as example,
               (array_agg('«' || s.title || '»: ' || coalesce(s.reason, 'без причины')
                          order by s.ended_at desc nulls last))[1] as latest
          from step_state s
          join process_instance i on i.id = s.instance_id and i.state = 'live'
          join process_case c on c.id = s.case_id
         where s.state in ('failed', 'marked')
           -- one that has just been repeated is on its way
           and not (s.retried_at is not null and s.ended_at is null
                    and c.changed_at > clock_timestamp() - interval '2 minutes')
         group by s.state
        """
    ).fetchall()
    said = {"failed": ("step_failed", "Шагов не выполнено"), "marked": ("step_marked", "Шагов отмечено вручную")}
    for row in rows:
        code, text = said[row["state"]]
        yield finding(code, f"{text}: {row['n']}, дела стоят, например {row['example']}; {row['latest']}.")


def _waits(connection: Connection) -> Iterator[Finding]:
    row = one(connection, OVERDUE)
    if row["n"]:
        text = f"Ожиданий, чей момент прошёл: {row['n']}; самое раннее {row['first']:%d.%m.%Y %H:%M} UTC"
        yield finding("wait_overdue", f"{text}, например дело {row['example']}.")
    row = one(
        connection,
        """
        select count(*) as n, clock_timestamp() - min(c.changed_at) as age, min(c.key) as example
          from step_state s join process_case c on c.id = s.case_id
         where s.state = 'waiting' and s.looked_seq < c.seq
           and c.changed_at < clock_timestamp() - make_interval(secs => %s)
        """,
        [DEAF_AFTER_SECONDS],
    )
    if row["n"]:
        text = f"Ожиданий, не увидевших перемены дела: {row['n']}, дольше всех {span(row['age'])}"
        yield finding("wait_deaf", f"{text}, например дело {row['example']}.")


def _backup(connection: Connection) -> Iterator[Finding]:
    row = one(
        connection,
        """
        select (select clock_timestamp() - max(at) from heartbeat where name = 'backup') as age,
               (select clock_timestamp() - min(created_at) from outbox_event) as lives
        """,
    )
    if row["age"] is not None and row["age"] > BACKUP_AGE:
        yield finding("backup_old", f"Последняя резервная копия сделана {span(row['age'])} назад.")
    elif row["age"] is None and row["lives"] is not None and row["lives"] > BACKUP_AGE:
        yield finding("backup_old", f"Резервной копии ещё не было, а система работает {span(row['lives'])}.")


def broken_invariants(connection: Connection) -> Iterator[Finding]:
    """Count what must never be true; whatever is gone when looked at again was only on its way."""
    found = _violations(connection)
    if found:
        time.sleep(LOOK_AGAIN_SECONDS)
        found &= _violations(connection)
    if found:
        kinds = sorted({kind for kind, _, _ in found})
        example = min(found)
        said = f"Нарушений целостности: {len(found)} ({', '.join(kinds)}), например {example[1] or 'без дела'}:"
        yield finding("invariant_broken", f"{said} {example[2]}.")


def _violations(connection: Connection) -> set[tuple[str, str, str]]:
    business = f"select now() + {OFFSET} as now"
    values: dict[str, Any] = {
        "now": one(connection, business)["now"], "machine_now": datetime.now(UTC), "grace": GRACE_SECONDS,
    }  # fmt: skip
    rows = ask(connection, "ops/invariants", **values)
    found = {(str(row["kind"]), row["case_key"] or "", str(row["text"])) for row in rows}
    return {one_ for one_ in found if one_[0] not in SAID_OTHERWISE}
