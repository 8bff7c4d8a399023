"""The reconciler against every thing that ops can do in Airflow, with a stand-in for Airflow and for the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from backoffice import airflow_api, reconciler
from backoffice.airflow_api import FormRun, Glance, RunState
from include.ops import failures
from include.process import engine
from include.process.reading import LiveInstance

KEY = ("goods", "deal-1-visit-1")


@dataclass
class World:
    """What is live with us, what Airflow shows, and what was done about the difference."""

    live: list[LiveInstance] = field(default_factory=list)
    runs: dict[tuple[str, str], RunState] = field(default_factory=dict)
    ended: list[tuple[str, str, str]] = field(default_factory=list)
    did: list[tuple[Any, ...]] = field(default_factory=list)
    forms: list[FormRun] = field(default_factory=list)
    cases: dict[str, str] = field(default_factory=dict)

    def instance(
        self,
        age: float = 100.0,
        pending: bool = False,
        waits: tuple[str, ...] = ("call",),
        marked: tuple[str, ...] = (),
        failed: tuple[str, ...] = (),
        retried: tuple[str, ...] = (),
    ) -> None:
        self.live.append(LiveInstance(*KEY, age, pending, list(waits), list(marked), list(failed), list(retried)))

    def run(self, state: str = "running", **tasks: str | None) -> None:
        self.runs[KEY] = RunState(*KEY, state, dict(tasks))

    def glance(self) -> Glance:
        """What one look at Airflow would tell of these runs."""
        going_on = {key: run for key, run in self.runs.items() if run.state in ("queued", "running")}
        steps = [(key, step, state) for key, run in self.runs.items() for step, state in run.tasks.items()]
        return Glance(
            runs=frozenset(going_on),
            deferred=frozenset((*key, step) for key, step, state in steps if state == "deferred"),
            failed=frozenset(key for key, _, state in steps if state == "failed" and key in going_on),
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(airflow_api, "unfinished_form_runs", lambda: made.forms)
    monkeypatch.setattr(airflow_api, "declared_scheme", lambda _process: {"steps": []})
    monkeypatch.setattr(engine, "case_of_run", lambda _process, run_id: made.cases.get(run_id))
    monkeypatch.setattr(engine, "adopt_form_run", lambda *said: made.did.append(("adopt", *said)))
    monkeypatch.setattr(reconciler, "live_instances", lambda: made.live)
    monkeypatch.setattr(reconciler, "recently_ended", lambda: made.ended)
    monkeypatch.setattr(
        airflow_api, "run_states", lambda keys: {key: made.runs[key] for key in keys if key in made.runs}
    )
    monkeypatch.setattr(airflow_api, "glance", made.glance)
    for name in ("record_failure", "record_failed_run", "settle_workers_step"):
        monkeypatch.setattr(failures, name, lambda *said, name=name: made.did.append((name, *said)) or True)
    monkeypatch.setattr(airflow_api, "go_on_cleared", lambda *said: made.did.append(("go on", *said)) or True)
    monkeypatch.setattr(airflow_api, "set_note", lambda *said: made.did.append(("note", *said)))
    monkeypatch.setattr(engine, "withdraw_step", lambda *said: made.did.append(("withdraw", *said)))
    monkeypatch.setattr(engine, "take_up_step", lambda *said: made.did.append(("take up", *said)))
    monkeypatch.setattr(engine, "end_run", lambda *said: made.did.append(("end", *said)))
    return made


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running", "deferred", "up_for_retry"])
def test_a_step_on_its_way_is_left_alone(world: World, state: str | None) -> None:
    """Cleared ones included: they look again and join what they did before."""
    world.instance()
    world.run(call=state)
    assert reconciler.reconcile() == 0
    assert world.did == []


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed", "removed"])
def test_a_marked_step_is_withdrawn(world: World, state: str) -> None:
    world.instance()
    world.run(call=state)
    assert reconciler.reconcile() == 1
    assert world.did == [("withdraw", *KEY, "call")]


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_ended_while_its_step_was_cleared_goes_on(world: World, state: str) -> None:
    """Airflow's clear and its scheduler met: the run ended, the cleared step would wait for ever."""
    world.instance(waits=(), marked=("call",))
    world.run(state, call=None, letter="success")
    assert reconciler.reconcile() == 1
    assert world.did == [("go on", *KEY)]


def test_steps_kept_back_by_a_failure_that_is_no_more_go_on(world: World) -> None:
    """The scheduler kept them from beginning while the clear took the failed step away (found by the fault suite)."""
    world.instance(waits=())
    world.run("failed", call="success", letter="upstream_failed")
    assert reconciler.reconcile() == 1
    assert world.did == [("go on", *KEY)]


def test_steps_kept_back_by_a_failure_that_stands_do_not(world: World) -> None:
    world.instance(waits=())
    world.run("failed", call="failed", letter="upstream_failed")
    reconciler.reconcile()
    assert ("go on", *KEY) not in world.did


def test_a_marked_step_cleared_meanwhile_is_taken_up(world: World) -> None:
    """Its new trigger began before the mark was met, so that it does not take the step up itself."""
    world.instance(waits=(), marked=("call", "letter"))
    world.run(call="deferred", letter="success")
    assert reconciler.reconcile() == 1
    assert world.did == [("take up", *KEY, "call")]


def test_runs_of_airflows_own_form_become_cases_once(world: World) -> None:
    world.forms = [
        FormRun("ask", "request-7-start-1", {"event": 3}, None),  # the relay's: a case already
        FormRun("ask", "manual__old", {}, "ivanova"),
        FormRun("ask", "manual__new", {"subject": "Насос"}, "ivanova"),
    ]
    world.cases["manual__old"] = "request-8"
    reconciler.reconcile()
    assert world.did == [("adopt", "ask", "manual__new", {"steps": []}, {"subject": "Насос"}, "ivanova")]


def test_a_step_that_is_gone_is_withdrawn(world: World) -> None:
    world.instance(waits=("call", "letter"))
    world.run(call="deferred")
    assert reconciler.reconcile() == 1
    assert world.did == [("withdraw", *KEY, "letter")]


def test_a_deleted_run_ends_its_instance(world: World) -> None:
    world.instance()
    assert reconciler.reconcile() == 1
    assert world.did == [("end", *KEY, reconciler.RUN_GONE)]


def test_a_run_that_is_not_made_yet_is_waited_for(world: World) -> None:
    world.instance(pending=True)
    assert reconciler.reconcile() == 0
    world.live.clear()
    world.instance(age=reconciler.GRACE_SECONDS - 1)
    assert reconciler.reconcile() == 0
    assert world.did == []


def test_a_run_marked_as_success_ends_its_instance(world: World) -> None:
    world.instance(waits=())
    world.run("success", call="success")
    assert reconciler.reconcile() == 1
    assert world.did == [("end", *KEY, reconciler.RUN_MARKED)]


def test_a_failed_run_keeps_its_instance_for_the_retry(world: World) -> None:
    """A failed step stands on the card until somebody puts it right and repeats it."""
    world.instance(waits=(), failed=("call",))
    world.run("failed", call="failed", letter="upstream_failed")
    assert reconciler.reconcile() == 0
    assert world.did == []


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_step_that_failed_unseen_is_made_to_stand(world: World, state: str) -> None:
    """A worker's step that has used up its retries, or one whose trigger could not even begin."""
    world.instance(waits=("late",) if state == "running" else ())
    world.run(state, make="failed", late="deferred" if state == "running" else "skipped")
    assert reconciler.reconcile() == 1
    assert world.did == [("record_failure", *KEY, "make")]


def test_a_run_stopped_between_two_steps_hides_no_case(world: World) -> None:
    world.instance(waits=())
    world.run("failed", call="success", letter="skipped")
    assert reconciler.reconcile() == 1
    assert world.did == [("record_failed_run", *KEY)]


def test_a_repeated_step_that_failed_again_unseen_stands_again(world: World) -> None:
    world.instance(waits=(), failed=("call",), retried=("call",))
    world.run(call="failed")
    reconciler.reconcile()
    assert world.did == [("record_failure", *KEY, "call")]


def test_a_repeated_step_on_its_way_is_left_alone(world: World) -> None:
    world.instance(waits=(), failed=("call",), retried=("call",))
    world.run("queued", call=None)
    assert reconciler.reconcile() == 0


def test_a_workers_step_that_succeeded_is_closed(world: World) -> None:
    world.instance(waits=(), failed=("make",))
    world.run(make="success", call="scheduled")
    reconciler.reconcile()
    assert world.did == [("settle_workers_step", *KEY, "make")]


def test_what_is_as_it_should_be_is_not_looked_at_closer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """5,000 waiting cases cost one look at their runs, not one at each of their steps."""
    asked: list[Any] = []
    monkeypatch.setattr(airflow_api, "run_states", lambda keys: asked.extend(keys) or {})
    world.instance()
    world.run(call="deferred", letter=None)
    assert reconciler.reconcile() == 0
    assert asked == []


def test_the_reason_of_an_end_becomes_a_note(world: World) -> None:
    world.ended = [(*KEY, "сделка ушла со стадии")]
    reconciler.reconcile()
    assert world.did == [("note", *KEY, "сделка ушла со стадии")]


def test_nothing_live_nothing_asked(world: World) -> None:
    assert reconciler.reconcile() == 0
