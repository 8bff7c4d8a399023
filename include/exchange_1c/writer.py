"""Writes orders for 1C: CommerceML documents «Заказ товара», document by document, in any version, encoding and BOM.

The order of elements is that of the scheme; VAT stands both in the document and in each line with УчтеноВСумме, else УТ
adds it on top of the sums.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO

from lxml import etree

from include.exchange_1c.rules import OFFICE_ZONE, CompanyKind, Vat

BOM = b"\xef\xbb\xbf"
OPERATION = "Заказ товара"
#: How dates and numbers are written here; 1C reads these attributes of the root.
FORMATS: Mapping[str, str] = {
    "ФорматДаты": "ДФ=yyyy-MM-dd; ДЛФ=DT",
    "ФорматВремени": "ДФ=ЧЧ:мм:сс; ДЛФ=T",
    "РазделительДатаВремя": "T",
    "ФорматСуммы": "ЧЦ=18; ЧДЦ=2; ЧРД=.",
    "ФорматКоличества": "ЧЦ=18; ЧДЦ=3; ЧРД=.",
}
#: Files of 2.0x to 1C have no namespace in the exchanges seen; 3.1 always has one.
NAMESPACES: Mapping[str, str] = {"3.1": "urn:1C.ru:commerceml_3"}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Buyer:
    """The counterparty of an order; ``kind`` decides between ЮрЛицо and ФизЛицо."""

    external_id: str
    kind: CompanyKind
    name: str
    full_name: str
    inn: str | None = None
    kpp: str | None = None
    address: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True)
class OrderLine:
    """A line: quantity × price = amount in roubles, VAT inside; ``kind`` is Товар or Услуга."""

    external_id: str
    name: str
    unit_code: str | None
    unit_name: str
    quantity: Decimal
    price: Decimal
    amount: Decimal
    vat: Vat
    vat_amount: Decimal
    kind: str = "Товар"
    sku: str | None = None


@dataclass(frozen=True)
class Order:
    """An order as 1C gets it; ``at`` is its date and time, ``requisites`` go in order."""

    external_id: str
    number: str
    at: datetime
    buyer: Buyer
    lines: tuple[OrderLine, ...]
    comment: str = ""
    requisites: tuple[tuple[str, str], ...] = field(default=())

    @property
    def amount(self) -> Decimal:
        """Return the sum of the lines in roubles."""
        return sum((one.amount for one in self.lines), Decimal("0.00"))

    @property
    def vat_amount(self) -> Decimal:
        """Return the VAT that the lines contain."""
        return sum((one.vat_amount for one in self.lines), Decimal("0.00"))


def write_orders(
    out: BinaryIO,
    orders: Iterable[Order],
    formed_at: datetime,
    *,
    version: str = "2.08",
    encoding: str = "utf-8",
    bom: bool = True,
    container: bool = False,
    currency: str = "руб",
) -> None:
    """Write a whole file of orders (none: an empty answer); the same arguments give the same bytes.

    ``container`` wraps each document for Bitrix modules since 6.5. What the encoding lacks is written as a reference.
    """
    if bom and encoding.lower() in ("utf-8", "utf8"):
        out.write(BOM)
    space = NAMESPACES.get(version)
    root = {
        "ВерсияСхемы": version,
        "ДатаФормирования": f"{formed_at.astimezone(OFFICE_ZONE):%Y-%m-%dT%H:%M:%S}",
        **FORMATS,
    }
    with etree.xmlfile(out, encoding=encoding) as file:
        file.write_declaration()
        with file.element("КоммерческаяИнформация", root, nsmap={None: space} if space else None):
            file.write("\n")
            for order in orders:
                document = _document(order, version, currency)
                if container:
                    wrapped = etree.Element("Контейнер")
                    wrapped.append(document)
                    document = wrapped
                etree.indent(document, "  ")
                file.write(document)
                file.write("\n")


def _document(order: Order, version: str, currency: str) -> Any:
    document = etree.Element("Документ")
    here = order.at.astimezone(OFFICE_ZONE)
    for name, text in (
        ("Ид", order.external_id),
        ("Номер", order.number),
        ("Дата", f"{here:%Y-%m-%d}"),
        ("ХозОперация", OPERATION),
        ("Роль", "Продавец"),
        ("Валюта", currency),
        ("Курс", "1"),
        ("Сумма", _money(order.amount)),
    ):
        _add(document, name, text)
    with _inside(document, "Контрагенты") as parties, _inside(parties, "Контрагент") as party:
        _buyer(party, order.buyer)
    _add(document, "Время", f"{here:%H:%M:%S}")
    if order.comment:
        _add(document, "Комментарий", order.comment)
    rates = {one.vat for one in order.lines}
    with _inside(document, "Налоги") as taxes:
        _tax(taxes, order.vat_amount, rates.pop() if len(rates) == 1 else None)
    with _inside(document, "Товары") as goods:
        for line in order.lines:
            with _inside(goods, "Товар") as one:
                _line(one, line, version)
    _requisites(document, order.requisites)
    return document


def _buyer(party: Any, buyer: Buyer) -> None:
    _add(party, "Ид", buyer.external_id)
    _add(party, "Наименование", buyer.name)
    if buyer.kind is CompanyKind.LEGAL:
        _add(party, "ОфициальноеНаименование", buyer.full_name)
        _address(party, "ЮридическийАдрес", buyer.address)
        _add(party, "ИНН", buyer.inn)
        _add(party, "КПП", buyer.kpp)
    else:
        _add(party, "ПолноеНаименование", buyer.full_name)
        words = buyer.full_name.split()
        if buyer.kind is CompanyKind.PERSON and len(words) in (2, 3):
            for name, word in zip(("Фамилия", "Имя", "Отчество"), words, strict=False):
                _add(party, name, word)
        _add(party, "ИНН", buyer.inn)
        _address(party, "АдресРегистрации", buyer.address)
    if buyer.email or buyer.phone:
        with _inside(party, "Контакты") as contacts:
            for kind, value in (("Почта", buyer.email), ("Телефон рабочий", buyer.phone)):
                if value:
                    with _inside(contacts, "Контакт") as contact:
                        _add(contact, "Тип", kind)
                        _add(contact, "Значение", value)
    _add(party, "Роль", "Покупатель")


def _line(one: Any, line: OrderLine, version: str) -> None:
    _add(one, "Ид", line.external_id)
    _add(one, "Артикул", line.sku)
    _add(one, "Наименование", line.name)
    unit = etree.SubElement(one, "БазоваяЕдиница", {"НаименованиеПолное": _clean(line.unit_name)})
    if line.unit_code:
        unit.set("Код", line.unit_code)
    unit.text = _clean(line.unit_name)
    with _inside(one, "СтавкиНалогов") as rates, _inside(rates, "СтавкаНалога") as rate:
        _add(rate, "Наименование", "НДС")
        _add(rate, "Ставка", _rate_in_words(line.vat))
    _requisites(one, (("ВидНоменклатуры", line.kind), ("ТипНоменклатуры", line.kind)))
    if version == "3.1":
        _add(one, "Цена", _money(line.price))
    _add(one, "ЦенаЗаЕдиницу", _money(line.price))
    _add(one, "Количество", f"{line.quantity:.3f}")
    _add(one, "Сумма", _money(line.amount))
    _add(one, "Единица", line.unit_name)
    _add(one, "Коэффициент", "1")
    with _inside(one, "Налоги") as taxes:
        _tax(taxes, line.vat_amount, line.vat)


def _tax(taxes: Any, amount: Decimal, vat: Vat | None) -> None:
    with _inside(taxes, "Налог") as tax:
        _add(tax, "Наименование", "НДС")
        _add(tax, "УчтеноВСумме", "true")
        _add(tax, "Сумма", _money(amount))
        if vat is not None:
            _add(tax, "Ставка", _rate_in_words(vat))


def _rate_in_words(vat: Vat) -> str:
    if vat is Vat.NONE:
        return "Без НДС"
    number = int(vat.value.removeprefix("vat"))
    return f"{number - 100}/{number}" if number > 100 else str(number)


def _address(party: Any, name: str, text: str | None) -> None:
    if text:
        with _inside(party, name) as address:
            _add(address, "Представление", text)


def _requisites(owner: Any, values: Iterable[tuple[str, str]]) -> None:
    with _inside(owner, "ЗначенияРеквизитов") as requisites:
        for name, value in values:
            with _inside(requisites, "ЗначениеРеквизита") as one:
                _add(one, "Наименование", name)
                _add(one, "Значение", value)


@contextmanager
def _inside(owner: Any, name: str) -> Iterator[Any]:
    yield etree.SubElement(owner, name)


def _add(owner: Any, name: str, text: str | None) -> None:
    if text is not None and (written := _clean(text)):
        etree.SubElement(owner, name).text = written


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text)


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}"
