"""The stored form of a waiting step: a row in Airflow's table of triggers that no triggerer holds (docs/adr/0010).

The hub ends the step from outside when its fact has come. The class path and the keyword arguments are a stored format
that must stay readable for months: never rename the class, never make an argument mandatory, never raise in
``__init__``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

CLASS_PATH = "backoffice.triggers.steps.StepTrigger"


class StepTrigger(BaseTrigger):
    """Keeps what the step is; in a triggerer, which takes it only where the nudge is missing, it just stands by.

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
        """Wait until the triggerer lets go: the hub ends the step and the row is gone."""
        await asyncio.Event().wait()
        yield TriggerEvent(None)  # type: ignore[no-untyped-call]
