"""What the company's operators may rely on in every process: language, owner, tags, card, limits."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.definitions.param import process_params
from airflow.serialization.serialized_objects import DagSerialization

from backoffice.declared import declared_listeners
from backoffice.process.dag import PROCESS_TAG, Process
from backoffice.process.steps import Step
from include.process.buttons import BUTTONS
from include.process.forms import FORMS
from include.process.queues import QUEUES
from include.process.scheme import LISTEN_PREFIX
from include.reference import catalogue
from tests.dags.environment import DAGS

KNOWN_TAGS = {PROCESS_TAG, "1С", "интеграции"}
KNOWN_TAG_PREFIXES = ("scheme:", "воронка:", LISTEN_PREFIX)
KNOWN_EVENTS = {"on:event:exchange_applied"}
LONGEST_FILE = 120
CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)
READABLE_ID = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
AIRFLOW_LIMIT = 16


def processes(dagbag: Any) -> list[Process]:
    return [dag for dag in dagbag.dags.values() if isinstance(dag, Process)]


@pytest.fixture(params=sorted(path.relative_to(DAGS).as_posix() for path in DAGS.rglob("*.py")))
def dag(request: pytest.FixtureRequest, dagbag: Any) -> Any:
    found = [one for one in dagbag.dags.values() if Path(one.fileloc) == DAGS / request.param]
    assert len(found) == 1, "один файл – один процесс"
    return found[0]


def test_people_read_russian(dag: Any) -> None:
    assert CYRILLIC.search(dag.dag_display_name)
    for task in dag.tasks:
        assert CYRILLIC.search(task.task_display_name), task.task_id


def test_ids_are_latin_and_readable(dag: Any) -> None:
    assert READABLE_ID.match(dag.dag_id)
    for task in dag.tasks:
        assert READABLE_ID.match(task.task_id), task.task_id
        assert len(task.task_id) <= 60


def test_somebody_owns_it(dag: Any) -> None:
    for task in dag.tasks:
        assert task.owner.lower() != "airflow"
        assert CYRILLIC.search(task.owner)


def test_tags_are_known(dag: Any) -> None:
    unknown = {tag for tag in dag.tags if tag not in KNOWN_TAGS and not tag.startswith(KNOWN_TAG_PREFIXES)}
    assert unknown == set()
    assert all(len(tag) <= 100 for tag in dag.tags), "Airflow хранит метку в 100 знаках"


def test_the_card_is_the_docstring(dag: Any) -> None:
    docstring = ast.get_docstring(ast.parse(Path(dag.fileloc).read_text(encoding="utf-8")))
    assert docstring
    assert inspect.cleandoc(dag.doc_md or "") == inspect.cleandoc(docstring)


def test_every_worker_step_names_its_queue(dag: Any) -> None:
    """Chosen, not inherited: heavy input and output has workers of its own; an unknown queue would wait for ever."""
    tree = ast.parse(Path(dag.fileloc).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    calls = [one for node in functions for one in node.decorator_list if isinstance(one, ast.Call)]
    named = [one for one in calls if "queue" in {keyword.arg for keyword in one.keywords}]
    worker_steps = [task for task in dag.tasks if not isinstance(task, Step)]
    assert len(named) == len(worker_steps)
    assert {task.queue for task in worker_steps} <= QUEUES


def test_one_process_fits_a_screen(dag: Any) -> None:
    assert len(Path(dag.fileloc).read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def test_a_process_has_the_process_tags(dagbag: Any) -> None:
    for dag in processes(dagbag):
        listens = [tag for tag in dag.tags if tag.startswith(LISTEN_PREFIX)]
        schemes = [tag for tag in dag.tags if tag.startswith("scheme:")]
        assert PROCESS_TAG in dag.tags
        assert listens, dag.dag_id
        assert len(schemes) == 1, dag.dag_id
        assert set(listens) <= known_listen_tags(), f"{dag.dag_id} слушает неизвестное: {listens}"


def known_listen_tags() -> set[str]:
    stages = {f"on:stage:{funnel.title}/{stage.title}" for funnel in catalogue.FUNNELS for stage in funnel.stages}
    fields = {f"on:field:{one.code}" for one in catalogue.FIELDS}
    buttons = {f"on:button:{process}" for process in BUTTONS}
    return KNOWN_EVENTS | stages | fields | buttons | {f"on:form:{process}" for process in FORMS}


def test_many_cases_may_wait_at_once(dagbag: Any) -> None:
    for dag in processes(dagbag):
        assert dag.max_active_runs > 100 * AIRFLOW_LIMIT
        assert dag.max_active_tasks > 100 * AIRFLOW_LIMIT
        assert not dag.catchup
        assert dag.dagrun_timeout is None


def test_steps_wait_as_long_as_they_must(dagbag: Any) -> None:
    for dag in processes(dagbag):
        for task in dag.tasks:
            where = f"{dag.dag_id}.{task.task_id}"
            assert task.execution_timeout is None, where
            assert task.start_trigger_args.timeout is None, where
            assert task.trigger_rule == "none_failed", where
            assert task.max_active_tis_per_dag is None, where
            assert task.max_active_tis_per_dagrun is None, where
            assert task.start_from_trigger is True, where
            assert task.retries == 0, where
            assert not task.depends_on_past, where


def test_two_processes_do_not_share_a_stage_by_chance(dagbag: Any) -> None:
    """Several processes on one event are allowed; the same funnel and stage twice is most often a copied file."""
    heard = [tag for dag in processes(dagbag) for tag in dag.tags if tag.startswith("on:stage:")]
    assert len(heard) == len(set(heard))


def test_what_files_declare_is_what_airflow_parses(dagbag: Any) -> None:
    """The relay compares the two to tell «nobody listens» from «not parsed yet»."""
    parsed = {
        dag.dag_id: frozenset(tag for tag in dag.tags if tag.startswith(LISTEN_PREFIX)) for dag in processes(dagbag)
    }
    assert declared_listeners() == parsed


def test_params_never_refuse_a_run(dagbag: Any) -> None:
    """Airflow validates them whenever a waiting step comes to a triggerer, and an error there ends the triggerer.

    The relay's runs bring no form at all; what a form lacks is said by our service (include/process/forms.py).
    """
    for dag in processes(dagbag):
        stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
        for conf in ({}, {"event": 7}, {"no_longer_a_field": [1], "direction": "Прежнее направление"}):
            process_params(stored, stored.tasks[0], conf, suppress_exception=False)
        for name in dag.params:
            schema = dag.params.get_param(name).schema
            assert "null" in schema["type"], f"{dag.dag_id}.{name}"
            assert set(schema) <= {"type", "title", "description", "examples"}, f"{dag.dag_id}.{name}: {schema}"
