"""The same wait as the trigger's, inside a worker: only ``dag.test()`` needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from backoffice.hub import Hub


def look_inline(context: Any, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Wait for the step's fact and return its result; AirflowSkipException or AirflowFailException as it ends."""
    run = context["dag_run"]

    async def attend() -> Any:
        return await Hub.here().attend(run.dag_id, run.run_id, context["ti"].task_id, spec)

    look = asyncio.run(attend())
    if look.outcome == "skipped":
        raise AirflowSkipException(look.reason or "")
    if look.outcome == "failed":
        raise AirflowFailException(look.reason or "")
    result: dict[str, Any] = look.result
    return result
