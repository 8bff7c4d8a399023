"""The contract with Airflow's private API (3.3.2): each test says what to look at again after an upgrade.

When one fails after a new Airflow: read the module named in the message, mend plugins/backoffice/airflow_api.py or the
trigger, and write what changed into docs/adr/0001-steps-live-in-triggers.md.
"""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text, update

from include.process.scheme import scheme_body

pytestmark = pytest.mark.db

LISTENS = "on:stage:Проверка/Начало"


@pytest.fixture
def api(airflow_database: str) -> Any:
    from backoffice import airflow_api

    return airflow_api


def column_of_run(run_id: str, column: str) -> Any:
    from airflow import settings

    with settings.engine.connect() as connection:
        return connection.scalar(text(f"SELECT {column} FROM dag_run WHERE run_id = :run"), {"run": run_id})


def set_run(run_id: str, **values: Any) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(**values))


def set_dag(**values: Any) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == "every_word").values(**values))


def test_pinned_version() -> None:
    import airflow

    assert airflow.__version__ == "3.3.2", "новый Airflow: пройдите все проверки этого файла и docs/adr/0001…0004, 0010"


def test_processes_are_found_by_their_tag(api: Any) -> None:
    assert api.listeners(LISTENS) == [api.Listener("every_word", paused=False)]
    assert api.listeners("on:stage:Проверка/Нет") == []


def test_paused_still_listens_and_stale_does_not(api: Any) -> None:
    set_dag(is_paused=True)
    assert api.listeners(LISTENS) == [api.Listener("every_word", paused=True)]
    set_dag(is_stale=True)
    assert api.listeners(LISTENS) == []


def test_an_event_may_name_the_process_itself(api: Any) -> None:
    """★11: the run of a reopened task's instance is that of this process, whoever else listens to its stage."""
    assert api.listeners("run:every_word") == [api.Listener("every_word", paused=False)]
    assert api.listeners("run:no_such") == []
    set_dag(is_stale=True)
    assert api.listeners("run:every_word") == []


def test_the_scheme_is_read_from_the_serialized_process(api: Any) -> None:
    from airflow.dag_processing.dagbag import DagBag

    from tests.plugins.conftest import PROCESSES

    dag: Any = DagBag(dag_folder=PROCESSES / "every_word.py", bundle_path=PROCESSES).dags["every_word"]
    declared = [(task.task_id, sorted(task.upstream_task_ids), task.spec) for task in dag.tasks]
    assert api.declared_scheme("every_word") == scheme_body("Все слова", 3, declared)
    assert "call_term" in {one["code"] for one in api.declared_scheme("every_word")["settings"]}
    assert api.declared_scheme("nobody") is None


def test_a_run_is_made_exactly_once(api: Any) -> None:
    assert api.create_run("every_word", "deal-42-visit-417", {"event": 7}) is True
    assert api.create_run("every_word", "deal-42-visit-417", {"event": 8}) is False
    assert column_of_run("deal-42-visit-417", "count(*)") == 1
    assert column_of_run("deal-42-visit-417", "conf->>'event'") == "7"
    assert column_of_run("deal-42-visit-417", "state") == "queued"


def test_a_run_that_a_person_made_is_not_ours(api: Any) -> None:
    api.create_run("every_word", "deal-9-visit-1")
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == "deal-9-visit-1").values(triggering_user_name="petrov"))
    with pytest.raises(api.RunIdTaken, match="petrov"):
        api.create_run("every_word", "deal-9-visit-1", {"event": 1})


def test_two_relays_at_once_make_one_run(api: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: api.create_run("every_word", "deal-1-visit-1"), range(4)))
    assert sorted(made) == [False, False, False, True]
    assert column_of_run("deal-1-visit-1", "count(*)") == 1


def test_a_paused_process_queues_its_runs(api: Any) -> None:
    set_dag(is_paused=True)
    assert api.create_run("every_word", "deal-2-visit-1") is True
    assert column_of_run("deal-2-visit-1", "state") == "queued"


def test_a_form_process_starts_without_its_form(api: Any) -> None:
    """The relay's runs carry the event's id only; Airflow's own form must not refuse them."""
    assert api.create_run("asked", "request-1-start-1", {"event": 7}) is True
    assert column_of_run("request-1-start-1", "state") == "queued"


def test_any_other_refusal_is_not_taken_for_a_repetition(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.serialization.definitions import dag as definitions
    from sqlalchemy.exc import IntegrityError

    def refuse(*_: Any, **__: Any) -> None:
        raise IntegrityError("INSERT", {}, ValueError("another constraint"))

    monkeypatch.setattr(definitions, "_create_orm_dagrun", refuse)
    with pytest.raises(IntegrityError):
        api.create_run("every_word", "deal-1-visit-1")


def test_a_run_that_airflow_rolls_back_is_not_taken_for_made(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at DagRun._create_task_instances: it rolls back and goes on."""
    from airflow.serialization.definitions import dag as definitions

    monkeypatch.setattr(definitions, "_create_orm_dagrun", lambda **_: None)
    with pytest.raises(RuntimeError, match="не записал прогон"):
        api.create_run("every_word", "deal-1-visit-1")


def test_an_unparsed_process_is_said_so(api: Any) -> None:
    with pytest.raises(LookupError, match="ещё не разобран"):
        api.create_run("nobody", "deal-1-visit-1")


def test_a_run_brings_its_steps(api: Any) -> None:
    api.create_run("every_word", "deal-3-visit-1")
    states = api.run_states([("every_word", "deal-3-visit-1"), ("every_word", "no-such-run")])
    assert list(states) == [("every_word", "deal-3-visit-1")]
    run = states["every_word", "deal-3-visit-1"]
    assert run.state == "queued"
    assert set(run.tasks) == {
        "take", "call", "late", "said", "seen", "soon", "stuck", "tell", "deal", "move",
        "paid", "asked", "allowed", "agreed", "again", "renew",
    }  # fmt: skip
    assert set(run.tasks.values()) == {None}
    assert api.run_states([]) == {}


def test_unfinished_runs_leave_out_paused_and_finished(api: Any) -> None:
    for number, state in enumerate(("queued", "running", "success", "failed"), start=1):
        api.create_run("every_word", f"deal-{number}-visit-1")
        set_run(f"deal-{number}-visit-1", state=state)
    assert {run_id for _, run_id in api.unfinished_runs()} == {"deal-1-visit-1", "deal-2-visit-1"}
    set_dag(is_paused=True)
    assert api.unfinished_runs() == {}


def test_the_nudge_moves_only_a_running_run(api: Any) -> None:
    seen = datetime(2026, 1, 1, tzinfo=UTC)
    for run_id, state in (("deal-1-visit-1", "running"), ("deal-2-visit-1", "success"), ("deal-3-visit-1", "running")):
        api.create_run("every_word", run_id)
        set_run(run_id, state=state, last_scheduling_decision=seen)
    api.examine_next("every_word", "deal-1-visit-1")
    api.examine_next("every_word", "deal-2-visit-1")
    assert column_of_run("deal-1-visit-1", "last_scheduling_decision") is None
    assert column_of_run("deal-2-visit-1", "last_scheduling_decision") == seen
    assert column_of_run("deal-3-visit-1", "last_scheduling_decision") == seen


def test_the_scheduler_takes_the_nudged_run_first(api: Any) -> None:
    """Look again at DagRun.get_running_dag_runs_to_examine: the order is what the nudge lives on (docs/adr/0003)."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    for number in range(1, 41):
        api.create_run("every_word", f"deal-{number}-visit-1")
        moment = datetime(2026, 1, 1, 0, number, tzinfo=UTC)
        set_run(f"deal-{number}-visit-1", state="running", last_scheduling_decision=moment)
    api.examine_next("every_word", "deal-40-visit-1")
    with create_session() as session:
        first = [run.run_id for run in DagRun.get_running_dag_runs_to_examine(session=session)]
    assert first[:2] == ["deal-40-visit-1", "deal-1-visit-1"]
    assert len(first) == 20, "[scheduler] max_dagruns_per_loop_to_schedule"


def set_steps(run_id: str, **states: str | None) -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        for step, state in states.items():
            of_run = update(TaskInstance).where(TaskInstance.run_id == run_id, TaskInstance.task_id == step)
            session.execute(of_run.values(state=state))


def test_one_glance_tells_what_goes_on(api: Any) -> None:
    for number, state in enumerate(("running", "queued", "failed"), start=1):
        api.create_run("every_word", f"deal-{number}-visit-1")
        set_run(f"deal-{number}-visit-1", state=state)
    set_steps("deal-1-visit-1", take="deferred", call="failed")
    set_steps("deal-3-visit-1", call="failed")
    seen = api.glance()
    assert seen.runs == {("every_word", "deal-1-visit-1"), ("every_word", "deal-2-visit-1")}
    assert seen.deferred == {("every_word", "deal-1-visit-1", "take")}
    assert seen.failed == {("every_word", "deal-1-visit-1")}
    set_dag(is_paused=True)
    assert api.glance() == seen


def behind(api: Any, step: str) -> set[str]:
    from airflow.models.dagbag import DBDagBag
    from airflow.utils.session import create_session

    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag("every_word", session=session)
        return set(dag.get_task(step).get_flat_relative_ids(upstream=False))


def test_a_failed_run_runs_again_from_its_failed_step(api: Any) -> None:
    """Look again at clear_task_instances: the step begins anew, and what could not begin behind it, nothing else."""
    api.create_run("every_word", "deal-1-visit-1")
    after = behind(api, "take")
    assert {"call", "late"} & after
    one = sorted(after)[0]
    set_steps("deal-1-visit-1", **dict.fromkeys(after, "upstream_failed") | {"take": "failed", one: "skipped"})
    set_run("deal-1-visit-1", state="failed", last_scheduling_decision=datetime(2026, 1, 1, tzinfo=UTC))
    assert set(api.clear_steps("every_word", "deal-1-visit-1", ["take"], [one])) == {"take", *after} - {one}
    run = api.run_states([("every_word", "deal-1-visit-1")])["every_word", "deal-1-visit-1"]
    assert run.state == "queued"
    assert {step for step, state in run.tasks.items() if state is not None} == {one}
    assert column_of_run("deal-1-visit-1", "last_scheduling_decision") is None


def test_a_running_run_goes_on_from_its_failed_step_and_is_examined_next(api: Any) -> None:
    api.create_run("every_word", "deal-1-visit-1")
    set_run("deal-1-visit-1", state="running", last_scheduling_decision=datetime(2026, 1, 1, tzinfo=UTC))
    set_steps("deal-1-visit-1", take="success", call="failed")
    assert "take" not in api.clear_steps("every_word", "deal-1-visit-1", ["call"], ["take"])
    run = api.run_states([("every_word", "deal-1-visit-1")])["every_word", "deal-1-visit-1"]
    assert (run.state, run.tasks["take"], run.tasks["call"]) == ("running", "success", None)
    assert column_of_run("deal-1-visit-1", "last_scheduling_decision") is None


def test_a_run_that_ended_while_its_step_was_cleared_goes_on_once(api: Any) -> None:
    api.create_run("every_word", "deal-1-visit-1")
    assert not api.go_on_cleared("every_word", "deal-1-visit-1"), "он ещё идёт"
    set_run("deal-1-visit-1", state="failed")
    assert api.go_on_cleared("every_word", "deal-1-visit-1")
    assert not api.go_on_cleared("every_word", "deal-1-visit-1")
    assert api.run_states([("every_word", "deal-1-visit-1")])["every_word", "deal-1-visit-1"].state == "queued"
    assert column_of_run("deal-1-visit-1", "clear_number") == 1
    run = api.run_states([("every_word", "deal-1-visit-1")])["every_word", "deal-1-visit-1"]
    set_run("deal-1-visit-1", state="failed")
    set_steps("deal-1-visit-1", **dict.fromkeys(run.tasks, "skipped") | {"take": "failed"})
    assert not api.go_on_cleared("every_word", "deal-1-visit-1"), "ни один шаг не очищен"
    set_steps("deal-1-visit-1", **dict.fromkeys(run.tasks, "upstream_failed") | {"take": "failed"})
    assert not api.go_on_cleared("every_word", "deal-1-visit-1"), "отказ на месте"
    set_steps("deal-1-visit-1", **dict.fromkeys(run.tasks, "upstream_failed") | {"take": "success"})
    assert api.go_on_cleared("every_word", "deal-1-visit-1"), "отказа больше нет"
    run = api.run_states([("every_word", "deal-1-visit-1")])["every_word", "deal-1-visit-1"]
    assert (run.state, run.tasks["take"]) == ("queued", "success")
    assert "upstream_failed" not in run.tasks.values()
    assert not api.go_on_cleared("every_word", "no-such-run")


def test_two_at_once_clear_a_step_once(api: Any) -> None:
    api.create_run("every_word", "deal-1-visit-1")
    set_run("deal-1-visit-1", state="failed")
    set_steps("deal-1-visit-1", take="failed")

    def clear(_: int) -> str:
        try:
            api.clear_steps("every_word", "deal-1-visit-1", ["take"], [])
        except api.CannotClear as refused:
            return str(refused)
        return "cleared"

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(clear, range(4)))
    assert sorted(said) == ["cleared", *["Шаг уже повторяется: подождите несколько секунд."] * 3]
    assert column_of_run("deal-1-visit-1", "clear_number") == 1


@pytest.mark.parametrize(
    ("run_id", "step", "said"),
    [
        ("no-such-run", "take", "больше нет: сверка"),
        ("deal-1-visit-1", "no_such_step", "Шага no_such_step"),
        ("deal-1-visit-1", "take", "уже повторяется"),
    ],
)
def test_what_cannot_be_cleared_is_said(api: Any, run_id: str, step: str, said: str) -> None:
    api.create_run("every_word", "deal-1-visit-1")
    with pytest.raises(api.CannotClear, match=said):
        api.clear_steps("every_word", run_id, [step], [])


def test_a_note_is_put_once(api: Any) -> None:
    api.create_run("every_word", "deal-1-visit-1")
    api.set_note("every_word", "deal-1-visit-1", "сделка ушла со стадии")
    api.set_note("every_word", "deal-1-visit-1", "сделка ушла со стадии")
    api.set_note("every_word", "no-such-run", "никому")
    from airflow import settings

    with settings.engine.connect() as connection:
        assert connection.scalars(text("SELECT content FROM dag_run_note")).all() == ["сделка ушла со стадии"]


def test_the_scheduler_defers_a_step_without_a_worker(api: Any) -> None:
    """Look again at TaskInstance.defer_task and DagRun.schedule_tis: `start_from_trigger` is why no worker waits."""
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    from tests.plugins.record_triggers import deferred

    with create_session() as session:
        step = deferred(api, session, "take", "deal-9-visit-1")
        assert (step.state, step.trigger_timeout) == ("deferred", None)
        assert session.get_one(Trigger, step.trigger_id).classpath == "backoffice.triggers.steps.StepTrigger"


@pytest.mark.parametrize("outcome", ["success", "skipped", "failed"])
def test_a_trigger_ends_its_step_without_a_worker(api: Any, outcome: str) -> None:
    """Look again at airflow.models.trigger.handle_event_submit for BaseTaskEndEvent."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.triggers.base import TaskFailedEvent, TaskSkippedEvent, TaskSuccessEvent
    from airflow.utils.session import create_session

    from tests.plugins.record_triggers import deferred

    ended = {
        "success": TaskSuccessEvent(xcoms={"return_value": {"task": 7}}),
        "skipped": TaskSkippedEvent(),
        "failed": TaskFailedEvent(),
    }[outcome]
    with create_session() as session:
        key = deferred(api, session, "take", "deal-9-visit-1").id
    with create_session() as session:
        Trigger.submit_event(session.get_one(TaskInstance, key).trigger_id, ended, session=session)
    with create_session() as session:
        step = session.get_one(TaskInstance, key)
        assert (step.state, step.trigger_id) == (outcome, None)


def test_events_of_a_trigger_keep_their_form() -> None:
    """Look again at airflow.triggers.base: these three classes end our steps."""
    from airflow.triggers.base import TaskFailedEvent, TaskSkippedEvent, TaskSuccessEvent

    assert TaskSuccessEvent(xcoms={"return_value": 1}).model_dump() == {
        "task_instance_state": "success", "xcoms": {"return_value": 1},
    }  # fmt: skip
    assert TaskSkippedEvent().task_instance_state == "skipped"
    assert TaskFailedEvent().task_instance_state == "failed"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("airflow.serialization.definitions.dag:SerializedDAG.create_dagrun",
         {"run_id", "run_after", "conf", "run_type", "triggered_by", "state", "session"}),
        ("airflow.models.dagbag:DBDagBag.get_latest_version_of_dag", {"dag_id", "session"}),
        ("airflow.models.taskinstance:clear_task_instances", {"tis", "session", "dag_run_state"}),
        ("airflow.triggers.base:StartTriggerArgs", {"trigger_cls", "trigger_kwargs", "next_method", "timeout"}),
        ("airflow.triggers.base:BaseTrigger.run", {"self"}),
        ("airflow.triggers.base:BaseTrigger.on_kill", {"self"}),
        ("airflow.models.taskinstance:TaskInstance.defer_task", {"session"}),
        ("airflow.models.trigger:Trigger.submit_event", {"trigger_id", "event", "session"}),
        ("airflow.models.trigger:Trigger.assign_unassigned",
         {"triggerer_id", "capacity", "health_check_threshold"}),
    ],
)  # fmt: skip
def test_signatures_that_we_call(path: str, names: set[str]) -> None:
    """Look again at what is named in the test's id."""
    import importlib

    module, _, attributes = path.partition(":")
    found: Any = importlib.import_module(module)
    for one in attributes.split("."):
        found = getattr(found, one)
    assert names <= set(inspect.signature(found).parameters), path


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("dag_run", {"dag_id", "run_id", "state", "last_scheduling_decision", "run_after", "conf"}),
        ("task_instance", {"dag_id", "run_id", "task_id", "state", "trigger_id", "map_index"}),
        ("dag", {"dag_id", "is_paused", "is_stale"}),
        ("dag_tag", {"dag_id", "name"}),
        ("trigger", {"id", "classpath", "kwargs", "triggerer_id"}),
        ("job", {"id", "job_type", "state", "start_date", "end_date", "latest_heartbeat", "hostname"}),
        ("callback", {"type", "created_at"}),
        ("import_error", {"filename", "stacktrace"}),
        ("dag", {"dag_display_name", "next_dagrun_create_after"}),
    ],
)
def test_columns_that_we_use(airflow_database: str, table: str, columns: set[str]) -> None:
    """Look again at airflow_api.py, nudge.py, include/installation/dead_jobs.py and include/ops/checks_airflow.py."""
    from airflow import settings
    from sqlalchemy import inspect as look

    assert columns <= {one["name"] for one in look(settings.engine).get_columns(table)}


def test_one_run_per_id_is_kept_by_the_database(airflow_database: str) -> None:
    """Exactly once stands on this unique constraint of Airflow's."""
    from airflow import settings
    from sqlalchemy import inspect as look

    keys = [set(one["column_names"]) for one in look(settings.engine).get_unique_constraints("dag_run")]
    assert {"dag_id", "run_id"} in keys


def test_mounted_pages_enter_their_lifespan() -> None:
    """Look again at airflow.api_fastapi.app.lifespan: relay and reconciler live in our sub-app's lifespan."""
    from contextlib import asynccontextmanager

    from airflow.api_fastapi.app import lifespan
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    seen: list[str] = []

    @asynccontextmanager
    async def ours(_app: FastAPI) -> Any:
        seen.append("begun")
        yield
        seen.append("ended")

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/backoffice", FastAPI(lifespan=ours))
    with TestClient(outer):
        assert seen == ["begun"]
    assert seen == ["begun", "ended"]
