"""Files of orders as 1C reads them: VAT in document and line, every version, encoding and form (issue 5, line 4)."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from include.exchange_1c.reader import CommerceFile
from include.exchange_1c.records import Counterparty, Document, Limits
from include.exchange_1c.rules import CompanyKind, DocumentKind, Vat
from include.exchange_1c.writer import BOM, Buyer, Order, OrderLine, write_orders

pytestmark = pytest.mark.unit
AT = datetime(2026, 11, 27, 21, 30, 5, tzinfo=UTC)
LEGAL = Buyer(
    "c-1", CompanyKind.LEGAL, "Ромашка", 'ООО "Ромашка & Ко"', "7707083893", "773601001", "г. Москва", "a@b.ru"
)
LINE = OrderLine(
    "g-1", "Насос <5 кВт>", "796", "шт", Decimal("2.000"), Decimal("94.50"), Decimal("189.00"), Vat.RATE_20,
    Decimal("31.50"), sku="Н-5",
)  # fmt: skip
Path_ = Callable[[str], list[Any]]


def order(*lines: OrderLine, buyer: Buyer = LEGAL, **more: Any) -> Order:
    return Order("backoffice-deal-1", "СД-1", AT, buyer, lines or (LINE,), **more)


def written(*orders: Order, **more: Any) -> bytes:
    out = io.BytesIO()
    write_orders(out, orders, AT, **more)
    return out.getvalue()


def reading(content: bytes) -> Path_:
    root = etree.fromstring(content.removeprefix(BOM))
    return lambda path: root.xpath("/".join(_local(one) for one in path.split("/")))


def _local(step: str) -> str:
    return step if step in ("", "text()", "*") or step.startswith("@") else f"*[local-name()='{step}']"


def test_vat_stands_in_the_document_and_in_each_line() -> None:
    other = OrderLine("g-2", "Доставка", None, "усл", Decimal(1), Decimal("10.00"), Decimal("10.00"), Vat.NONE,
                      Decimal("0.00"), kind="Услуга")  # fmt: skip
    said = reading(written(order(LINE, other)))
    (tax,) = said("Документ/Налоги/Налог")
    assert [one.text for one in tax] == ["НДС", "true", "31.50"]  # two rates: the document names none
    lines = said("Документ/Товары/Товар/Налоги/Налог")
    assert [[one.text for one in line] for line in lines] == [
        ["НДС", "true", "31.50", "20"], ["НДС", "true", "0.00", "Без НДС"],
    ]  # fmt: skip
    assert said("Документ/Сумма/text()") == ["199.00"]
    assert said("Документ/Товары/Товар/Наименование/text()") == ["Насос <5 кВт>", "Доставка"]
    assert said("Документ/Товары/Товар/БазоваяЕдиница/@Код") == ["796"]


def test_one_rate_stands_in_the_document_too() -> None:
    assert reading(written(order()))("Документ/Налоги/Налог/Ставка/text()") == ["20"]


def test_date_and_time_are_those_of_moscow() -> None:
    said = reading(written(order()))
    assert said("Документ/Дата/text()") == ["2026-11-28"]
    assert said("Документ/Время/text()") == ["00:30:05"]
    assert said("@ДатаФормирования") == ["2026-11-28T00:30:05"]


@pytest.mark.parametrize(
    ("kind", "full_name", "elements"),
    [
        (CompanyKind.LEGAL, "ООО Ромашка", {"ОфициальноеНаименование", "ИНН", "КПП", "ЮридическийАдрес"}),
        (CompanyKind.SOLE, "ИП Иванов Иван", {"ПолноеНаименование", "ИНН", "АдресРегистрации"}),
        (CompanyKind.PERSON, "Иванов Иван Иванович", {"ПолноеНаименование", "Фамилия", "Имя", "Отчество"}),
    ],
)
def test_each_kind_of_buyer(kind: CompanyKind, full_name: str, elements: set[str]) -> None:
    buyer = Buyer("c", kind, "Имя", full_name, "7707083893", "773601001", "г. Москва", None, "+7 900")
    (party,) = reading(written(order(buyer=buyer)))("Документ/Контрагенты/Контрагент")
    assert elements <= {one.tag for one in party}
    assert ("КПП" in {one.tag for one in party}) == (kind is CompanyKind.LEGAL)
    assert party.find("Роль").text == "Покупатель"


@pytest.mark.parametrize("version", ["2.05", "2.08", "2.10", "3.1"])
@pytest.mark.parametrize("encoding", ["utf-8", "windows-1251"])
@pytest.mark.parametrize("bom", [True, False])
@pytest.mark.parametrize("container", [True, False])
def test_our_own_reader_reads_every_form(
    tmp_path: Path, version: str, encoding: str, bom: bool, container: bool
) -> None:
    content = written(order(), order(), version=version, encoding=encoding, bom=bom, container=container)
    assert content.startswith(BOM) == (bom and encoding == "utf-8")
    assert f"encoding='{encoding}'".encode() in content[:80]
    said = reading(content)
    assert said("@ВерсияСхемы") == [version]
    inside = "Контейнер/Документ" if container else "Документ"
    assert len(said(inside)) == 2
    path = tmp_path / "orders.xml"
    path.write_bytes(content)
    found = [one for one in CommerceFile(path, Limits(), everything=True).records() if isinstance(one, Document)]
    assert [(one.kind, one.number, str(one.amount)) for one in found] == [(DocumentKind.ORDER, "СД-1", "189.00")] * 2
    assert found[0].counterparty is not None
    assert isinstance(found[0].counterparty, Counterparty)
    assert found[0].counterparty.inn == "7707083893"
    assert found[0].taxes[0].is_included
    assert found[0].lines[0].taxes[0].is_included


def test_what_an_encoding_lacks_is_not_lost() -> None:
    line = OrderLine("g", "Болт ≥ 5 – №2 ✓", "796", "шт", Decimal(1), Decimal(1), Decimal(1), Vat.NONE, Decimal(0))
    content = written(order(line), encoding="windows-1251", bom=True)
    assert reading(content)("Документ/Товары/Товар/Наименование/text()") == ["Болт ≥ 5 – №2 ✓"]


def test_signs_that_xml_cannot_have_are_left_out() -> None:
    said = reading(written(order(comment="а\x00б\x0b\ufffe")))
    assert said("Документ/Комментарий/text()") == ["аб"]


def test_the_same_order_gives_the_same_bytes() -> None:
    assert written(order()) == written(order())


def test_an_empty_answer_is_a_whole_file() -> None:
    assert reading(written())("Документ") == []


def test_requisites_stand_in_order() -> None:
    asked = (("Организация", "ООО «Мы»"), ("Склад", "Основной"))
    said = reading(written(order(requisites=asked)))
    names = said("Документ/ЗначенияРеквизитов/ЗначениеРеквизита/Наименование/text()")
    assert names == ["Организация", "Склад"]
