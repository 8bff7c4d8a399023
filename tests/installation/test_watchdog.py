"""The watchdog: who lives and does not work is found; who is frozen for a while, or has no database, is left alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import psycopg
import pytest

from include.installation import watchdog
from include.installation.dead_jobs import Life
from include.installation.programs import Program
from include.installation.watchdog import Seen, Watchdog

pytestmark = pytest.mark.unit

SCHEDULER = Program("scheduler", "планировщик", ("x",), job_type="SchedulerJob")
RUNNING = Seen(SCHEDULER, 41, datetime.now(UTC))


class Rows:
    """What the table of jobs says; the clock goes a minute on with each look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.life: Life | psycopg.Error | None = Life(ended=False, silent=1)
        self.now = 1000.0
        monkeypatch.setattr(watchdog, "life_of", self.life_of)
        monkeypatch.setattr(watchdog.time, "monotonic", lambda: self.now)

    def life_of(self, _url: str, **_: object) -> Life | None:
        if isinstance(self.life, psycopg.Error):
            raise self.life
        return self.life

    def look(self, dog: Watchdog, seen: Seen = RUNNING) -> list[tuple[str, str]]:
        self.now += 60
        dog.look([seen])
        for _ in range(200):
            if dog._thread is None or not dog._thread.is_alive():
                break
            time.sleep(0.01)
        self.now += 1  # sooner than the next look
        return dog.look([seen])


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    return Rows(monkeypatch)


def test_who_works_is_left_alone(rows: Rows) -> None:
    dog = Watchdog("")
    assert [rows.look(dog) for _ in range(5)] == [[]] * 5


def test_who_has_ended_and_lives_is_found_once(rows: Rows) -> None:
    dog = Watchdog("")
    rows.life = Life(ended=True, silent=1)
    assert rows.look(dog) == [], "он может ещё завершаться"
    ((name, why),) = rows.look(dog)
    assert name == "scheduler"
    assert "не завершается" in why
    assert rows.look(dog) == []


def test_who_is_frozen_for_a_minute_goes_on(rows: Rows) -> None:
    dog = Watchdog("")
    rows.life = Life(ended=False, silent=70)
    assert rows.look(dog) == []
    rows.life = Life(ended=False, silent=130)
    assert rows.look(dog) == []
    rows.life = Life(ended=False, silent=2)
    assert rows.look(dog) == []
    rows.life = Life(ended=False, silent=130)
    assert rows.look(dog) == [], "считается заново"


def test_who_is_silent_for_long_is_found(rows: Rows) -> None:
    dog = Watchdog("")
    rows.life = Life(ended=False, silent=130)
    found = [rows.look(dog) for _ in range(3)]
    assert found[:2] == [[], []]
    assert "не отмечался" in found[2][0][1]


def test_a_successor_does_not_answer_for_who_is_gone(rows: Rows) -> None:
    dog = Watchdog("")
    rows.life = Life(ended=True, silent=1)
    rows.look(dog)
    assert rows.look(dog, Seen(SCHEDULER, 42, datetime.now(UTC))) == []


def test_without_a_database_nobody_is_blamed(rows: Rows) -> None:
    dog = Watchdog("")
    rows.life = Life(ended=True, silent=1)
    rows.look(dog)
    rows.life = psycopg.OperationalError("нет базы")
    assert rows.look(dog) == []
    rows.life = Life(ended=True, silent=1)
    assert rows.look(dog) == [], "считается заново"


def test_who_has_no_row_is_not_watched(rows: Rows) -> None:
    dog = Watchdog("")
    rows.life = None
    assert [rows.look(dog) for _ in range(4)] == [[]] * 4
