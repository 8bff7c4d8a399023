"""Random walks of a deal: stages entered, left and entered again in any order, with work closed, opened again, given to
others, files and fields changed, the clock moved and looks that come late or twice. Whatever the walk, nothing is lost,
nothing is given twice, and a quiet case stays quiet.

    BACKOFFICE_HUNT=500 make test TESTS=tests/hostile/test_walks.py      # so many walks of each kind
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import text

from include.process import words
from include.process.rules import after, days, filled, hours
from include.shared.errors import BackofficeError
from include.shared.work import reading
from tests.db.conftest import company, database_engine, database_url, quick_passwords
from tests.db.driver import QUOTE, Company, Driver, Process, alarm, notice, on_stage, step, task

__all__ = ["company", "database_engine", "database_url", "quick_passwords"]  # fixtures
pytestmark = pytest.mark.db
HUNT = int(os.environ.get("BACKOFFICE_HUNT", "0"))
WALKS = HUNT or 8
CONTRACT, SHIPPING, END = "Договор", "Отгрузка", "Подведение итогов"
STAGES = (QUOTE, CONTRACT, SHIPPING, END)
FIELDS = {"track_number": ("RU1", "RU2", ""), "signed_on": ("20.11.2026", ""), "quote_feedback_at": ("30.11.2026", "")}

acts = some.one_of(
    some.tuples(some.just("move"), some.sampled_from(STAGES), some.booleans()),
    some.tuples(some.just("close"), some.integers(0, 5)),
    some.tuples(some.just("reopen"), some.integers(0, 5)),
    some.tuples(some.just("fill"), some.sampled_from([(name, one) for name, known in FIELDS.items() for one in known])),
    some.tuples(some.just("later"), some.sampled_from([1, 5, 24, 24 * 4])),
    some.tuples(some.just("give"), some.sampled_from(["manager", "colleague"])),
    some.tuples(some.just("look"), some.integers(0, 2**16)),
)


def processes() -> tuple[Process, ...]:
    """The kinds of work that leaving and re-entering treats differently, on every stage of the walk."""
    return (
        on_stage(QUOTE, {
            "quote": task("Сформировать КП", due=hours(5)), "late": alarm("quote", after(hours(5))),
            "answer": task("Получить обратную связь", topic="ОС", shared_topic=True, due=days(3)),
            "tell": notice(),
        }),
        on_stage(CONTRACT, {
            "draft": task("Подготовить договор", reentry="repeat"),
            "sign": task("Подписать", guard=filled("signed_on"), closes_itself=True),
            "wait": step("FieldSensor", "Ждать номера", until=filled("track_number")), "go": notice("Номер есть"),
        }, wait=[]),
        on_stage(SHIPPING, {
            "ship": task("Отгрузить", on_leave="keep", guard=filled("track_number"), due=days(3)),
            "slow": alarm("ship", after(hours(24)), lives="task"),
            "other": task("Предупредить склад"), "proof": task("Подтвердить", on_leave="keep"),
        }, other=[], proof=["ship"]),
        Process("on:field:quote_feedback_at", {
            "ask": task("Обратная связь по счету", topic="ОС", shared_topic=True, reentry="replace")}),
    )  # fmt: skip


class Walk:
    """One deal on its way; what a person may not do just now is refused, and the walk goes on."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.deal = driver.deal(*processes())
        self.reopened = 0
        self.refused = 0

    def act(self, kind: str, *what: Any) -> None:
        try:
            getattr(self, f"_{kind}")(*what)
        except BackofficeError:
            self.refused += 1

    def _move(self, stage: str, settled: bool) -> None:
        self.driver.move(self.deal, stage, settle=settled)

    def _close(self, number: int) -> None:
        found = self.driver.tasks("open")
        if found:
            self.driver.close(found[number % len(found)])

    def close_all(self) -> None:
        """Close what is open and whatever that brings, until nothing that can be closed is left."""
        self.act("fill", ("signed_on", "20.11.2026"))
        for _ in range(10):
            for one in self.driver.tasks("open"):
                with suppress(BackofficeError):
                    self.driver.close(one)

    def _reopen(self, number: int) -> None:
        found = self.driver.tasks("done")
        if found:
            self.driver.reopen(found[number % len(found)])
            self.reopened += 1

    def _fill(self, value: tuple[str, str]) -> None:
        self.driver.fill(self.deal, **dict([value]))

    def _later(self, number: int) -> None:
        self.driver.later(hours=number)

    def _give(self, login: str) -> None:
        self.driver.give_to(self.deal, login)

    def _look(self, seed: int) -> None:
        """Some steps are looked at, ready or not, some of them twice: as after a restart."""
        self.driver.relay()
        by_id = {one.id: one for one in self.driver.processes}
        order = random.Random(seed)
        seen = [(by_id[one.process], one, name) for one in self.driver.instances() for name in by_id[one.process].specs]
        for process, instance, name in order.choices(seen, k=min(len(seen), 6)) if seen else ():
            known = {row.step for row in self.driver.steps(instance)}
            if name in known or not process.upstream[name]:
                self.driver.look(process, instance, name)


def count(sql: str, driver: Driver) -> list[Any]:
    with reading() as session:
        return list(session.execute(text(sql), {"cases": list(driver.cases)}))


def check(walk: Walk) -> None:
    driver = walk.driver
    driver.settle()
    assert driver.violations() == []
    assert (
        count(
            "SELECT topic FROM task WHERE case_id = ANY(:cases) AND state = 'open' GROUP BY topic HAVING count(*) > 1",
            driver,
        )
        == []
    ), "one topic, one open task"
    assert count("SELECT key FROM task WHERE case_id = ANY(:cases) GROUP BY key HAVING count(*) > 1", driver) == [], (
        "one key, one task"
    )
    # «once» is once: whatever was done is not asked for again, however often the stage is entered
    once = "'Сформировать КП', 'Предупредить склад', 'Отгрузить', 'Подтвердить'"
    assert count(
        f"SELECT title FROM task WHERE case_id = ANY(:cases) AND state IN ('open', 'done') AND title IN ({once})"
        " GROUP BY title HAVING count(*) > 1", driver
    ) == [], "the same work is given twice"  # fmt: skip
    assert count("SELECT key FROM notice WHERE case_id = ANY(:cases) GROUP BY key HAVING count(*) > 1", driver) == [], (
        "one word, told once"
    )
    assert count(
        "SELECT process FROM process_instance WHERE case_id = ANY(:cases) AND state = 'live' AND left_at IS NULL"
        " GROUP BY process HAVING count(*) > 1", driver
    ) == [], "one living visit"  # fmt: skip


def quiet(driver: Driver) -> tuple[Any, ...]:
    return tuple(
        count(f"SELECT count(*) FROM {table} WHERE case_id = ANY(:cases)", driver)[0][0]
        for table in ("task", "notice", "audit", "outbox_event", "process_instance")
    )


@given(walk=some.lists(acts, min_size=5, max_size=25))
@settings(max_examples=WALKS, suppress_health_check=list(HealthCheck), derandomize=not HUNT)
def test_a_walk_loses_and_doubles_nothing(walk: list[tuple[Any, ...]], company: Company) -> None:
    with pytest.MonkeyPatch.context() as patch:
        driver = Driver(company, patch)
        taken = Walk(driver)
        for kind, *what in walk:
            taken.act(kind, *what)
        check(taken)
        before = quiet(driver)
        driver.look_around(live=True)  # a restart: every wait looks again
        driver.settle()
        assert quiet(driver) == before, "a case at rest was changed by looking at it"
        for _ in range(3):
            taken.act("later", 24 * 4)
        check(taken)


@given(walk=some.lists(some.sampled_from(STAGES), min_size=2, max_size=12), closes=some.booleans())
@settings(max_examples=WALKS, suppress_health_check=list(HealthCheck), derandomize=not HUNT)
def test_back_and_forth_gives_each_work_once(walk: list[str], closes: bool, company: Company) -> None:
    """Only moves, with everything closed on the way or nothing: the number of tasks is known beforehand."""
    with pytest.MonkeyPatch.context() as patch:
        driver = Driver(company, patch)
        taken = Walk(driver)
        taken.act("fill", ("track_number", "RU1"))
        for stage in walk:
            taken.act("move", stage, True)
            if closes:
                taken.close_all()
        check(taken)
        done = [one.title for one in driver.tasks("done")]
        if closes:
            assert done.count("Сформировать КП") == (QUOTE in walk)
            assert done.count("Отгрузить") == done.count("Подтвердить") == (SHIPPING in walk)
            assert driver.tasks("withdrawn") == []
        else:
            assert done == []


def test_the_checks_notice_work_that_is_given_twice(company: Company) -> None:
    """Else all the walks above would prove nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_stays_done", lambda *_: False)
        taken = Walk(Driver(company, patch))
        for stage in (QUOTE, CONTRACT, QUOTE):
            taken.act("move", stage, True)
            taken.close_all()
        with pytest.raises(AssertionError, match="given twice"):
            check(taken)
