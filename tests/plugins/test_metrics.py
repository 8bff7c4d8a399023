"""Our metrics really leave through Airflow's settings: a StatsD server of the test's own hears them."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text

from include.installation.places import PROJECT
from include.ops.findings import ACTIONS, finding
from include.ops.measures import airflow_numbers, backoffice_numbers
from tests.plugins.conftest import Server

pytestmark = pytest.mark.db


class Listener:
    """A StatsD server: whatever comes over UDP."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(1.0)
        self.port = self.socket.getsockname()[1]

    def heard(self) -> dict[str, list[str]]:
        """Name → what was said of it, until nothing comes for a second."""
        found: dict[str, list[str]] = {}
        while True:
            try:
                data = self.socket.recv(65536).decode()
            except TimeoutError:
                return found
            for line in data.splitlines():
                name, _, said = line.partition(":")
                found.setdefault(name, []).append(said)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    made = Listener()
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(made.port))
    yield made
    made.socket.close()


@pytest.fixture
def metrics(airflow_database: str, business: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from backoffice import metrics as module
    from backoffice import ops

    monkeypatch.setattr(ops, "findings", lambda: [finding("relay_lag", "x"), finding("disk_low", "y")])
    yield module
    monkeypatch.undo()
    module.initialize()


def test_everything_measured_is_sent(metrics: Any, listener: Listener, business: Engine) -> None:
    metrics.initialize()
    with business.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO outbox_event (kind, listen_key, visit, state, created_at, next_try_at)"
                " SELECT 'x', 'on:x', 'v', 'pending', now() - interval '90 seconds', now() FROM generate_series(1, 3)"
            )
        )
    metrics.send(None)
    heard = listener.heard()
    assert heard["airflow.backoffice.findings.total"] == ["2.0|g"]
    assert heard["airflow.backoffice.findings.relay_lag"] == ["1.0|g"]
    assert heard["airflow.backoffice.findings.step_failed"] == ["0.0|g"]
    assert heard["airflow.backoffice.outbox.pending"] == ["3.0|g"]
    assert 85 < float(heard["airflow.backoffice.outbox.lag_seconds"][0].partition("|")[0]) < 200
    assert {f"airflow.backoffice.findings.{code}" for code in ACTIONS} <= set(heard)
    assert heard["airflow.backoffice.callbacks.pending"] == ["0.0|g"]


def test_steps_are_timed_once(metrics: Any, listener: Listener, business: Engine) -> None:
    """From the closing of a task to the end of its step, and on to the beginning of the next one."""
    metrics.initialize()
    now = datetime.now(UTC)
    with business.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO person (last_name, first_name, active) VALUES ('Иванова', 'Анна', true);"
                "INSERT INTO process_case (key, kind, title) VALUES ('deal-1', 'deal', 'Сделка');"
                "INSERT INTO process_scheme (process, digest, title, number, body) VALUES ('p', 'd', 'П', 1, '{}');"
                "INSERT INTO process_instance (process, case_id, visit, run_id, scheme_id, started_at)"
                " VALUES ('p', 1, 'v', 'r', 1, now());"
            )
        )
        add_task_and_steps(connection, now)
    since = metrics.send(now - timedelta(minutes=5))
    heard = listener.heard()
    assert [float(one.partition("|")[0]) for one in heard["airflow.backoffice.step.latency"]] == [pytest.approx(2000)]
    assert [float(one.partition("|")[0]) for one in heard["airflow.backoffice.step.next_latency"]] == [
        pytest.approx(3000)
    ]
    metrics.send(since)
    assert "airflow.backoffice.step.latency" not in listener.heard()


def add_task_and_steps(connection: Any, now: datetime) -> None:
    """A task closed 30 s ago, its step ended 2 s later, the next one began 3 s after that."""
    columns = {
        row.column_name: row.data_type
        for row in connection.execute(
            text(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'task'"
                " AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'"
            )
        )
    }
    plain: dict[str, Any] = {"text": "x", "bigint": 1, "boolean": False, "jsonb": "{}", "integer": 1}
    values = {name: now if kind.startswith("timestamp") else plain[kind] for name, kind in columns.items()}
    values |= {"state": "done", "closed_at": now - timedelta(seconds=30), "created_at": now - timedelta(hours=1)}
    names = ", ".join(values)
    given = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO task ({names}) VALUES ({given})"), values)
    step = text(
        "INSERT INTO step_state (instance_id, case_id, step, word, title, spec, state, task_id, opened_at, ended_at)"
        " VALUES (1, 1, :step, 'EmployeeTask', 'Шаг', '{}', :state, :task, :opened, :ended)"
    )
    connection.execute(
        step,
        {"step": "a", "state": "done", "task": 1, "opened": now - timedelta(hours=1),
         "ended": now - timedelta(seconds=28)},
    )  # fmt: skip
    connection.execute(
        step, {"step": "b", "state": "waiting", "task": None, "opened": now - timedelta(seconds=25), "ended": None}
    )


def test_only_one_engine_sends(metrics: Any, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(metrics, "EVERY", 0.05)

    async def two(number: int) -> None:
        monkeypatch.setattr(metrics, "send", lambda _since: sent.append(1))
        await metrics.run_forever()

    async def both() -> int:
        first = asyncio.create_task(two(1))
        await asyncio.sleep(0.5)
        alone = len(sent)
        second = asyncio.create_task(two(2))
        await asyncio.sleep(0.5)
        together = len(sent) - alone
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        before = len(sent)
        await asyncio.sleep(0.5)
        assert len(sent) > before, "другой двигатель продолжает"
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert alone > 1
        return together - alone

    assert asyncio.run(both()) <= 4


def test_without_settings_nothing_is_measured(metrics: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__METRICS__STATSD_ON", raising=False)
    monkeypatch.setattr(metrics, "send", lambda _since: pytest.fail("измеряет"))

    async def a_while() -> None:
        async with asyncio.timeout(0.3):
            await metrics.run_forever()

    with pytest.raises(TimeoutError):
        asyncio.run(a_while())


def test_every_number_has_a_name_and_stands_in_the_runbook(metrics: Any, server: Server, airflow_database: str) -> None:
    names = (
        set(metrics.LATENCIES.values())
        | set(metrics.counted([]))
        | {f"backoffice.disk.{one}_free_bytes" for one in metrics.DISKS.values()}
    )
    for url, numbers in ((server.backoffice, backoffice_numbers), (airflow_database, airflow_numbers)):
        with psycopg.connect(re.sub(r"\+\w+:", ":", url, count=1), row_factory=psycopg.rows.dict_row) as connection:
            names |= {metrics.name_of(one) for one in numbers(connection)}
    book = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(backoffice\.[a-z_.]+)`", book))
    findings = {one for one in names if one.startswith("backoffice.findings.")}
    assert names - findings <= told
    assert told - {"backoffice.findings."} <= names, told - names


def test_where_metrics_are_sent_is_airflows_own_choice(metrics: Any) -> None:
    """Look again at airflow.sdk.observability.stats and airflow.observability.metrics.stats_utils."""
    from airflow.observability.metrics import stats_utils
    from airflow.sdk.observability import stats

    assert {"initialize", "gauge", "timing"} <= set(stats.__all__)
    assert stats_utils.get_stats_factory().__name__ == "NoStatsLogger"
