"""A step of a process lives here, in the triggerer's event loop, for as long as it waits.

The class path and the keyword arguments are a stored format that must stay readable for months: never rename the
class, never make an argument mandatory, never raise in ``__init__``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from backoffice.hub import Hub

CLASS_PATH = "backoffice.triggers.steps.StepTrigger"


class StepTrigger(BaseTrigger):
    """Looks at the step's fact whenever its case changes or its moment comes, and ends the task itself.

    :param spec: the step as its process declared it, JSON text
    """

    def __init__(self, spec: str = "{}", **unknown: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.spec = spec
        self.unknown = unknown

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the stored form."""
        return CLASS_PATH, {"spec": self.spec, **self.unknown}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield exactly one event: done, skipped (with the chain behind it going on or not), or failed."""
        task = self.task_instance
        if task is None:
            return
        look = await Hub.here().attend(task.dag_id, task.run_id, task.task_id, json.loads(self.spec))
        if look.outcome == "done":
            yield TaskSuccessEvent(xcoms={"return_value": look.result} if look.result else None)
        elif look.outcome == "skipped":
            self.log.info("Шаг пропущен: %s", look.reason)
            yield TaskSkippedEvent()
        else:
            self.log.error("Шаг не выполнен: %s", look.reason)
            yield TaskFailedEvent()

    async def on_kill(self) -> None:
        """Only ask the reconciler to look: this also runs at a take-over and after a clear (docs/adr/0001)."""
        await Hub.here().hint_reconciler()
