"""Values that an exchange changed, as a person reads them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from include.workplace import exchange_words as words

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", None, "—"), ("name", "", "—"), ("options", {}, "—"), ("active", True, "да"), ("active", False, "нет"),
        ("amount", 0, "0"), ("amount", Decimal("1234567.500"), "1\u00a0234\u00a0567,5"), ("amount", -2.25, "−2,25"),
        ("quantity", Decimal("1E+3"), "1\u00a0000"), ("vat", "vat20", "20 %"), ("vat", "new", "new"),
        ("kind", "sole", "ИП"), ("date", "2026-11-02", "02.11.2026"), ("date", "02", "02"),
        ("paid_at", "2026-11-02T21:30:00+00:00", "03.11.2026 00:30"), ("sku", "2026-11-02", "2026-11-02"),
        ("characteristics", {"Размер": "M", "Цвет": None}, "Размер: M; Цвет: —"), ("raw", ["a", 1], "a, 1"),
    ],
)  # fmt: skip
def test_a_value_in_words(field: str, value: Any, said: str) -> None:
    assert words.value_words(field, value) == said


def test_a_long_value_is_cut() -> None:
    assert words.value_words("name", "x" * 1000) == "x" * 299 + "…"
    assert words.value_words("options", {str(one): "v" for one in range(30)}).endswith("; …")


def test_only_what_differs_is_said() -> None:
    before, after = {"name": "a", "sku": "1", "gone": 1}, {"name": "b", "sku": "1", "new": 2}
    found = [(one.title, one.before, one.after) for one in words.differences(before, after)]
    assert found == [("название", "a", "b"), ("new", "—", "2"), ("gone", "1", "—")]


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [("10", "RUB", "10,00\u00a0₽"), ("0.5", None, "0,50\u00a0₽"), ("1.2345", "USD", "1,2345\u00a0USD")],
)
def test_a_price(amount: str, currency: str | None, said: str) -> None:
    assert words.price_words(Decimal(amount), currency) == said


def test_kinds_have_one_name_however_they_are_called() -> None:
    assert words.kind_title("goods") == words.kind_title("Товар") == "Номенклатура"
    assert words.kind_title("Неведомое") == "Неведомое"
