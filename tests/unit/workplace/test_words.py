"""How values and names read; no database."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from include.companies.rules import clean_inn, clean_kpp, clean_name, core_of, likeness
from include.shared.errors import InvalidInput
from include.workplace.shapes import Page
from include.workplace.words import money, setting_in_words, value_in_words

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("bool", True, "да"), ("bool", False, "нет"), ("choice", "simple", "простой"), ("choice", "gone", "gone"),
        ("date", "2026-11-21", "21.11.2026"), ("datetime", "2026-11-21T11:05:00+00:00", "21.11.2026 14:05"),
        ("datetime", "2026-11-21", "21.11.2026"), ("money", "1234567.5", "1\u00a0234\u00a0567,50\u00a0₽"),
        ("person", 7, "Иванова И."), ("person", 8, "№ 8"), ("text", "как есть", "как есть"),
        ("date", None, ""), ("text", "", ""),
    ],
)  # fmt: skip
def test_values_in_words(kind: str, value: object, said: str) -> None:
    assert value_in_words(kind, value, {"simple": "простой"}, {7: "Иванова И."}, "Europe/Moscow") == said


def test_sums_and_settings_in_words() -> None:
    assert money(None) == ""
    assert money(Decimal("0")) == "0,00\u00a0₽"
    assert setting_in_words("term", {"hours": 5}) == "5 ч"
    assert setting_in_words("switch", False) == "нет"


def test_a_page_counts_its_pages() -> None:
    assert Page[int](items=[], total=0, page=1, per_page=50).pages == 1
    assert Page[int](items=[], total=101, page=1, per_page=50).pages == 3


@pytest.mark.parametrize(
    ("inn", "kind"), [("7707083893", "legal"), ("500100732259", "sole"), ("500100732259", "person")]
)
def test_a_right_inn(inn: str, kind: str) -> None:
    assert clean_inn(f" {inn[:4]} {inn[4:]} ", kind) == inn


@pytest.mark.parametrize(
    ("inn", "kind"),
    [
        ("7707083894", "legal"), ("770708389", "legal"), ("0000000000", "legal"), ("000000000000", "person"),
        ("7707083893", "sole"), ("77070838x3", "legal"), ("٧٧٠٧٠٨٣٨٩٣", "legal"), ("7" * 500, "legal"),
    ],
)  # fmt: skip
def test_a_wrong_inn(inn: str, kind: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        clean_inn(inn, kind)
    assert refused.value.field == "inn"


def test_kpp_belongs_to_a_legal_entity() -> None:
    assert clean_kpp("7736 01001", "legal", "7707083893") == "773601001"
    assert clean_kpp(None, "sole", "500100732259") is None
    for kpp, kind, inn in (("773601001", "sole", "1"), ("773601001", "legal", None), ("77360100", "legal", "1")):
        with pytest.raises(InvalidInput):
            clean_kpp(kpp, kind, inn)


@pytest.mark.parametrize("name", ["", "   ", "\x00", "ООО", "«»", "x" * 301])
def test_a_name_must_name_something(name: str) -> None:
    with pytest.raises(InvalidInput):
        clean_name(name)


def test_names_are_alike_without_their_legal_form() -> None:
    assert core_of("ООО «Ромашка-Плюс»") == "ромашка плюс"
    assert likeness("ООО «Ромашка»", "Акционерное общество Ромашка") == 1.0
    assert likeness("Ромашка", "Василёк") < 0.5
    assert core_of("Паооо") == "паооо"


def test_the_moment_is_local() -> None:
    from include.workplace.words import local_moment

    assert local_moment(datetime(2026, 11, 21, 22, 30, tzinfo=UTC), "Asia/Vladivostok") == "22.11.2026 08:30"
