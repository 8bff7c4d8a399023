"""The hub with a real LISTEN on both databases and Airflow's real tables: ends what has come, loses nothing."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text

from backoffice import airflow_api, nudge, reconciler
from backoffice import hub as hub_module
from backoffice.hub import Hub
from include.process import engine, reading
from include.process.engine import Look
from include.shared.clock import CLOCK_CHANNEL
from include.shared.db import libpq_url
from include.shared.work import CHANGES_CHANNEL

pytestmark = pytest.mark.db
PATIENCE = 30.0
PROCESS = "every_word"


class World:
    """Airflow's real tables, and a stand-in for the engine that says how each case stands and counts the looks."""

    def __init__(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.airflow = create_engine(address)
        self.looks: Counter[str] = Counter()
        self.done: set[str] = set()
        self.outcome: dict[str, Look] = {}
        self.moments: dict[str, datetime] = {}
        self.failures: list[Exception] = []
        self.stale: list[str] = []
        self.withdrawn: list[tuple[str, str, str]] = []
        self.sweeps = 0
        self.seen: set[tuple[str, str, str]] = set()
        self.during_look: Callable[[str], None] | None = None
        self._lock = threading.Lock()
        monkeypatch.setattr(engine, "look", self._look)
        monkeypatch.setattr(engine, "withdraw_step", lambda *said: self.withdrawn.append(said))
        monkeypatch.setattr(reading, "runs_of_cases", lambda keys: [(PROCESS, run_of(key)) for key in keys])
        monkeypatch.setattr(reading, "stale_runs", self._stale_runs)
        monkeypatch.setattr(reading, "due_runs", self._due_runs)
        monkeypatch.setattr(reading, "waiting_steps", lambda: set(self.seen))

    def _look(self, process: str, run_id: str, step: str, spec: Any) -> Look:
        assert process == PROCESS
        assert spec["word"] == "EmployeeTask"
        with self._lock:
            key = run_id.rsplit("-visit", 1)[0]
            self.looks[key] += 1
            if self.failures:
                raise self.failures.pop(0)
            ended = key in self.done
            self.seen.add((process, run_id, step))
        if self.during_look is not None:
            self.during_look(key)
        if ended:
            return self.outcome.get(key) or Look("done", key, 1, result={"task": 7})
        return Look("waiting", key, 1, self.moments.get(key), datetime.now(UTC))

    def _stale_runs(self) -> list[tuple[str, str]]:
        self.sweeps += 1
        return [(PROCESS, run_of(key)) for key in self.stale]

    def _due_runs(self) -> tuple[list[tuple[str, str]], datetime | None, datetime]:
        now = datetime.now(UTC)
        due = [(PROCESS, run_of(key)) for key, moment in self.moments.items() if moment <= now]
        return due, min((one for one in self.moments.values() if one > now), default=None), now

    def waits(self, *cases: str, notified: bool = True) -> None:
        """Let the step «call» of these cases' runs begin to wait in Airflow, as the scheduler does it."""
        from airflow.models.trigger import Trigger
        from airflow.utils.session import create_session

        for case in cases:
            airflow_api.create_run(PROCESS, run_of(case))
        with create_session() as session:
            for case in cases:
                row = Trigger(nudge.CLASS_PATH, {"spec": json.dumps({"word": "EmployeeTask"})})
                session.add(row)
                session.flush()
                if not notified:
                    session.execute(text("ALTER TABLE task_instance DISABLE TRIGGER USER"))
                session.execute(
                    text(
                        "UPDATE task_instance SET state = 'deferred', trigger_id = :trigger, start_date = now()"
                        " WHERE run_id = :run AND task_id = 'call'"
                    ),
                    {"trigger": row.id, "run": run_of(case)},
                )
                session.execute(
                    text("UPDATE dag_run SET state = 'running', last_scheduling_decision = now() WHERE run_id = :run"),
                    {"run": run_of(case)},
                )
                if not notified:
                    session.execute(text("ALTER TABLE task_instance ENABLE TRIGGER USER"))

    def state(self, case: str) -> str | None:
        """Return the state of the case's step in Airflow."""
        return self._one("SELECT state FROM task_instance WHERE run_id = :run AND task_id = 'call'", case)

    def is_next(self, case: str) -> bool:
        """Say whether the scheduler will examine the run first."""
        return self._one("SELECT last_scheduling_decision FROM dag_run WHERE run_id = :run", case) is None

    def triggers(self) -> int:
        """Count the rows that stand for waits."""
        return int(self._one("SELECT count(*) FROM trigger", "") or 0)

    def _one(self, query: str, case: str) -> Any:
        with self.airflow.connect() as connection:
            return connection.scalar(text(query), {"run": run_of(case)})


def run_of(case: str) -> str:
    return f"{case}-visit-1"


@pytest.fixture
def world(business: Engine, airflow_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(hub_module, "FIRST_PAUSE", 0.05)
    nudge.install(nudge.airflow_libpq_url())
    made = World(airflow_database, monkeypatch)
    yield made
    made.airflow.dispose()


def notify(channel: str = CHANGES_CHANNEL, **said: Any) -> None:
    with psycopg.connect(libpq_url(), autocommit=True) as connection:
        connection.execute("SELECT pg_notify(%s, %s)", (channel, json.dumps(said)))


def changed(*cases: str) -> None:
    notify(cases=list(cases), events=False)


def play(scenario: Callable[[Hub], Awaitable[None]], hubs: int = 1) -> None:
    async def inside() -> None:
        async with asyncio.timeout(120):
            made = [Hub() for _ in range(hubs)]
            running = [asyncio.create_task(one.run_forever()) for one in made]
            try:
                await until(lambda: all(all(one.connected.values()) for one in made))
                await scenario(made[0])
            finally:
                for one in running:
                    one.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(inside())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.02)


async def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    await asyncio.to_thread(function, *args, **kwargs)


def test_only_the_waits_of_the_changed_case_look(world: World) -> None:
    async def scenario(_hub: Hub) -> None:
        await call(world.waits, "deal-1", "deal-2", "deal-3")
        await until(lambda: set(world.looks) == {"deal-1", "deal-2", "deal-3"})
        await asyncio.sleep(0.5)
        before = world.looks.copy()
        world.done.add("deal-2")
        await call(changed, "deal-2")
        await until(lambda: world.state("deal-2") == "success")
        assert world.looks - before == Counter({"deal-2": 1})
        assert {world.state("deal-1"), world.state("deal-3")} == {"deferred"}
        assert world.triggers() == 2, "the row of the ended wait is gone"

    play(scenario)


@pytest.mark.parametrize(
    ("look", "state"),
    [
        (Look("done", result={"task": 7}), "success"),
        (Look("done"), "success"),
        (Look("skipped", reason="условие не выполнено"), "skipped"),
        (Look("failed", reason="нет права"), "failed"),
    ],
    ids=["done", "done-without-result", "skipped", "failed"],
)
def test_what_an_answer_means_in_airflow(world: World, look: Look, state: str) -> None:
    async def scenario(_hub: Hub) -> None:
        world.outcome["deal-1"] = look
        world.done.add("deal-1")
        await call(world.waits, "deal-1")
        await until(lambda: world.state("deal-1") == state)
        await until(lambda: world.is_next("deal-1"))
        result = world._one("SELECT value FROM xcom WHERE run_id = :run AND task_id = 'call'", "deal-1")
        assert result == (json.dumps(look.result) if look.result else None)
        assert world.triggers() == 0

    play(scenario)


def test_no_callback_is_queued_for_a_success(world: World) -> None:
    """Each would make the DAG processor read the file again."""

    async def scenario(_hub: Hub) -> None:
        world.done.add("deal-1")
        await call(world.waits, "deal-1")
        await until(lambda: world.state("deal-1") == "success")
        assert world._one("SELECT count(*) FROM callback", "") == 0

    play(scenario)


def test_a_change_during_the_look_is_not_lost(world: World) -> None:
    """The fact changes after the look has read it and before the look is over."""

    async def scenario(_hub: Hub) -> None:
        def meanwhile(key: str) -> None:
            if key not in world.done:
                world.done.add(key)
                changed(key)
                threading.Event().wait(0.5)  # the notification arrives while this look is still on its way

        world.during_look = meanwhile
        await call(world.waits, "deal-1")
        await until(lambda: world.state("deal-1") == "success")

    play(scenario)


def test_many_changes_at_once_are_all_heard(world: World) -> None:
    async def scenario(_hub: Hub) -> None:
        cases = [f"deal-{number}" for number in range(1, 31)]
        await call(world.waits, *cases)
        await until(lambda: len(world.looks) == 30)
        world.done |= set(cases)

        def burst() -> None:
            with psycopg.connect(libpq_url(), autocommit=True) as connection:
                for case in cases:
                    said = json.dumps({"cases": [case], "events": False})
                    connection.execute("SELECT pg_notify(%s, %s)", (CHANGES_CHANNEL, said))

        await call(burst)
        await until(lambda: all(world.state(case) == "success" for case in cases))

    play(scenario)


def test_a_change_of_very_many_cases_is_swept(world: World) -> None:
    async def scenario(_hub: Hub) -> None:
        await call(world.waits, "deal-1", "deal-2")
        await until(lambda: len(world.looks) == 2)
        world.done |= {"deal-1", "deal-2"}
        world.stale = ["deal-1", "deal-2"]
        await call(notify, cases="all", events=False)
        await until(lambda: {world.state("deal-1"), world.state("deal-2")} == {"success"})

    play(scenario)


def test_two_hubs_end_a_wait_once(world: World) -> None:
    async def scenario(_hub: Hub) -> None:
        cases = [f"deal-{number}" for number in range(1, 11)]
        await call(world.waits, *cases)
        await until(lambda: len(world.looks) == 10)
        world.done |= set(cases)
        await call(changed, *cases)
        await until(lambda: all(world.state(case) == "success" for case in cases))
        results = world._one("SELECT count(*) FROM xcom WHERE task_id = 'call'", "")
        assert results == 10

    play(scenario, hubs=2)


def test_its_moment_wakes_a_wait(world: World) -> None:
    async def scenario(_hub: Hub) -> None:
        world.moments["deal-1"] = datetime.now(UTC) + timedelta(seconds=2)
        await call(world.waits, "deal-1")
        await until(lambda: world.looks["deal-1"] > 0)
        world.done.add("deal-1")  # nobody notifies
        await until(lambda: world.state("deal-1") == "success")
        assert datetime.now(UTC) >= world.moments["deal-1"]

    play(scenario)


def test_a_moved_clock_makes_due_waits_look(world: World) -> None:
    async def scenario(_hub: Hub) -> None:
        world.moments["deal-1"] = datetime.now(UTC) + timedelta(days=14)
        await call(world.waits, "deal-1", "deal-2")
        await until(lambda: len(world.looks) == 2)
        world.moments["deal-1"] = datetime.now(UTC) - timedelta(seconds=1)
        world.done |= {"deal-1", "deal-2"}
        await call(notify, CLOCK_CHANNEL)
        await until(lambda: world.state("deal-1") == "success")
        assert world.state("deal-2") == "deferred"

    play(scenario)


@pytest.mark.parametrize(
    "failure",
    [psycopg.OperationalError("нет связи"), RuntimeError("ошибка в коде"), TimeoutError("долго"), KeyError("нет")],
    ids=lambda failure: type(failure).__name__,
)
def test_no_failure_ends_the_wait(world: World, failure: Exception) -> None:
    async def scenario(_hub: Hub) -> None:
        world.failures = [failure, failure, failure]
        world.done.add("deal-1")
        await call(world.waits, "deal-1")
        await until(lambda: world.state("deal-1") == "success")
        assert world.looks["deal-1"] == 4

    play(scenario)


def test_a_lost_connection_is_made_again_and_everything_is_looked_at(world: World) -> None:
    async def scenario(_hub: Hub) -> None:
        await call(world.waits, "deal-1")
        await until(lambda: world.looks["deal-1"] > 0)
        world.stale = ["deal-1"]
        world.done.add("deal-1")

        def cut() -> None:
            with psycopg.connect(libpq_url(), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'backoffice-hub'"
                )

        await call(cut)  # whatever was notified while deaf is found by the sweep
        await until(lambda: world.state("deal-1") == "success")

    play(scenario)


def test_a_wait_whose_beginning_was_not_heard_is_found(world: World) -> None:
    """The engine was down when the scheduler gave the step: the sweep at the start compares both databases."""
    world.waits("deal-1", notified=False)
    world.done.add("deal-1")

    async def scenario(_hub: Hub) -> None:
        await until(lambda: world.state("deal-1") == "success")

    play(scenario)


def test_a_lost_nudge_is_made_up_for(world: World) -> None:
    """The engine died between the end of a step and its nudge: the run would wait for its turn among thousands."""
    world.waits("deal-1")
    with world.airflow.begin() as connection:
        connection.execute(
            text(
                "UPDATE task_instance SET state = 'success', trigger_id = NULL, end_date = now() WHERE task_id = 'call'"
            )
        )

    async def scenario(_hub: Hub) -> None:
        await until(lambda: world.is_next("deal-1"))

    play(scenario)


def test_waits_of_an_earlier_release_are_taken_from_the_triggerer(world: World) -> None:
    world.waits("deal-1")
    with world.airflow.begin() as connection:
        connection.execute(text("UPDATE trigger SET queue = NULL, triggerer_id = 5"))

    async def scenario(_hub: Hub) -> None:
        await until(lambda: world._one("SELECT queue FROM trigger WHERE triggerer_id IS NULL", "") == nudge.QUEUE)
        await until(lambda: world.looks["deal-1"] > 0)

    play(scenario)


def test_without_the_nudge_the_sweep_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "SWEEP_EVERY", 0.3)
    nudge.remove(nudge.airflow_libpq_url())

    async def scenario(_hub: Hub) -> None:
        world.done.add("deal-1")
        await call(world.waits, "deal-1")
        await until(lambda: world.state("deal-1") == "success")

    play(scenario)


def test_a_failed_sweep_does_not_make_the_hub_deaf(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [RuntimeError("сбой"), ValueError("сбой")]

    def stale_runs() -> list[tuple[str, str]]:
        if left:
            raise left.pop()
        return []

    monkeypatch.setattr(reading, "stale_runs", stale_runs)

    async def scenario(_hub: Hub) -> None:
        await call(world.waits, "deal-1")
        await until(lambda: world.looks["deal-1"] > 0)
        world.done.add("deal-1")
        await call(changed, "deal-1")
        await until(lambda: world.state("deal-1") == "success")

    play(scenario)


def test_a_notification_of_strangers_does_not_make_the_hub_deaf(world: World) -> None:
    async def scenario(hub: Hub) -> None:
        await call(world.waits, "deal-1")
        await until(lambda: world.looks["deal-1"] > 0)

        def strange() -> None:
            with psycopg.connect(libpq_url(), autocommit=True) as connection:
                connection.execute("SELECT pg_notify(%s, %s)", (CHANGES_CHANNEL, "это не JSON"))

        await call(strange)
        await until(lambda: not hub.connected["business"])
        await until(lambda: hub.connected["business"])
        world.done.add("deal-1")
        await call(changed, "deal-1")
        await until(lambda: world.state("deal-1") == "success")

    play(scenario)


def test_a_step_that_ops_marked_is_withdrawn_at_once(world: World) -> None:
    async def scenario(_hub: Hub) -> None:
        await call(world.waits, "deal-1")
        await until(lambda: world.looks["deal-1"] > 0)

        def mark() -> None:
            with world.airflow.begin() as connection:
                connection.execute(text("UPDATE task_instance SET state = 'success' WHERE task_id = 'call'"))

        await call(mark)
        await until(lambda: world.withdrawn == [(PROCESS, run_of("deal-1"), "call")])
        assert world.is_next("deal-1")

    play(scenario)


def test_what_the_hub_itself_has_ended_is_not_taken_for_a_mark(world: World) -> None:
    async def scenario(_hub: Hub) -> None:
        world.done.add("deal-1")
        await call(world.waits, "deal-1")
        await until(lambda: world.state("deal-1") == "success")
        await asyncio.sleep(0.5)
        assert world.withdrawn == []

    play(scenario)


def test_a_run_of_airflows_own_form_becomes_a_case_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who started it stands in Airflow's database only; a process that is not parsed yet is waited for."""
    adopted: list[str] = []
    run_id = "manual__2026-01-12T09:00:00+00:00"
    monkeypatch.setattr(reconciler, "adopt_form_runs", lambda: adopted.append(run_id))
    monkeypatch.setattr(engine, "case_of_run", lambda *_: "request-5" if len(adopted) > 1 else None)
    monkeypatch.setattr(engine, "look", lambda *_: Look("done"))
    spec = {"word": "CheckStarter"}
    assert hub_module._look("ask", run_id, "check_starter", spec).outcome == "waiting"
    assert hub_module._look("ask", run_id, "check_starter", spec).outcome == "done"
    assert hub_module._look("ask", "request-7-start-1", "check_starter", spec).outcome == "done"
    assert len(adopted) == 2
