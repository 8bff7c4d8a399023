"""Conditions and moments: pure decisions over the facts of a case."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from include.process import rules
from include.process.rules import (
    Condition,
    at_least,
    changed,
    equals,
    filled,
    given,
    in_future,
    number,
    on_stage,
    result_of,
    rounds,
    unmet,
)
from include.shared.working_time import WorkCalendar

pytestmark = pytest.mark.unit
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
TITLES = {"paid": "Сумма оплаты", "amount": "Сумма сделки", "date": "Дата", "flag": "Признак"}


THREE, NEVER = number("many", 3, "Кругов"), number("never", 0, "Кругов")


def bound_to(condition: Condition, **facts: Any) -> Condition:
    return Condition(rules.bound(condition.body, facts))


def said(condition: Condition, **facts: Any) -> list[str]:
    return [one.text for one in unmet(condition.body, {"link": "/deals/1", **facts}, TITLES, NOW)]


@pytest.mark.parametrize(
    ("condition", "facts", "holds"),
    [
        (filled("date"), {"date": "2026-01-01"}, True),
        (filled("flag"), {"flag": False}, True),
        (filled("paid"), {"paid": 0}, True),
        (filled("date"), {"date": ""}, False),
        (filled("date"), {"date": []}, False),
        (filled("date"), {}, False),
        (equals("flag", True), {"flag": True}, True),
        (equals("flag", False), {}, False),
        (equals("flag", None), {}, True),
        (at_least("paid", "amount"), {"paid": "100.00", "amount": Decimal(100)}, True),
        (at_least("paid", "amount"), {"paid": "100.01", "amount": "100"}, True),
        (at_least("paid", "amount"), {"paid": "99.99", "amount": "100"}, False),
        (at_least("paid", "amount"), {"paid": "5", "amount": "0"}, False),
        (at_least("paid", "amount"), {"paid": "5"}, False),
        (at_least("paid", "amount"), {"amount": "5"}, False),
        (at_least("paid", "amount"), {"paid": "много", "amount": "5"}, False),
        (in_future("date"), {"date": "2026-11-24"}, True),
        (in_future("date"), {"date": "2026-11-23"}, False),  # 09:00 of today is behind
        (in_future("date"), {"date": "2026-11-23T10:00:01+03:00"}, True),
        (in_future("date"), {}, False),
        (filled("date") & filled("flag"), {"date": "x"}, False),
        (filled("date") | filled("flag"), {"date": "x"}, True),
        (filled("date") | filled("flag"), {}, False),
        (~filled("date"), {}, True),
        (~filled("date"), {"date": "x"}, False),
        (~(filled("date") & filled("flag")), {"date": "x"}, True),
        (changed("date"), {"date": "x"}, False),  # nobody has said what it was
        (bound_to(changed("date"), date="x"), {"date": "x"}, False),
        (bound_to(changed("date"), date="x"), {"date": "y"}, True),
        (bound_to(changed("date"), date="x"), {}, True),
        (bound_to(changed("date") & ~filled("flag"), date=None), {"date": "x"}, True),
        (given("тема"), {"event:topics_given": ["тема"]}, True),
        (given("тема"), {"event:topics_given": []}, False),
        (given("тема"), {}, False),
        (rounds("тема", THREE), {"rounds:тема": 3}, True),
        (rounds("тема", THREE), {"rounds:тема": 2}, False),
        (rounds("тема", NEVER), {"rounds:тема": 9}, False),
        (result_of("ask", "outcome", "yes"), {"step:ask.outcome": "yes"}, True),
        (result_of("ask", "outcome", "yes"), {}, False),
        (on_stage("Договор"), {"stage": "Договор"}, True),
    ],
)
def test_conditions(condition: Condition, facts: dict[str, Any], holds: bool) -> None:
    body = rules.with_numbers(condition.body, lambda ref: int(ref["default"]))
    rules.check_condition(condition.body)
    assert (said(Condition(body), **facts) == []) is holds


@pytest.mark.parametrize(
    ("condition", "facts", "words"),
    [
        (filled("date"), {}, ["не заполнено поле «Дата»"]),
        (equals("flag", True), {}, ["поле «Признак» должно быть равно «да»"]),
        (
            at_least("paid", "amount"),
            {"amount": "1000"},
            ["«Сумма оплаты» 0,00\u00a0₽ меньше, чем «Сумма сделки» 1\u00a0000,00\u00a0₽"],
        ),
        (in_future("date"), {}, ["в поле «Дата» нужна будущая дата"]),
        (filled("date") & filled("flag"), {}, ["не заполнено поле «Дата»", "не заполнено поле «Признак»"]),
        (filled("date") | filled("flag"), {}, ["не заполнено поле «Дата» или не заполнено поле «Признак»"]),
        (~filled("date"), {"date": "x"}, ["поле «Дата» должно быть пустым"]),
        (~equals("flag", True), {"flag": True}, ["поле «Признак» не должно быть равно «да»"]),
    ],
)
def test_a_refusal_says_what_is_missing(condition: Condition, facts: dict[str, Any], words: list[str]) -> None:
    """R002-43, ★26: what is missing, in words."""
    assert said(condition, **facts) == words


def test_a_refusal_links_to_the_field() -> None:
    (missing,) = unmet(filled("date").body, {"link": "/deals/1"}, TITLES, NOW)
    assert missing.link == "/deals/1#field-date"
    (missing,) = unmet(filled("date").body, {}, TITLES, NOW)
    assert missing.link is None


def test_fields_of_a_condition() -> None:
    condition = (filled("a") & ~equals("b", 1)) | at_least("c", "d") | in_future("e")
    assert rules.fields_of(condition.body) == {"a", "b", "c", "d", "e"}


@pytest.mark.parametrize(
    "wrong", [{}, {"filled": "a", "equals": ["a", 1]}, {"больше": 1}, {"all": [{"x": 1}]}, {"not": {}}]
)
def test_a_wrong_tree_is_seen_when_the_process_is_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="слови"):
        rules.check_condition(wrong)


def test_conditions_survive_storing() -> None:
    import json

    condition = rules.came_from("Не обработан") & rules.moved_by_person() & rules.on_funnel("Товары")
    stored = json.loads(json.dumps(condition.body))
    rules.check_condition(stored)
    facts = {"came_from": "Не обработан", "moved_by_person": True, "funnel": "Товары"}
    assert unmet(stored, facts, {}, NOW) == []


@pytest.mark.parametrize(
    ("moment", "offset", "expected"),
    [
        (rules.after(rules.hours(5)), {"hours": 5}, "2026-11-23T12:00:00+00:00"),
        (rules.at_field("date", minus=rules.hours(2)), {"hours": 2}, "2026-11-23T05:00:00+00:00"),
        (rules.at_field("date", plus=rules.days(1)), {"days": 1}, "2026-11-24T07:00:00+00:00"),
        (rules.at_field("date"), {"minutes": 0}, "2026-11-23T07:00:00+00:00"),
        (rules.at_field("date", minus=rules.working_days(1)), {"working_days": 1}, "2026-11-20T07:00:00+00:00"),
    ],
)
def test_moments(moment: rules.MomentRef, offset: dict[str, int], expected: str) -> None:
    found = rules.aim(moment.body(), NOW, offset, WorkCalendar(), "Europe/Moscow")
    assert found is not None
    assert found.isoformat() == expected


def test_a_moment_without_its_base_is_not_known() -> None:
    """AG-3: armed, no date."""
    assert rules.aim(rules.at_field("date").body(), None, {"hours": 1}, WorkCalendar(), "Europe/Moscow") is None


def test_a_term_keeps_its_setting() -> None:
    """AG-5."""
    body = rules.after(rules.term("alarm", rules.hours(5), "Срок")).body()
    assert body["offset"] == {"setting": "alarm", "default": {"hours": 5}, "title": "Срок"}
