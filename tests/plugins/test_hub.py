"""The hub in a real event loop with a real LISTEN: wakes exactly the waits concerned, loses nothing, never fails."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from backoffice import hub as hub_module
from backoffice.hub import RECONCILE_CHANNEL, Hub
from include.process import engine
from include.process.engine import Look
from include.shared.clock import CLOCK_CHANNEL
from include.shared.db import libpq_url
from include.shared.work import CHANGES_CHANNEL

pytestmark = pytest.mark.db
PATIENCE = 20.0


class Facts:
    """Stands in for the engine: says how each step stands and counts the looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks: Counter[str] = Counter()
        self.done: set[str] = set()
        self.moments: dict[str, datetime] = {}
        self.failures: list[Exception] = []
        self.stale: list[str] = []
        self.sweeps = 0
        self.during_look: Callable[[str], None] | None = None
        self._lock = threading.Lock()

        def look(process: str, run_id: str, step: str, spec: Any, **_arrives: bool) -> Look:
            with self._lock:
                key = run_id.rsplit("-visit", 1)[0]
                self.looks[key] += 1
                if self.failures:
                    raise self.failures.pop(0)
                ended = key in self.done
            if self.during_look is not None:
                self.during_look(key)
            if ended:
                return Look("done", key, 1, result={"task": 7})
            return Look("waiting", key, 1, self.moments.get(key), datetime.now(UTC))

        def stale_cases(_session: Any) -> list[str]:
            self.sweeps += 1
            return list(self.stale)

        monkeypatch.setattr(engine, "look", look)
        monkeypatch.setattr(engine, "stale_cases", stale_cases)


@pytest.fixture
def facts(business: Engine, monkeypatch: pytest.MonkeyPatch) -> Facts:
    monkeypatch.setattr(hub_module, "FIRST_PAUSE", 0.05)
    return Facts(monkeypatch)


def notify(channel: str = CHANGES_CHANNEL, **said: Any) -> None:
    with psycopg.connect(libpq_url(), autocommit=True) as connection:
        connection.execute("SELECT pg_notify(%s, %s)", (channel, json.dumps(said)))


def changed(*cases: str) -> None:
    notify(cases=list(cases), events=False)


def run(scenario: Callable[[Hub], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with asyncio.timeout(120):
            await scenario(Hub.here())

    asyncio.run(inside())


def attend(hub: Hub, case: str) -> asyncio.Task[Look]:
    return asyncio.create_task(hub.attend("goods", f"{case}-visit-1", "step", {"word": "FieldSensor"}))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.02)


async def listening(facts: Facts, swept: int = 0) -> None:
    """Wait until the hub hears: it sweeps once whenever it has (re)connected."""
    await until(lambda: facts.sweeps > swept)
    await asyncio.sleep(0.1)


def test_only_the_waits_of_the_changed_case_look(facts: Facts) -> None:
    async def scenario(hub: Hub) -> None:
        waits = {case: attend(hub, case) for case in ("deal-1", "deal-2", "deal-3")}
        await until(lambda: sum(facts.looks.values()) == 3)
        await listening(facts)
        before = facts.looks.copy()
        facts.done.add("deal-2")
        await asyncio.to_thread(changed, "deal-2")
        look = await asyncio.wait_for(waits["deal-2"], PATIENCE)
        assert (look.outcome, look.result) == ("done", {"task": 7})
        assert facts.looks - before == Counter({"deal-2": 1})
        assert hub.waiting == 2
        for one in waits.values():
            one.cancel()

    run(scenario)


def test_all_steps_of_one_case_hear(facts: Facts) -> None:
    async def scenario(hub: Hub) -> None:
        waits = [attend(hub, "deal-1") for _ in range(5)]
        await until(lambda: facts.looks["deal-1"] == 5)
        await listening(facts)
        facts.done.add("deal-1")
        await asyncio.to_thread(changed, "deal-1")
        await asyncio.wait_for(asyncio.gather(*waits), PATIENCE)
        assert hub.waiting == 0
        assert hub._ears == {}

    run(scenario)


def test_a_change_of_very_many_cases_wakes_all(facts: Facts) -> None:
    async def scenario(hub: Hub) -> None:
        waits = [attend(hub, f"deal-{number}") for number in range(1, 31)]
        await until(lambda: len(facts.looks) == 30)
        await listening(facts)
        facts.done |= {f"deal-{number}" for number in range(1, 31)}
        await asyncio.to_thread(notify, cases="all", events=False)
        await asyncio.wait_for(asyncio.gather(*waits), PATIENCE)

    run(scenario)


def test_a_change_during_the_look_is_not_lost(facts: Facts) -> None:
    """The fact changes after the look has read it and before the wait begins: the ear was open all the while."""

    async def scenario(hub: Hub) -> None:
        first = attend(hub, "deal-9")
        await until(lambda: facts.looks["deal-9"] == 1)
        await listening(facts)

        def meanwhile(key: str) -> None:
            if key == "deal-1" and key not in facts.done:
                facts.done.add(key)
                changed(key)
                threading.Event().wait(0.3)  # the notification arrives while this look is still on its way

        facts.during_look = meanwhile
        look = await asyncio.wait_for(attend(hub, "deal-1"), PATIENCE)
        assert look.outcome == "done"
        assert facts.looks["deal-1"] == 2
        first.cancel()

    run(scenario)


def test_many_notifications_at_once_are_all_heard(facts: Facts) -> None:
    async def scenario(hub: Hub) -> None:
        waits = [attend(hub, f"deal-{number}") for number in range(1, 51)]
        await until(lambda: len(facts.looks) == 50)
        await listening(facts)
        facts.done |= {f"deal-{number}" for number in range(1, 51)}

        def burst() -> None:
            with psycopg.connect(libpq_url(), autocommit=True) as connection:
                for number in range(1, 51):
                    said = json.dumps({"cases": [f"deal-{number}"], "events": False})
                    connection.execute("SELECT pg_notify(%s, %s)", (CHANGES_CHANNEL, said))

        await asyncio.to_thread(burst)
        await asyncio.wait_for(asyncio.gather(*waits), PATIENCE)

    run(scenario)


def test_its_moment_wakes_a_wait(facts: Facts) -> None:
    async def scenario(hub: Hub) -> None:
        facts.moments["deal-1"] = datetime.now(UTC) + timedelta(seconds=0.6)
        wait = attend(hub, "deal-1")
        await until(lambda: facts.looks["deal-1"] == 1)
        facts.done.add("deal-1")  # nobody notifies
        begun = asyncio.get_running_loop().time()
        await asyncio.wait_for(wait, PATIENCE)
        assert asyncio.get_running_loop().time() - begun < 10

    run(scenario)


def test_a_moved_clock_makes_all_due_waits_look(facts: Facts) -> None:
    async def scenario(hub: Hub) -> None:
        waits = [attend(hub, "deal-1"), attend(hub, "deal-2")]
        await until(lambda: len(facts.looks) == 2)
        await listening(facts)
        facts.stale = ["deal-1"]
        facts.done.add("deal-1")
        await asyncio.to_thread(notify, CLOCK_CHANNEL)
        await asyncio.wait_for(waits[0], PATIENCE)
        assert not waits[1].done()
        waits[1].cancel()

    run(scenario)


@pytest.mark.parametrize(
    "failure",
    [psycopg.OperationalError("нет связи"), RuntimeError("ошибка в коде"), TimeoutError("долго"), KeyError("нет")],
    ids=lambda failure: type(failure).__name__,
)
def test_no_failure_leaves_the_wait(facts: Facts, failure: Exception) -> None:
    """An error that leaves run() would send the step to a worker only to fail the case there."""

    async def scenario(hub: Hub) -> None:
        facts.failures = [failure, failure, failure]
        facts.done.add("deal-1")
        look = await asyncio.wait_for(attend(hub, "deal-1"), PATIENCE)
        assert look.outcome == "done"
        assert facts.looks["deal-1"] == 4

    run(scenario)


def test_a_lost_connection_is_made_again_and_everything_is_looked_at(facts: Facts) -> None:
    async def scenario(hub: Hub) -> None:
        wait = attend(hub, "deal-1")
        await until(lambda: facts.looks["deal-1"] == 1)
        await listening(facts)
        swept = facts.sweeps
        facts.stale = ["deal-1"]
        facts.done.add("deal-1")

        def cut() -> None:
            with psycopg.connect(libpq_url(), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'backoffice-hub'"
                )

        await asyncio.to_thread(cut)  # whatever was notified while deaf is found by the sweep
        await asyncio.wait_for(wait, PATIENCE)
        assert facts.sweeps > swept

    run(scenario)


def test_a_failed_sweep_does_not_make_the_hub_deaf(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [RuntimeError("сбой"), ValueError("сбой")]

    def stale_cases(_session: Any) -> list[str]:
        if left:
            raise left.pop()
        facts.sweeps += 1
        return []

    monkeypatch.setattr(engine, "stale_cases", stale_cases)

    async def scenario(hub: Hub) -> None:
        wait = attend(hub, "deal-1")
        await listening(facts)
        facts.done.add("deal-1")
        await asyncio.to_thread(changed, "deal-1")
        await asyncio.wait_for(wait, PATIENCE)

    run(scenario)


def test_a_notification_of_strangers_does_not_make_the_hub_deaf(facts: Facts) -> None:
    async def scenario(hub: Hub) -> None:
        wait = attend(hub, "deal-1")
        await until(lambda: facts.looks["deal-1"] == 1)
        await listening(facts)
        swept = facts.sweeps

        def strange() -> None:
            with psycopg.connect(libpq_url(), autocommit=True) as connection:
                connection.execute("SELECT pg_notify(%s, %s)", (CHANGES_CHANNEL, "это не JSON"))

        await asyncio.to_thread(strange)
        await listening(facts, swept)
        facts.done.add("deal-1")
        await asyncio.to_thread(changed, "deal-1")
        await asyncio.wait_for(wait, PATIENCE)

    run(scenario)


def test_a_cancelled_wait_leaves_no_ear(facts: Facts) -> None:
    async def scenario(hub: Hub) -> None:
        wait = attend(hub, "deal-1")
        await until(lambda: hub.waiting == 1)
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
        assert (hub.waiting, dict(hub._ears)) == (0, {})

    run(scenario)


def test_the_reconciler_is_hinted_at_once(facts: Facts) -> None:
    """on_kill() has little time, and the hub's own connection is busy listening."""

    async def scenario(hub: Hub) -> None:
        wait = attend(hub, "deal-1")
        await listening(facts)

        def heard() -> int:
            with psycopg.connect(libpq_url(), autocommit=True) as connection:
                connection.execute(f"LISTEN {RECONCILE_CHANNEL}")
                ready.set()
                return len(list(connection.notifies(timeout=5, stop_after=1)))

        ready = threading.Event()
        ear = asyncio.create_task(asyncio.to_thread(heard))
        await asyncio.to_thread(ready.wait, 10)
        begun = asyncio.get_running_loop().time()
        await hub.hint_reconciler()
        assert await ear == 1
        assert asyncio.get_running_loop().time() - begun < 3
        wait.cancel()

    run(scenario)


def test_a_run_of_airflows_own_form_waits_until_it_is_a_case(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the API server knows who started it; the trigger asks for it and waits."""
    monkeypatch.setattr("backoffice.hub.ADOPTION_LOOK", 0.01)
    asked: list[str] = []

    def case_of_run(_process: str, run_id: str) -> str | None:
        asked.append(run_id)
        return "request-5" if len(asked) > 2 else None

    monkeypatch.setattr(engine, "case_of_run", case_of_run)

    async def scenario(hub: Hub) -> None:
        run_id = "manual__2026-01-12T09:00:00+00:00"
        facts.done.add(run_id)
        look = await hub.attend("asked", run_id, "check_starter", {"word": "CheckStarter"})
        assert look.outcome == "done"
        assert asked == [run_id] * 3

    run(scenario)


def test_another_run_without_a_case_is_not_waited_for(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "case_of_run", lambda *_: None)

    async def scenario(hub: Hub) -> None:
        run_id = "manual__2026-01-12T09:00:00+00:00"
        facts.done.add(run_id)
        assert (await hub.attend("goods", run_id, "call", {"word": "EmployeeTask"})).outcome == "done"

    run(scenario)
