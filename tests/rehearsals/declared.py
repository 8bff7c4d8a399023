"""The processes of dags/ as the driver plays them: the very specs that travel in Airflow's triggers."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from backoffice.process.dag import Process as DagProcess
from backoffice.process.steps import Step
from include.process.scheme import LISTEN_PREFIX
from tests.dags.environment import DAGS
from tests.db.driver import Process


class Declared(Process):
    """One process of dags/ with its order and its specs."""

    def __init__(self, dag: DagProcess) -> None:
        self.id = dag.dag_id
        self.keys = frozenset(tag for tag in dag.tags if tag.startswith(LISTEN_PREFIX))
        self.number = next(int(tag.removeprefix("scheme:")) for tag in dag.tags if tag.startswith("scheme:"))
        steps = {one.task_id: one for one in dag.topological_sort() if isinstance(one, Step)}
        self.specs = {one: json.loads(json.dumps(step.spec)) for one, step in steps.items()}
        self.upstream = {one: sorted(step.upstream_task_ids) for one, step in steps.items()}

    def hears(self, key: str) -> bool:
        """Say whether an event under this key begins the process."""
        return key in self.keys


@lru_cache(maxsize=1)
def processes() -> dict[str, Declared]:
    """All processes of dags/ by id."""
    from airflow.dag_processing.dagbag import DagBag

    bag: Any = DagBag(dag_folder=DAGS, safe_mode=True, bundle_path=DAGS, bundle_name="backoffice")
    assert bag.import_errors == {}
    return {one.dag_id: Declared(one) for one in bag.dags.values() if isinstance(one, DagProcess)}
