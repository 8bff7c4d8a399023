"""What the trigger tells Airflow for each answer of the engine, and what it must never do."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import TaskFailedEvent, TaskSkippedEvent, TaskSuccessEvent

from backoffice.hub import Hub
from backoffice.triggers.steps import StepTrigger
from include.process.engine import Look

SPEC = {"word": "Notify", "title": "Уведомить"}


@pytest.fixture
def attended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Every call of the hub; its answer is the last element of the trigger's own ``answer``."""
    calls: list[tuple[Any, ...]] = []

    async def attend(_self: Hub, *said: Any, **_more: Any) -> Look:
        calls.append(said)
        return StepTrigger.answer  # type: ignore[attr-defined]

    monkeypatch.setattr(Hub, "attend", attend)
    task = SimpleNamespace(dag_id="goods", run_id="deal-1-visit-1", task_id="tell")
    monkeypatch.setattr(StepTrigger, "task_instance", task)
    return calls


def events(answer: Look, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(StepTrigger, "answer", answer, raising=False)

    async def collect() -> list[Any]:
        return [event async for event in StepTrigger(spec=json.dumps(SPEC)).run()]

    return asyncio.run(collect())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Look("done", result={"task": 7}), TaskSuccessEvent(xcoms={"return_value": {"task": 7}})),
        (Look("done"), TaskSuccessEvent(xcoms=None)),
        (Look("skipped", reason="условие не выполнено"), TaskSkippedEvent()),
        (Look("failed", reason="нет права"), TaskFailedEvent()),
    ],
    ids=["done", "done-without-result", "skipped", "failed"],
)
def test_exactly_one_event(answer: Look, expected: Any, attended: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    said = events(answer, monkeypatch)
    assert [type(one) for one in said] == [type(expected)]
    assert said[0].model_dump() == expected.model_dump()
    assert attended == [("goods", "deal-1-visit-1", "tell", SPEC)]


def test_a_trigger_without_its_task_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task instance vanished while the trigger was on its way: there is nobody to tell."""
    monkeypatch.setattr(StepTrigger, "task_instance", None)
    assert events(Look("done"), monkeypatch) == []


def test_being_killed_only_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """on_kill() also runs at a take-over by another triggerer: it must never withdraw anything."""
    hinted: list[int] = []

    async def hint(_self: Hub) -> None:
        hinted.append(1)

    monkeypatch.setattr(Hub, "hint_reconciler", hint)
    asyncio.run(StepTrigger(spec="{}").on_kill())
    assert hinted == [1]
