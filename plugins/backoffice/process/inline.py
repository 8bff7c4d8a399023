"""The same wait as the hub's, inside a worker: only ``dag.test()`` needs it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.process import engine

LOOK_EVERY = 0.5


def look_inline(context: Any, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Wait for the step's fact and return its result; AirflowSkipException or AirflowFailException as it ends."""
    run = context["dag_run"]
    while (look := engine.look(run.dag_id, run.run_id, context["ti"].task_id, spec)).outcome == "waiting":
        time.sleep(LOOK_EVERY)
    if look.outcome == "skipped":
        raise AirflowSkipException(look.reason or "")
    if look.outcome == "failed":
        raise AirflowFailException(look.reason or "")
    result: dict[str, Any] = look.result
    return result
