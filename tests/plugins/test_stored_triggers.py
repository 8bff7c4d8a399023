"""Rows of the trigger table that every release has written must stay readable: a case may wait for months.

One row that cannot be inflated fails its case, and an error other than TypeError kills the triggerer again and again.
"""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.models.trigger import Trigger
from airflow.serialization.decoders import smart_decode_trigger_kwargs

from backoffice.triggers.steps import CLASS_PATH, StepTrigger
from include.process.words import WORDS

STORED = sorted((Path(__file__).parent / "stored_triggers").glob("*.json"))
ROWS = [(path.stem, word, row) for path in STORED for word, row in json.loads(path.read_text("utf-8")).items()]


def inflate(classpath: str, stored: str) -> StepTrigger:
    """Make the trigger the way TriggerRunner.create_triggers does."""
    module, _, name = classpath.rpartition(".")
    kwargs = {key: smart_decode_trigger_kwargs(value) for key, value in Trigger._decrypt_kwargs(stored).items()}
    made: StepTrigger = getattr(importlib.import_module(module), name)(**kwargs)
    return made


@pytest.mark.parametrize(("release", "word", "row"), ROWS, ids=[f"{release}-{word}" for release, word, _ in ROWS])
def test_a_stored_row_inflates(release: str, word: str, row: dict[str, str]) -> None:
    trigger = inflate(row["classpath"], row["kwargs"])
    spec = json.loads(trigger.spec)
    assert spec["word"] == word
    assert word in WORDS, f"слово {word} выпуска {release} ещё ждёт в чьём-то деле"
    assert spec["title"]


def test_every_word_of_this_release_was_recorded() -> None:
    assert set(WORDS) <= {word for _, word, _ in ROWS}, "запишите: tests/plugins/record_triggers.py"


def test_serialize_round_trip() -> None:
    first = StepTrigger(spec='{"word": "Notify"}')
    path, kwargs = first.serialize()
    assert path == CLASS_PATH == f"{StepTrigger.__module__}.{StepTrigger.__qualname__}"
    again = inflate(path, json.dumps(kwargs))
    assert again.serialize() == first.serialize()


def test_a_row_of_a_later_release_is_kept_whole() -> None:
    """After a roll back, the older code meets kwargs that it does not know: it must carry them on."""
    row = json.dumps({"spec": "{}", "colour": "red", "nested": {"a": [1]}})
    trigger = inflate(CLASS_PATH, row)
    assert trigger.serialize()[1]["colour"] == "red"
    assert trigger.serialize()[1]["nested"] == {"a": [1]}


def test_encrypted_as_the_database_holds_it() -> None:
    stored = Trigger(classpath=CLASS_PATH, kwargs={"spec": '{"word": "Notify"}'})
    assert inflate(CLASS_PATH, stored.encrypted_kwargs).spec == '{"word": "Notify"}'


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"spec": "not json"}, {"spec": ""}, {"spec": None}, {"spec": 7}, {"spec": "{}", "unknown": object()},
     {"conf": [1]}],
)  # fmt: skip
def test_making_a_trigger_never_raises(kwargs: dict[str, Any]) -> None:
    StepTrigger(**kwargs)


def test_every_argument_may_be_missing() -> None:
    parameters = list(inspect.signature(StepTrigger.__init__).parameters.values())[1:]
    assert all(
        one.default is not inspect.Parameter.empty or one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters
    )
    assert any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
