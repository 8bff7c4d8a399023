"""Records how this release stores the triggers of waiting steps; run once per release, the file is kept for ever.

``python -m pytest tests/plugins/record_triggers.py --override-ini python_files=record_triggers.py``
writes tests/plugins/stored_triggers/<release>.json. Never change a recorded file: cases that began under that release
are still waiting somewhere, and one row that cannot be inflated kills the triggerer again and again.
"""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from typing import Any

from include.installation.places import PROJECT

FOLDER = PROJECT / "tests" / "plugins" / "stored_triggers"


def deferred(api: Any, session: Any, step: str, run_id: str, process: str = "every_word") -> Any:
    """Give a step of a new run to the triggerer the way the scheduler does; returns its task instance."""
    from airflow.models.dagbag import DBDagBag
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    api.create_run(process, run_id)
    instance = session.scalars(
        select(TaskInstance).where(
            TaskInstance.dag_id == process, TaskInstance.run_id == run_id, TaskInstance.task_id == step
        )
    ).one()
    dag = DBDagBag().get_latest_version_of_dag(process, session=session)
    assert dag is not None
    instance.task = dag.get_task(step)
    instance.start_date = datetime.now(UTC)
    assert instance.defer_task(session=session)
    session.flush()
    return instance


def release() -> str:
    with (PROJECT / "pyproject.toml").open("rb") as file:
        return ".".join(tomllib.load(file)["project"]["version"].split(".")[:2])


def test_record(airflow_database: str) -> None:
    from airflow.models.crypto import get_fernet
    from airflow.models.dagbag import DBDagBag
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    from backoffice import airflow_api

    rows: dict[str, Any] = {}
    with create_session() as session:
        for process in ("every_word", "asked"):
            dag = DBDagBag().get_latest_version_of_dag(process, session=session)
            assert dag is not None
            for task in dag.tasks:
                stored = session.get_one(
                    Trigger,
                    deferred(airflow_api, session, task.task_id, f"deal-1-visit-{task.task_id}", process).trigger_id,
                )
                plain = get_fernet().decrypt(stored.encrypted_kwargs.encode()).decode()
                word = type_of(plain)
                rows.setdefault(word, {"classpath": stored.classpath, "kwargs": plain})
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{release()}.json"
    assert not path.exists(), f"{path.name} уже записан: прежние строки не меняют"
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def type_of(plain: str) -> str:
    import re

    found = re.search(r'\\"word\\": \\"(\w+)\\"', plain)
    assert found is not None
    return found.group(1)
