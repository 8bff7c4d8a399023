"""Every file in dags/ loads, says something, is quick to load and small to ship."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.installation.places import PROJECT
from tests.dags.environment import DAGS

FILES = sorted(DAGS.rglob("*.py"))
NAMES = [path.relative_to(DAGS).as_posix() for path in FILES]
BOUND_SECONDS = 0.3  # the promise is 100 ms of a quiet machine; this bound does not shake on a busy one
LARGEST_SERIALIZED = 40_000

# Preloads what the DAG processor preloads, loads each file in fresh forks and prints the processor time it took.
MEASURE = """
import json, os, sys, time
sys.path[:0] = sys.argv[1:3]
import airflow.dag_processing.processor as processor
import structlog
from airflow.dag_processing.dagbag import DagBag  # the child imports it before it meets our file
import importlib.machinery
found = {}
for path in sys.argv[3:]:
    processor._pre_import_airflow_modules(path, structlog.get_logger())
    found[path] = 9.0
    for _ in range(3):
        read, write = os.pipe()
        if os.fork() == 0:
            begun = time.process_time()
            importlib.machinery.SourceFileLoader("measured", path).load_module()
            os.write(write, str(time.process_time() - begun).encode())
            os._exit(0)
        os.close(write)
        found[path] = min(found[path], float(os.read(read, 100) or 9))
        os.wait()
print(json.dumps(found))
"""


def test_there_are_processes() -> None:
    assert len(FILES) >= 4


def test_every_file_loads(dagbag: Any) -> None:
    assert dagbag.import_errors == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_holds_a_process(name: str, dagbag: Any) -> None:
    """A file without the words airflow and dag is passed over in silence (safe mode)."""
    text = (DAGS / name).read_text(encoding="utf-8").lower()
    assert "airflow" in text
    assert "dag" in text
    inside = [dag.dag_id for dag in dagbag.dags.values() if Path(dag.fileloc) == DAGS / name]
    assert inside, f"{name}: в файле нет ни одного процесса"


@pytest.fixture(scope="module")
def load_seconds() -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE, str(PROJECT), str(PROJECT / "plugins"), *map(str, FILES)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    measured: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return measured


@pytest.mark.parametrize("name", NAMES)
def test_a_file_loads_quickly(name: str, load_seconds: dict[str, float]) -> None:
    """Each ended step makes the DAG processor load the file once more (docs/adr/0001)."""
    seconds = load_seconds[str(DAGS / name)]
    assert seconds < BOUND_SECONDS, f"{name} грузится {seconds * 1000:.0f} мс"


def test_loading_imports_nothing_heavy() -> None:
    """No database driver, no web framework, no parser: a process file is words only."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:];"
        "import airflow.sdk, airflow.dag_processing.processor, pydantic;"
        "before = set(sys.modules);"
        "import backoffice.process, include.deals.forms;"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(PROJECT), str(PROJECT / "plugins")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(re.findall(r"'([\w]+)'", run.stdout.splitlines()[-1]))
    assert loaded & {"sqlalchemy", "psycopg", "holidays", "lxml", "fastapi", "starlette_admin", "stdnum"} == set()


def test_serialized_processes_are_small(dagbag: Any) -> None:
    """Each waiting step ships its process to the triggerer once."""
    from airflow.serialization.serialized_objects import DagSerialization

    sizes = {name: len(json.dumps(DagSerialization.to_dict(dag))) for name, dag in dagbag.dags.items()}
    assert {name: size for name, size in sizes.items() if size > LARGEST_SERIALIZED} == {}


def test_serializing_loses_nothing(dagbag: Any) -> None:
    """What the scheduler reads back equals what was declared: order, rules and the arguments of every step."""
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in dagbag.dags.values():
        stored = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
        for task in dag.tasks:
            twin = stored.task_dict[task.task_id]
            assert twin.upstream_task_ids == task.upstream_task_ids
            assert twin.trigger_rule == task.trigger_rule
            assert twin.start_from_trigger == bool(task.start_from_trigger)
