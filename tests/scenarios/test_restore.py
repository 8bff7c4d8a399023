"""A backup taken while cases move, restored on another port in another home: nothing is lost, nothing doubled.

It runs last: the office that gave the backup is down while its copy lives.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from include.installation import backup, manifest, restore
from include.installation.installation import Installation, free_port
from include.process.reading import violations
from tests.scenarios.office import Office
from tests.scenarios.rest import DAG, at_rest, close, instances, wait_until
from tests.scenarios.stories import EXPRESS, TASK

pytestmark = pytest.mark.airflow

BEFORE = 8


@dataclass
class Movers:
    """People who go on working while the backup is taken: deals come, enter the stage, and their tasks are closed."""

    office: Office
    entered: list[dict[str, Any]] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Move cases until told to stop."""
        number = 0
        try:
            while not self.stop.is_set() and number < 200:
                number += 1
                deal = self.office.new_deal("admin", f"Копия на ходу {number}", "Товары", "Иванова")
                self.office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": EXPRESS})
                self.entered.append(deal)
                done = self.entered[len(self.closed)]
                for task in self.office.open_tasks(done["case_id"]):
                    self.office.call("Иванова", "POST", f"/tasks/{task['id']}/close", {"result": {}})
                    self.closed.append(done["id"])
        except (AssertionError, requests.RequestException) as error:
            self.failed.append(str(error))


@dataclass
class Copied:
    """The restored office and what was known of the first one."""

    office: Office
    standing: list[dict[str, Any]]
    movers: Movers
    before: dict[int, str]


@pytest.fixture(scope="module")
def copied(office: Office) -> Iterator[Copied]:
    """Back up the busy office, stop its programs, and bring the copy up elsewhere."""
    at_rest(office)
    standing = [enter(office, f"До копии {number + 1}") for number in range(BEFORE)]
    office.advance()
    for deal in standing[:2]:
        close(office, deal)
    office.advance()
    movers = Movers(office)
    thread = threading.Thread(target=movers.work)
    thread.start()
    wait_until(lambda: len(movers.closed) > 3 or movers.failed, "дела движутся", 120)
    before = states(office)
    place = Path(tempfile.mkdtemp(prefix="backoffice-copy-"))
    try:
        backup.take(office.installation, place / "backup")
        movers.stop.set()
        thread.join()
        assert movers.failed == []
        for name in set(office.installation.status()["programs"]) - {"postgres"}:
            office.installation.hold(name)
        copy = Installation(
            place / "home", port=free_port(), clock="virtual", extra_dags=Path(__file__).parent / "processes"
        )
        try:
            restore.restore(copy, place / "backup", restore.check(copy, place / "backup"))
            copy.prepare()
            copy.start()
            copy.wait_healthy(timeout=300)
            twin = Office(copy, people=office.people, tokens=office.tokens)  # its keys are the same: so are the logins
            yield Copied(twin, standing, movers, before)
        finally:
            copy.stop()
    finally:
        movers.stop.set()
        office.installation.release()
        office.claim()
        shutil.rmtree(place, ignore_errors=True)


def enter(office: Office, title: str) -> dict[str, Any]:
    deal = office.new_deal("admin", title, "Товары", "Иванова")
    office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": EXPRESS})
    return deal


def states(office: Office) -> dict[int, str]:
    return {one["id"]: one["state"] for one in office.rows("SELECT id, state FROM process_instance")}


def test_the_copy_comes_to_rest_without_a_violation(copied: Copied) -> None:
    at_rest(copied.office)
    assert violations() == []
    assert copied.movers.entered, "пока снималась копия, дела двигались"


def test_every_case_of_the_first_office_is_there(copied: Copied) -> None:
    """What was committed before the backup began is in it; an ended instance has not come to life."""
    known = states(copied.office)
    assert set(copied.before) <= set(known)
    assert [one for one, state in copied.before.items() if state == "ended" and known[one] != "ended"] == []
    assert {deal["id"] for deal in copied.standing} <= {one["id"] for one in copied.office.rows("SELECT id FROM deal")}


def test_each_wait_is_alive_in_airflow(copied: Copied) -> None:
    """0 lost: a waiting step of ours is a deferred step of a running run with its stored trigger."""
    office = copied.office
    at_rest(office)
    ours = {
        (one["process"], one["run_id"], one["step"])
        for one in office.rows(
            "SELECT i.process, i.run_id, s.step FROM step_state s JOIN process_instance i ON i.id = s.instance_id"
            " WHERE s.state = 'waiting'"
        )
    }
    theirs = """
        SELECT t.dag_id, t.run_id, t.task_id FROM task_instance t
          JOIN dag_run r ON r.dag_id = t.dag_id AND r.run_id = t.run_id AND r.state = 'running'
          JOIN trigger g ON g.id = t.trigger_id
         WHERE t.state = 'deferred'
    """
    assert len(ours) >= 2 * (BEFORE - 2)
    wait_until(
        lambda: ours <= {(one["dag_id"], one["run_id"], one["task_id"]) for one in office.airflow_rows(theirs)},
        "все ожидания живы",
    )


def test_nothing_is_doubled(copied: Copied) -> None:
    office = copied.office
    twice = "SELECT {what} AS what FROM {table} GROUP BY {what} HAVING count(*) > 1"
    for table, what in (("task", "key"), ("notice", "key"), ("process_instance", "run_id")):
        assert office.rows(twice.format(what=what, table=table)) == []
    open_twice = "SELECT case_id FROM task WHERE state = 'open' AND title = :t GROUP BY case_id HAVING count(*) > 1"
    assert office.rows(open_twice, t=TASK) == []
    runs = office.airflow_rows("SELECT run_id FROM dag_run WHERE dag_id = :d", d=DAG)
    of_cases = {one["run_id"] for one in runs if not one["run_id"].startswith("manual__")}
    visits = office.rows("SELECT run_id, state FROM process_instance WHERE process = :d", d=DAG)
    assert of_cases <= {one["run_id"] for one in visits}, "лишних прогонов нет"
    live = {one["run_id"] for one in visits if one["state"] == "live"}  # one that was over at once has no run
    assert live <= of_cases, "прогон есть у каждого живого захода"


def test_the_nightly_cleaning_leaves_what_lives(copied: Copied) -> None:
    """The real process: a worker cleans our side, the engine Airflow's, and nothing here is old enough to go."""
    office = copied.office
    living = "SELECT count(*) AS n FROM trigger"
    before = office.airflow_rows(living)
    made = office.call("ops", "POST", "/api/v2/dags/retention_nightly/dagRuns", {"logical_date": None})
    path = f"/api/v2/dags/retention_nightly/dagRuns/{made['dag_run_id']}"
    wait_until(lambda: office.call("ops", "GET", path)["state"] == "success", "уборка закончена", 180)
    (done,) = office.rows("SELECT finished_at, removed FROM retention_pass ORDER BY id DESC LIMIT 1")
    assert done["finished_at"] is not None
    assert done["removed"] == {}
    assert office.airflow_rows(living) == before
    at_rest(office)


def test_old_and_new_cases_go_on_to_their_end(copied: Copied) -> None:
    office = copied.office
    there = {one["id"] for one in office.rows("SELECT id FROM deal")}
    living = [deal for deal in (*copied.standing, *copied.movers.entered) if deal["id"] in there]
    new = enter(office, "После восстановления")
    at_rest(office)
    worked = [deal for deal in (*living, new) if office.open_tasks(deal["case_id"])]
    assert len(worked) >= BEFORE - 2 + 1
    for deal in worked:
        close(office, deal)
    at_rest(office)
    assert {tuple(instances(office, deal)) for deal in worked} == {(("ended", "завершён"),)}


def test_the_backup_says_when_it_was_taken(copied: Copied, office: Office) -> None:
    """The first office knows of its backup; the copy has none yet."""
    pulse = "SELECT info FROM heartbeat WHERE name = 'backup'"
    (told,) = office.rows(pulse)
    assert told["info"]["bytes"] > 10_000_000
    assert manifest.read(Path(told["info"]["path"])).clock == "virtual"
    assert copied.office.rows(pulse) == []
