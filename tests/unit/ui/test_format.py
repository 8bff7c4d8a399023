from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from backoffice.ui import format as written

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 21, 11, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, "день"),
        (2, "дня"),
        (4, "дня"),
        (5, "дней"),
        (11, "дней"),
        (14, "дней"),
        (21, "день"),
        (112, "дней"),
        (0, "дней"),
    ],
)
def test_plural_follows_russian_rules(number, expected):
    assert written.plural(number, "день", "дня", "дней") == expected


def test_moments_are_shown_in_the_office_zone():
    assert written.moment(NOW) == "21.11.2026\u00a014:05"
    assert written.clock(NOW) == "14:05"
    assert written.day("2026-11-21") == "21.11.2026"
    assert written.moment("2026-11-21") == "21.11.2026"
    assert written.long_day(NOW) == "суббота, 21\u00a0ноября"


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        (timedelta(hours=1), "сегодня в\u00a015:05"),
        (timedelta(days=1), "завтра в\u00a014:05"),
        (timedelta(days=-1), "вчера в\u00a014:05"),
        (timedelta(days=5), "26.11.2026\u00a014:05"),
    ],
)
def test_when(shift, expected):
    assert written.when(NOW + shift, NOW) == expected


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        (timedelta(hours=3), "осталось 3\u00a0ч"),
        (timedelta(minutes=5), "осталось 5\u00a0мин"),
        (timedelta(days=-2), "просрочено на\u00a02\u00a0дн."),
        (timedelta(minutes=-1), "просрочено на\u00a01\u00a0мин"),
    ],
)
def test_left(shift, expected):
    assert written.left(NOW + shift, NOW) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("1234567.89"), "1\u00a0234\u00a0567,89\u00a0₽"),
        ("0", "0,00\u00a0₽"),
        (None, "—"),
        ("", "—"),
        ("сколько-то", "сколько-то"),
        (Decimal("NaN"), "—"),
    ],
)
def test_money(value, expected):
    assert written.money(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"hours": 5}, "5\u00a0часов"),
        ({"working_days": 1}, "1\u00a0рабочий день"),
        ({"days": 22}, "22\u00a0календарных дня"),
        ({"years": 2}, "{'years': 2}"),
        (None, "—"),
    ],
)
def test_terms_in_words(value, expected):
    assert written.term(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("89287872165", "+7\u00a0(928)\u00a0787-21-65"),
        ("+7 928 787-21-65, 123", "+7\u00a0(928)\u00a0787-21-65, доб.\u00a0123"),
        ("+44 20 7946 0000", "+44 20 7946 0000"),
        (None, "—"),
    ],
)
def test_phone(value, expected):
    assert written.phone(value) == expected


def test_field_values_read_as_words():
    assert written.field_value(True, "bool") == "да"
    assert written.field_value("simple", "choice", {"simple": "простой"}) == "простой"
    assert written.field_value("2026-11-21T14:05:00+03:00", "datetime") == "21.11.2026\u00a014:05"
    assert written.field_value(None, "text") == "—"


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("2026-11-21T11:05:00+00:00", "datetime", "2026-11-21T14:05"),
        ("2026-11-21", "datetime", "2026-11-21T09:00"),
        ("2026-11-21", "date", "2026-11-21"),
        (Decimal("1210.50"), "money", "1\u00a0210,50"),
        (True, "bool", "yes"),
        ("как есть", "date", "как есть"),
        (None, "text", ""),
    ],
)
def test_values_for_inputs(value, kind, expected):
    assert written.input_value(value, kind) == expected
