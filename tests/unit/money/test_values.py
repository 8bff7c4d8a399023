"""Sums, dates, names and ИНН in every form that statements and sheets write."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.exchange_1c.rules import ValueRefused
from include.money.values import parse_amount, parse_day, parse_time, party_inn, party_name

pytestmark = pytest.mark.unit
PERSONS, FIRMS = "40817810374036778862", "40702810477266704262"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8263.00", "8263.00"), ("25000", "25000"), ("50 000,50", "50000.50"), ("100\u00a0000,00", "100000.00"),
        ("1\u202f234,5", "1234.50"), ("175000-00", "175000.00"), ("375=25", "375.25"), ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"), ("1,234,567", "1234567"), ("1'234.56", "1234.56"), ("1 234,50 ₽", "1234.50"),
        ("100 руб.", "100"), ("-5", "-5"), ("0.00", "0.00"), (",50", "0.50"),
    ],
)  # fmt: skip
def test_sums(text: str, expected: str) -> None:
    assert parse_amount(text) == Decimal(expected)


@pytest.mark.parametrize(
    "text", ["сто", "1,2,3", "12.345", "1,234", "1.2.3", "1e5", "٣", "10.005", "9" * 20, "--5", "=1", "NaN", "."]
)
def test_sums_that_are_refused(text: str) -> None:
    with pytest.raises(ValueRefused):
        parse_amount(text)


def test_an_empty_sum_is_none() -> None:
    assert parse_amount("") is None
    assert parse_amount(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "21.11.2026", "21.11.26", "1.2.2026 ", "2026-11-21", "21/11/2026", "21-11-2026", "20261121", "2026.11.21",
        "21.11.2026 00:00:00", "2026-11-21T10:00:00", "21.11.2026г.", "2026-11-21T10:00:00+03:00",
    ],
)  # fmt: skip
def test_dates(text: str) -> None:
    assert parse_day(text) in (dt.date(2026, 11, 21), dt.date(2026, 2, 1))


@pytest.mark.parametrize("text", ["", "01.01.0001", "0001-01-01T00:00:00", "0", "00.00.0000", "  "])
def test_no_date(text: str) -> None:
    assert parse_day(text) is None


@pytest.mark.parametrize("text", ["23.08.201819202122", "32.01.2026", "вчера", "01.13.2026", "21.11.1026", "21.11"])
def test_dates_that_are_refused(text: str) -> None:
    with pytest.raises(ValueRefused):
        parse_day(text)


def test_times() -> None:
    assert parse_time("10:28:35") == dt.time(10, 28, 35)
    assert parse_time("9:05") == dt.time(9, 5)
    assert parse_time("") is None
    with pytest.raises(ValueRefused):
        parse_time("25:00")


@pytest.mark.parametrize(
    ("said", "first", "name", "inn"),
    [
        ("ООО Ромашка", "", "ООО Ромашка", None),
        ("ИНН 6672307097 ООО Ромашка", "", "ООО Ромашка", "6672307097"),
        ('6154569327 ООО "ЛЕБЕДЕВ"', 'ООО "ЛЕБЕДЕВ"', 'ООО "ЛЕБЕДЕВ"', "6154569327"),
        ("7777777777, ООО Рога", "", "ООО Рога", "7777777777"),
        ("7123456789012, ИП Пупкин О.А.", "", "ИП Пупкин О.А.", "7123456789012"),
        ("ИНН 6672307097/667201001 ООО Ромашка", "", "ООО Ромашка", "6672307097"),
        ("ИНН 6672307097 КПП 667201001 ООО Ромашка", "", "ООО Ромашка", "6672307097"),
        ("", "ООО Рога", "ООО Рога", None),
        ("ИНН 6672307097", "ООО Рога", "ООО Рога", "6672307097"),
        ("ИВАНОВ ИВАН ИВАНОВИЧ//г Москва, ул Мира//", "", "ИВАНОВ ИВАН ИВАНОВИЧ", None),
        ("ПАО СБЕРБАНК//ИВАНОВ ИВАН//1234//", "", "ИВАНОВ ИВАН", None),
        ("  ООО\u00a0 &quot;Ромашка&quot;  ", "", 'ООО "Ромашка"', None),
        ("12345 ООО", "", "12345 ООО", None),
        ("", "", "", None),
    ],
)
def test_names_of_payers(said: str, first: str, name: str, inn: str | None) -> None:
    assert party_name(said, first) == (name, inn)


@pytest.mark.parametrize(
    ("said", "account", "name", "inn", "kind"),
    [
        ("7707083893", FIRMS, "ООО", "7707083893", None),
        ("7707083893/770701001", FIRMS, "ООО", "7707083893", None),
        ("7707083893", PERSONS, "Иванов", None, "bank"),  # ПолучательИНН = ИНН банка for a payment to a person
        ("500100732259", PERSONS, "Иванов", "500100732259", None),  # a person's own
        ("7707083893", "30232810700000000001", "ИВАНОВ//МОСКВА//", None, "bank"),
        ("7707083893", FIRMS, "ООО//филиал", "7707083893", None),
        ("12345", FIRMS, "Foreign Ltd", None, "foreign"),
        ("7123456789012", FIRMS, "ИП", None, "wrong"),
        ("7777777777", FIRMS, "ООО", None, "wrong"),
        ("0", FIRMS, "Иванов", None, None),
        ("000000000000", FIRMS, "Иванов", None, None),
        ("", FIRMS, "Иванов", None, None),
    ],
)
def test_whose_inn_it_is(said: str, account: str, name: str, inn: str | None, kind: str | None) -> None:
    found = party_inn(said, account, name)
    assert (found.inn, found.kind) == (inn, kind)
    assert (found.problem is not None) == (kind == "wrong")


@given(st.text(max_size=40))
def test_any_text_is_a_value_or_refused(text: str) -> None:
    for read in (parse_amount, parse_day, parse_time):
        try:
            read(text)
        except ValueRefused as problem:
            assert str(problem)
    party_name(text, text)
    party_inn(text, text, text)
