"""Lines and orders: sums, VAT inside, settings that cannot be followed, what keeps an order back (issue 5, line 4)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from include.exchange_1c.rules import Vat
from include.orders import rules
from include.orders.rules import FileForm, SettingsRefused
from include.shared.errors import InvalidInput

pytestmark = pytest.mark.unit
LEGAL = {"name": "ООО «Ромашка»", "kind": "legal", "inn": "7707083893", "kpp": "773601001", "active": True}


def line(**more: Any) -> dict[str, Any]:
    return {"name": "Насос", "vat": "vat22", "amount": Decimal("10.00"), **more}


@pytest.mark.parametrize(
    ("amount", "vat", "inside"),
    [
        ("122.00", Vat.RATE_22, "22.00"),
        ("189.00", Vat.RATE_20, "31.50"),
        ("0.01", Vat.RATE_22, "0.00"),
        ("100.00", Vat.NONE, "0.00"),
        ("100.00", Vat.RATE_0, "0.00"),
        ("122.00", Vat.OF_22, "22.00"),
        ("105.00", Vat.RATE_5, "5.00"),
    ],
)
def test_vat_is_inside_the_sum(amount: str, vat: Vat, inside: str) -> None:
    assert rules.vat_inside(Decimal(amount), vat) == Decimal(inside)


def test_every_rate_has_its_title() -> None:
    assert set(rules.VAT_TITLES) == {one.value for one in Vat}


def test_a_line_is_rounded_by_itself() -> None:
    assert rules.line_amount(Decimal("0.333"), Decimal("10.00")) == Decimal("3.33")
    assert rules.line_amount(Decimal("0.5"), Decimal("0.01")) == Decimal("0.01")


@pytest.mark.parametrize(("typed", "kept"), [("1,5", "1.500"), ("1 000", "1000.000"), (2, "2.000"), ("0.001", "0.001")])
def test_quantities_as_people_type_them(typed: Any, kept: str) -> None:
    assert rules.clean_quantity(typed) == Decimal(kept)


@pytest.mark.parametrize("typed", ["", None, "0", "-1", "1,2345", "много", "NaN", "Infinity", "1e99", "٣", "1_0"])
def test_wrong_quantities_are_said(typed: Any) -> None:
    with pytest.raises(InvalidInput, match="больше нуля") as refused:
        rules.clean_quantity(typed)
    assert refused.value.field == "quantity"


def test_prices() -> None:
    assert rules.clean_price("1 250,50") == Decimal("1250.50")
    assert rules.clean_price("0") == Decimal("0.00")
    assert str(rules.clean_price("-0")) == "0.00"
    for wrong in ("1,005", "-1", "", "100000000000"):
        with pytest.raises(InvalidInput, match="до копейки"):
            rules.clean_price(wrong)


def test_names_units_and_rates() -> None:
    assert rules.clean_line_name("  Насос \n 5 кВт ") == "Насос 5 кВт"
    assert rules.clean_unit("796") == ("796", "шт")
    assert rules.clean_vat("") is None
    for refused, value in ((rules.clean_line_name, "\u200b"), (rules.clean_unit, "999"), (rules.clean_vat, "vat13")):
        with pytest.raises(InvalidInput):
            refused(value)


def test_the_form_of_a_file() -> None:
    form = FileForm.of("2.08", "Windows-1251", False, True, "руб")
    assert form.encoding == "windows-1251"
    for wrong in (("1.5", "utf-8", "руб"), ("2.08", "koi8-r", "руб"), ("2.08", "utf-8", "")):
        with pytest.raises(SettingsRefused, match="Настройка «Заказы в 1С"):
            FileForm.of(wrong[0], wrong[1], True, False, wrong[2])


def test_names_of_files() -> None:
    at = datetime(2026, 11, 27, 21, 30, tzinfo=UTC)  # half past midnight in Moscow
    assert rules.file_name("orders_{date}_{number}.xml", 7, at) == "orders_2026-11-28_7.xml"
    assert rules.file_name("order.xml", 7, at) == "order.xml"
    for wrong in ("../order.xml", "заказ.xml", "a{x}.xml", ".xml", "order", "a/b.xml", ""):
        with pytest.raises(SettingsRefused):
            rules.file_name(wrong, 7, at)


def test_stages_and_numbers() -> None:
    assert rules.stages_from("Товары: Комплектация; Услуги: В работе") == {
        "Товары": "Комплектация", "Услуги": "В работе",
    }  # fmt: skip
    for wrong in ("Товары", "Товары: ", "Товары: а; Товары: б"):
        with pytest.raises(SettingsRefused):
            rules.stages_from(wrong)
    assert rules.order_number(" СД- ", 12) == "СД-12"
    with pytest.raises(SettingsRefused):
        rules.order_number("слишком длинно", 1)


def test_nothing_keeps_a_whole_order_back() -> None:
    assert rules.lacks(LEGAL, [line()]) == []
    assert rules.lacks({**LEGAL, "kind": "person", "inn": None, "kpp": None}, [line()]) == []


@pytest.mark.parametrize(
    ("company", "lines", "codes"),
    [
        (None, [], ["no_company", "no_lines"]),
        ({**LEGAL, "inn": None}, [line()], ["no_inn"]),
        ({**LEGAL, "inn": "7707083894"}, [line()], ["bad_inn"]),
        ({**LEGAL, "kind": "sole"}, [line()], ["bad_inn"]),
        ({**LEGAL, "kpp": "12"}, [line()], ["bad_kpp"]),
        ({**LEGAL, "active": False}, [line()], ["company_closed"]),
        (LEGAL, [line(vat=None)], ["no_vat"]),
        (LEGAL, [line(amount=Decimal("0.00"))], ["no_sum"]),
    ],
)
def test_what_keeps_an_order_back(company: Any, lines: Any, codes: list[str]) -> None:
    assert [one.code for one in rules.lacks(company, lines)] == codes


@pytest.mark.parametrize(
    ("details", "own", "found"),
    [
        ({}, True, (None, None)),
        ({"number_1c": "УТ-5", "at_1c": "2026-11-27T10:00:00+03:00"}, True, ("УТ-5", date(2026, 11, 27))),
        (
            {"requisites": {"Номер по 1С": "УТ-5 ", "Дата по 1С": "27.11.2026"}},
            True,
            ("УТ-5", date(2026, 11, 27)),
        ),
        ({"requisites": {"Номер по 1С": "УТ-5", "Дата по 1С": "T"}}, True, ("УТ-5", None)),
        ({"number_1c": "УТ-5", "at_1c": "вчера"}, True, ("УТ-5", None)),
        ({}, False, ("ВК01", date(2026, 1, 2))),
    ],
)
def test_the_number_in_1c(details: Any, own: bool, found: Any) -> None:
    assert rules.number_in_1c(details, "ВК01", date(2026, 1, 2), own=own) == found
