"""The relay on the real outbox with a stand-in for Airflow: exactly once, nothing lost, one bad event stops nobody."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from backoffice import airflow_api, relay
from backoffice.airflow_api import Listener
from include.process.scheme import scheme_body

pytestmark = pytest.mark.db
LISTENS = "on:stage:Проверка/Начало"
SCHEME = scheme_body("Проверка", 1, [("first", [], {"title": "Первый", "word": "Notify"})])


@dataclass
class FakeAirflow:
    """As much of Airflow as the relay sees."""

    listening: dict[str, list[str]] = field(default_factory=lambda: {LISTENS: ["goods"]})
    declared: dict[str, frozenset[str]] = field(default_factory=lambda: {"goods": frozenset({LISTENS})})
    schemes: dict[str, Any] = field(default_factory=lambda: {"goods": SCHEME, "letters": SCHEME})
    runs: list[tuple[str, str]] = field(default_factory=list)
    asked: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    outage: bool = False
    taken: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def listeners(self, tag: str) -> list[Listener]:
        return [Listener(one, paused=False) for one in self.listening.get(tag, [])]

    def declared_scheme(self, process: str) -> Any:
        return self.schemes.get(process)

    def create_run(self, process: str, run_id: str, conf: dict[str, int]) -> bool:
        with self.lock:  # as unique(dag_id, run_id) does
            assert set(conf) == {"event"}, "в conf прогона – только идентификаторы"
            self.asked += 1
            if run_id in self.taken:
                raise relay.airflow_api.RunIdTaken(run_id)
            if self.outage:
                raise OperationalError("insert", {}, OSError("connection refused"))
            if self.failures.get(process):
                self.failures[process] -= 1
                raise RuntimeError("Airflow не ответил")
            if (process, run_id) in self.runs:
                return False
            self.runs.append((process, run_id))
            return True


@pytest.fixture
def airflow(business: Engine, monkeypatch: pytest.MonkeyPatch) -> FakeAirflow:
    fake = FakeAirflow()
    for name in ("listeners", "declared_scheme", "create_run"):
        monkeypatch.setattr(airflow_api, name, getattr(fake, name))
    monkeypatch.setattr(relay, "declared_listeners", lambda: fake.declared)
    return fake


def state_of(business: Engine, event: int) -> tuple[str, int, str | None]:
    with business.connect() as connection:
        row = connection.execute(
            text("SELECT state, attempts, error FROM outbox_event WHERE id = :id"), {"id": event}
        ).one()
    return row[0], row[1], row[2]


def due_now(business: Engine) -> None:
    with business.begin() as connection:
        connection.execute(text("UPDATE outbox_event SET next_try_at = now() - interval '1 second'"))


def rows(business: Engine, table: str) -> int:
    with business.connect() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def test_an_event_becomes_one_run_of_each_listener(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    airflow.listening[LISTENS] = ["goods", "letters"]
    airflow.declared["letters"] = frozenset({LISTENS})
    made = event(visit="visit-417")
    assert relay.relay_batch() == 1
    assert airflow.runs == [("goods", "deal-1-visit-417"), ("letters", "deal-1-visit-417")]
    assert state_of(business, made) == ("done", 0, None)
    assert relay.relay_batch() == 0


def test_an_event_that_nobody_listens_to_is_done(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    made = event(listens="on:stage:Проверка/Конец")
    assert relay.relay_batch() == 1
    assert state_of(business, made)[0] == "done"
    assert airflow.runs == []


def test_repeated_it_joins_the_first_time(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    """A relay that died between Airflow's commit and its own: the event is taken again."""
    made = event()
    relay.relay_batch()
    with business.begin() as connection:
        connection.execute(text("UPDATE outbox_event SET state = 'pending', done_at = NULL"))
    relay.relay_batch()
    assert airflow.asked == 2
    assert airflow.runs == [("goods", "deal-1-visit-1")]
    assert rows(business, "process_instance") == 1
    assert state_of(business, made)[0] == "done"


def test_two_relays_share_the_work(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    made = [event(visit=f"visit-{number}") for number in range(1, 31)]
    with ThreadPoolExecutor(2) as pool:
        while sum(pool.map(lambda _: relay.relay_batch(5), range(2))):
            pass
    assert len(airflow.runs) == len(set(airflow.runs)) == 30
    assert airflow.asked == 30, "одно событие взяли двое"
    assert {state_of(business, one)[0] for one in made} == {"done"}


def test_an_unparsed_process_keeps_the_event_waiting(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    airflow.listening = {}
    made = event()
    relay.relay_batch()
    state, attempts, error = state_of(business, made)
    assert (state, attempts) == ("pending", 0), "ожидание разбора не тратит попыток"
    assert error is not None
    assert relay.NOT_PARSED in error
    assert "goods" in error
    assert relay.relay_batch() == 0, "до следующей попытки её не берут"
    for _ in range(relay.DEAD_AFTER + 5):
        due_now(business)
        relay.relay_batch()
    assert state_of(business, made)[0] == "pending"
    airflow.listening = {LISTENS: ["goods"]}
    due_now(business)
    relay.relay_batch()
    assert state_of(business, made) == ("done", 0, None)
    assert airflow.runs == [("goods", "deal-1-visit-1")]


def test_parsed_listeners_do_not_wait_for_the_unparsed(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    airflow.declared["letters"] = frozenset({LISTENS})
    made = event()
    relay.relay_batch()
    assert airflow.runs == [("goods", "deal-1-visit-1")]
    assert state_of(business, made)[0] == "pending"
    airflow.listening[LISTENS] = ["goods", "letters"]
    due_now(business)
    relay.relay_batch()
    assert airflow.runs == [("goods", "deal-1-visit-1"), ("letters", "deal-1-visit-1")]
    assert state_of(business, made)[0] == "done"


def test_an_event_that_names_a_process_starts_its_run_alone(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    """★11: the instance of a reopened task is made already; its run begins, whatever else listens to the stage."""
    airflow.listening |= {LISTENS: ["goods", "letters"], "run:goods": ["goods"]}
    airflow.declared["letters"] = frozenset({LISTENS})
    made = event(listens="run:goods", visit="visit-1-again-1")
    relay.relay_batch()
    assert airflow.runs == [("goods", "deal-1-visit-1-again-1")]
    assert state_of(business, made) == ("done", 0, None)


def test_an_event_that_names_an_unparsed_process_waits(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    """★11: a reopened task's course must not be lost because its file is being read anew."""
    made = event(listens="run:goods")
    relay.relay_batch()
    state, attempts, error = state_of(business, made)
    assert (state, attempts, error) == ("pending", 0, f"{relay.NOT_PARSED}: goods")
    airflow.listening["run:goods"] = ["goods"]
    due_now(business)
    relay.relay_batch()
    assert airflow.runs == [("goods", "deal-1-visit-1")]


def test_an_event_that_names_a_process_that_is_no_more_is_done(
    airflow: FakeAirflow, business: Engine, event: Any
) -> None:
    """The reconciler then finds the instance without a run and ends it, with its reason."""
    made = event(listens="run:gone")
    relay.relay_batch()
    assert state_of(business, made)[0] == "done"
    assert airflow.runs == []


def test_a_known_tag_without_a_scheme_is_not_parsed_yet(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    airflow.schemes = {}
    made = event()
    relay.relay_batch()
    assert state_of(business, made)[0] == "pending"
    assert rows(business, "process_instance") == 0


def test_a_passing_failure_is_tried_again(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    airflow.failures = {"goods": 2}
    made = event()
    relay.relay_batch()
    state, attempts, error = state_of(business, made)
    assert (state, attempts, error) == ("pending", 1, "RuntimeError: Airflow не ответил")
    assert relay.relay_batch() == 0, "после сбоя событие отдыхает"
    for _ in range(2):
        due_now(business)
        relay.relay_batch()
    assert state_of(business, made) == ("done", 2, None)
    assert airflow.runs == [("goods", "deal-1-visit-1")]


def test_an_event_of_a_clock_that_was_ahead_does_not_wait(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    made = event()
    with business.begin() as connection:  # written two hours ahead; then the machine's clock was put right
        connection.execute(text("UPDATE outbox_event SET next_try_at = now() + interval '2 hours'"))
    assert relay.relay_batch() == 1
    assert state_of(business, made)[0] == "done"


def test_poison_goes_to_the_dead_letters_and_stops_nobody(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    airflow.failures = {"letters": 1000}
    airflow.listening["on:field:ready_at"] = ["letters"]
    airflow.declared["letters"] = frozenset({"on:field:ready_at"})
    poison, good = event(listens="on:field:ready_at"), event()
    for _ in range(relay.DEAD_AFTER + 2):
        due_now(business)
        relay.relay_batch()
    state, attempts, error = state_of(business, poison)
    assert (state, attempts, error) == ("dead", relay.DEAD_AFTER, "RuntimeError: Airflow не ответил")
    assert state_of(business, good)[0] == "done"
    assert airflow.runs == [("goods", "deal-2-visit-1")]


def test_a_run_id_taken_by_hand_does_not_lose_the_case(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    """Whoever starts a run under the id that the relay would give makes only his own run fail."""
    airflow.taken = {"deal-1-visit-1"}
    made = event()
    relay.relay_batch()
    assert state_of(business, made)[0] == "done"
    assert airflow.runs == [("goods", f"deal-1-visit-1-event-{made}")]
    with business.connect() as connection:
        runs = connection.execute(text("SELECT run_id FROM process_instance")).scalars().all()
    assert runs == [f"deal-1-visit-1-event-{made}"]


def test_an_outage_of_the_database_never_makes_an_event_dead(
    airflow: FakeAirflow, business: Engine, event: Any
) -> None:
    airflow.outage = True
    made = event()
    for _ in range(relay.DEAD_AFTER + 2):
        due_now(business)
        relay.relay_batch()
    assert state_of(business, made)[:2] == ("pending", 0)
    airflow.outage = False
    due_now(business)
    relay.relay_batch()
    assert state_of(business, made)[0] == "done"


def test_an_event_without_a_case_is_poison_not_a_crash(airflow: FakeAirflow, business: Engine, event: Any) -> None:
    made, good = event(), event()
    with business.begin() as connection:
        connection.execute(text("UPDATE outbox_event SET case_id = NULL WHERE id = :id"), {"id": made})
    assert relay.relay_batch() == 2
    assert state_of(business, made)[:2] == ("pending", 1)
    assert state_of(business, good)[0] == "done"


def test_pauses_between_attempts_grow_and_stay_bounded(business: Engine, event: Any) -> None:
    from datetime import timedelta

    from include.process.models import OutboxEvent
    from include.shared import clock

    pauses = []
    one = OutboxEvent(state="pending", attempts=0)
    for _ in range(relay.DEAD_AFTER - 1):
        before = clock.machine_now()
        relay._postpone(one, ValueError("x" * 5000))
        pauses.append((one.next_try_at - before) / timedelta(seconds=1))
    assert pauses == sorted(pauses, key=round)
    assert round(pauses[0]) == relay.FIRST_RETRY
    assert round(pauses[-1]) == relay.LONGEST_RETRY
    assert len(one.error or "") <= 2000


def test_a_notification_starts_the_relay_at_once(
    airflow: FakeAirflow, business: Engine, event: Any, monkeypatch: pytest.MonkeyPatch, server: Any
) -> None:
    monkeypatch.setattr(relay, "IDLE_LOOK", 60.0)

    async def scenario() -> None:
        running = asyncio.create_task(relay.run_forever())
        await asyncio.sleep(1.0)
        made = await asyncio.to_thread(event)
        with psycopg.connect(server.backoffice.replace("+psycopg", ""), autocommit=True) as connection:
            said = json.dumps({"cases": [], "events": True})
            connection.execute("SELECT pg_notify('backoffice_changes', %s)", (said,))
        async with asyncio.timeout(20):
            while (await asyncio.to_thread(state_of, business, made))[0] != "done":
                await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())
