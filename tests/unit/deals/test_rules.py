"""Values of deal fields: what is read, and what is refused in words (R002-5, R002-74)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from include.deals.rules import clean_value, debt, parse_sum, takes_into_work
from include.shared.errors import InvalidInput

pytestmark = pytest.mark.unit
CHOICES = {"choices": {"pickup": "самовывоз", "cdek": "СДЭК"}}


def clean(kind: str, value: Any) -> Any:
    return clean_value(kind, "Поле", CHOICES, value, "Europe/Samara")


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("bool", "да", True), ("bool", " Нет ", False), ("bool", True, True), ("bool", "0", False), ("bool", 1, True),
        ("date", "21.11.2026", "2026-11-21"), ("date", "2026-11-21", "2026-11-21"),
        ("date", "29.02.2028", "2028-02-29"),
        ("datetime", "21.11.2026 14:05", "2026-11-21T14:05:00+04:00"),
        ("datetime", "2026-11-21T14:05", "2026-11-21T14:05:00+04:00"),
        ("datetime", "2026-11-21T14:05:00+03:00", "2026-11-21T14:05:00+03:00"),
        ("datetime", "21.11.2026", "2026-11-21"), ("datetime", "2026-11-21", "2026-11-21"),
        ("choice", "самовывоз", "pickup"), ("choice", "cdek", "cdek"),
        ("text", " трек ", "трек"), ("text", "   ", None), ("text", "x" * 4000, "x" * 4000),
        ("money", "1 234 567,89", "1234567.89"), ("money", 5, "5.00"), ("money", "-0", "0.00"),
        ("money", "1\u00a0000", "1000.00"), ("money", 0.1, "0.10"),
        ("person", "7", 7), ("person", 7, 7),
        ("bool", "", None), ("date", None, None), ("money", "", None), ("person", "", None),
    ],
)  # fmt: skip
def test_what_people_write_is_read(kind: str, value: Any, stored: Any) -> None:
    assert clean(kind, value) == stored


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("bool", v) for v in ("может быть", 2, [], {}, " ", "None")),
        *(("date", v) for v in ("завтра", "31.02.2026", "32.01.2026", "1999-12-31", "01.01.2101", 5, True, [], {},
                                "0000-00-00", "2026-11-21T10:00", "\x00", "9" * 10**5, "2026-13-01", "١٢", -1, 1e308)),
        *(("datetime", v) for v in ("завтра", "21.11.2026 25:00", "2026-11-21T24:61", "21.11.1999 10:00", [], {}, 7,
                                    "2026-11-21T10:00:00+99:00", "21.11.2026 10:00:00", "\ud800", "2101-01-02T00:00")),
        *(("choice", v) for v in ("почта", "САМОВЫВОЗ", 5, [], {}, True, "\x00")),
        *(("text", v) for v in ("x" * 4001, "\x00", "а\x00", "\ud800", 5, [], {}, True)),
        *(("money", v) for v in ("много", "-1", "0.001", "NaN", "Infinity", "-Infinity", "sNaN", "1e30", "1e999999999",
                                 "1e-30", [], {}, True, "1.2.3", "\x00", "9" * 10**5, float("nan"), float("inf"))),
        *(("person", v) for v in ("Иванов", "1.5", 0, -1, 2**63, True, [], {}, "9" * 5000, "\x00", 1.5)),
        ("file", "договор.docx"), ("нет такого", 1),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(kind: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"[Пп]оле"):
        clean(kind, value)


@pytest.mark.parametrize(
    ("amount", "paid", "owed", "over"),
    [
        ("100", "40", "60", "0"),
        ("100", "100", "0", "0"),
        ("100", "130", "0", "30"),
        (None, "5", "0", "5"),
        ("0", "0", "0", "0"),
    ],
)
def test_debt(amount: str | None, paid: str, owed: str, over: str) -> None:
    """R002-74, A2-34."""
    assert debt(Decimal(amount) if amount else None, Decimal(paid)) == (Decimal(owed), Decimal(over))


def test_the_largest_sum() -> None:
    assert parse_sum("Сумма", "9 999 999 999 999,99") == Decimal("9999999999999.99")
    with pytest.raises(InvalidInput):
        parse_sum("Сумма", "10 000 000 000 000")


@pytest.mark.parametrize(
    ("came_from", "target", "person", "takes"),
    [
        ("Не обработан", "Экспресс-идентификация", True, True),
        ("Не обработан", "Первичная идентификация", True, True),
        ("Не обработан", "Экспресс-идентификация", False, False),
        ("Счет/КП", "Экспресс-идентификация", True, False),
        ("Не обработан", "Счет/КП", True, False),
    ],
)
def test_whoever_takes_a_lead_into_work(came_from: str, target: str, person: bool, takes: bool) -> None:
    """R002-10, A2-5."""
    assert takes_into_work(came_from, target, person) is takes
