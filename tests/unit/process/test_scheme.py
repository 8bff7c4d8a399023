"""The scheme of a process: steps in the order of the work, and the settings they read."""

from __future__ import annotations

import pytest

from include.process.rules import after, hours, term
from include.process.scheme import repeat_setting, scheme_body

pytestmark = pytest.mark.unit


def spec(title: str, word: str = "Notify", **more: object) -> dict[str, object]:
    return {"word": word, "title": title, **more}


def test_steps_stand_in_the_order_of_the_work() -> None:
    steps = [("c", ["b", "a"], spec("В")), ("b", ["a"], spec("Б")), ("a", [], spec("А"))]
    body = scheme_body("Процесс", 3, steps)
    assert [one["id"] for one in body["steps"]] == ["a", "b", "c"]
    assert body["steps"][2] == {"id": "c", "title": "В", "word": "Notify", "upstream": ["a", "b"]}
    assert (body["title"], body["number"]) == ("Процесс", 3)


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="ждут друг друга"):
        scheme_body("Процесс", 1, [("a", ["b"], spec("А")), ("b", ["a"], spec("Б"))])


def test_terms_and_switches_become_settings() -> None:
    """AG-5, AG-6: every term and the re-entry switch of every task."""
    at = after(term("alarm", hours(5), "Предупредить")).body()
    steps = [("do", [], spec("Сделать", "EmployeeTask", reentry="repeat")), ("late", [], spec("Поздно", at=[at]))]
    found = {one["code"]: (one["kind"], one["default"]) for one in scheme_body("П", 1, steps)["settings"]}
    assert found == {"alarm": ("term", {"hours": 5}), "repeat:do": ("switch", True)}
    assert repeat_setting("process", "do") == "repeat:process.do"
