"""What only both databases together tell: events nobody listens to, a nudge that nobody hears."""

from __future__ import annotations

from collections.abc import Iterator

from include.ops.checks_backoffice import NUDGE_LISTENS, listens
from include.ops.database import Connection, one
from include.ops.findings import Finding, finding


def both_checks(airflow: Connection, backoffice: Connection) -> Iterator[Finding]:
    """Compare the two databases."""
    yield from _listeners(airflow, backoffice)
    hubs = one(
        backoffice, "select count(*) as n from heartbeat where name = 'hub' and at > now() - interval '60 seconds'"
    )
    if hubs["n"] and not listens(airflow, NUDGE_LISTENS):
        yield finding(
            "nudge_deaf", "Подсказку планировщику никто не слушает: соединение LISTEN с базой Airflow потеряно."
        )


def _listeners(airflow: Connection, backoffice: Connection) -> Iterator[Finding]:
    """Name the events that wait because no process listens to them any more (or not yet)."""
    waiting = backoffice.execute(
        """
        select listen_key, count(*) as n from outbox_event
         where state = 'pending' and created_at < now() - interval '60 seconds'
         group by listen_key order by listen_key
        """
    ).fetchall()
    rows = airflow.execute(
        "select t.name from dag_tag t join dag d using (dag_id) where not d.is_stale"
        " union select 'run:' || dag_id from dag where not is_stale"  # an event may name its process itself
    ).fetchall()
    tags = {row["name"] for row in rows}
    for row in waiting:
        if row["listen_key"] not in tags:
            yield finding("listener_missing", f"Событие {row['listen_key']} ждёт ({row['n']}): его никто не слушает.")
