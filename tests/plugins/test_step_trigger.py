"""The stored wait does nothing by itself: a triggerer that got it (no nudge installed) only stands by."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backoffice import nudge
from backoffice.triggers.steps import CLASS_PATH, StepTrigger


def test_it_says_nothing_until_it_is_let_go() -> None:
    async def stand_by() -> list[Any]:
        events: list[Any] = []
        async with asyncio.timeout(0.3):
            async for event in StepTrigger(spec="{}").run():
                events.append(event)
        return events

    with pytest.raises(TimeoutError):
        asyncio.run(stand_by())


def test_the_nudge_knows_its_name() -> None:
    assert nudge.CLASS_PATH == CLASS_PATH
