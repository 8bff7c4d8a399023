"""Pure decisions about lines of a deal and orders: sums, VAT inside, settings of the export, what an order lacks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from include.companies.rules import LENGTHS
from include.exchange_1c.rules import (
    OFFICE_ZONE,
    OKEI,
    ValueRefused,
    Vat,
    check_inn,
    check_kpp,
    normalise,
    parse_moment,
)
from include.shared.errors import InvalidInput
from include.shared.texts import storable, visible

KOPECK = Decimal("0.01")
THOUSANDTH = Decimal("0.001")
LARGEST_QUANTITY = Decimal("999999999.999")
LARGEST_PRICE = Decimal("9999999999.99")
LARGEST_AMOUNT = Decimal("9999999999999.99")
LONGEST_NAME = 1000
MOST_LINES = 500

VAT_TITLES: Mapping[str, str] = {
    Vat.RATE_22.value: "22 %", Vat.RATE_20.value: "20 %", Vat.RATE_10.value: "10 %", Vat.RATE_7.value: "7 %",
    Vat.RATE_5.value: "5 %", Vat.RATE_0.value: "0 %", Vat.NONE.value: "без НДС", Vat.RATE_18.value: "18 %",
    Vat.RATE_16.value: "16 %", Vat.OF_22.value: "22/122", Vat.OF_20.value: "20/120", Vat.OF_18.value: "18/118",
    Vat.OF_10.value: "10/110", Vat.OF_7.value: "7/107", Vat.OF_5.value: "5/105",
}  # fmt: skip


def rate_of(vat: Vat) -> int | None:
    """Return the rate in per cent, None where there is no VAT; a calculated rate (22/122) has its base rate."""
    if vat is Vat.NONE:
        return None
    number = int(vat.value.removeprefix("vat"))
    return number - 100 if number > 100 else number


def line_amount(quantity: Decimal, price: Decimal) -> Decimal:
    """Return the sum of a line in roubles, rounded to the kopeck by itself (half up)."""
    return (quantity * price).quantize(KOPECK, ROUND_HALF_UP)


def vat_inside(amount: Decimal, vat: Vat) -> Decimal:
    """Return the VAT that a sum contains, rounded to the kopeck."""
    rate = rate_of(vat)
    if not rate:
        return Decimal("0.00")
    return (amount * rate / (100 + rate)).quantize(KOPECK, ROUND_HALF_UP)


def clean_quantity(value: Any) -> Decimal:
    """Return a quantity above zero with up to three decimals; InvalidInput says what is wrong."""
    number = _number(value)
    if number is None or number <= 0 or number > LARGEST_QUANTITY or number != number.quantize(THOUSANDTH):
        msg = "Количество – число больше нуля, до трёх знаков после запятой, например 1,5."
        raise InvalidInput(msg, "quantity")
    return number.quantize(THOUSANDTH)


def clean_price(value: Any) -> Decimal:
    """Return a price in roubles with kopecks, VAT inside; InvalidInput says what is wrong."""
    number = _number(value)
    if number is None or number < 0 or number > LARGEST_PRICE or number != number.quantize(KOPECK):
        msg = "Цена – сумма с точностью до копейки, например 1 250,50."
        raise InvalidInput(msg, "price")
    return abs(number.quantize(KOPECK))


def clean_line_name(value: Any) -> str:
    """Return the name of a line in one row; InvalidInput when there is nothing to read."""
    name = " ".join(value.split()) if isinstance(value, str) else ""
    if not visible(name) or len(name) > LONGEST_NAME or not storable(name):
        msg = f"Напишите, что продаётся (до {LONGEST_NAME} знаков), или выберите товар."
        raise InvalidInput(msg, "name")
    return name


def clean_vat(value: Any) -> str | None:
    """Return the code of a rate, None for none chosen yet; InvalidInput for one that does not exist."""
    if value in (None, ""):
        return None
    if value not in VAT_TITLES:
        msg = "Выберите ставку НДС из списка."
        raise InvalidInput(msg, "vat")
    return str(value)


def clean_unit(value: Any) -> tuple[str, str]:
    """Return the ОКЕИ code and short name of a unit; InvalidInput for one that the table does not have."""
    code = str(value or "").strip()
    if code not in OKEI:
        msg = "Выберите единицу измерения из списка."
        raise InvalidInput(msg, "unit_code")
    return code, OKEI[code]


def _number(value: Any) -> Decimal | None:
    written = str(value if value is not None else "")
    for space in (" ", "\u00a0", "\u202f"):
        written = written.replace(space, "")
    written = written.replace(",", ".")
    if len(written) > 40 or not written.isascii() or "_" in written:
        return None
    try:
        number = Decimal(written)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < Decimal(10) ** 20 else None


# --- settings of the export -----------------------------------------------------------------------


class SettingsRefused(InvalidInput):
    """The settings of the export cannot be followed; the sentence names the setting and what may stand there."""


VERSIONS = ("2.05", "2.06", "2.07", "2.08", "2.09", "2.10", "3.1")
ENCODINGS = {"utf-8": "utf-8", "utf8": "utf-8", "windows-1251": "windows-1251", "cp1251": "windows-1251"}
_PLACES = {"date", "time", "number"}
_FILE_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,100}")


@dataclass(frozen=True)
class FileForm:
    """How a file of orders is written: the settings, checked; ``version`` is that of CommerceML."""

    version: str = "2.08"
    encoding: str = "utf-8"
    bom: bool = True
    container: bool = False
    currency: str = "руб"

    @classmethod
    def of(cls, version: str, encoding: str, bom: bool, container: bool, currency: str) -> FileForm:
        """Check the settings; SettingsRefused names the one that does not fit."""
        version, known = version.strip().replace(",", "."), ENCODINGS.get(encoding.strip().lower())
        if version not in VERSIONS:
            known_ones = ", ".join(VERSIONS)
            msg = f"Настройка «Заказы в 1С: версия CommerceML»: «{version[:20]}» не подходит. Есть: {known_ones}."
            raise SettingsRefused(msg)
        if known is None:
            msg = f"Настройка «Заказы в 1С: кодировка»: «{encoding[:20]}» не подходит. Есть: utf-8, windows-1251."
            raise SettingsRefused(msg)
        written = currency.strip()
        if not 1 <= len(written) <= 10 or not written.isprintable():
            msg = "Настройка «Заказы в 1С: валюта»: напишите её так, как она названа в 1С, например «руб» или «RUB»."
            raise SettingsRefused(msg)
        return cls(version, known, bom and known == "utf-8", container, written)


def file_name(pattern: str, number: int, at: datetime) -> str:
    """Return the name of a file by the setting: ``{date}``, ``{time}`` (Moscow) and ``{number}`` are filled in."""
    here = at.astimezone(OFFICE_ZONE)
    written = pattern.strip()
    if set(re.findall(r"\{([^{}]*)\}", written)) - _PLACES:
        written = ""
    for place, value in {"date": f"{here:%Y-%m-%d}", "time": f"{here:%H-%M-%S}", "number": str(number)}.items():
        written = written.replace(f"{{{place}}}", value)
    if not _FILE_NAME.fullmatch(written) or written.startswith(".") or not written.lower().endswith(".xml"):
        msg = (
            "Настройка «Заказы в 1С: имя файла»: латинские буквы, цифры, «-», «_», в конце .xml; можно вставить {date},"
            " {time}, {number}, например orders_{date}_{number}.xml."
        )
        raise SettingsRefused(msg)
    return written


def stages_from(written: str) -> dict[str, str]:
    """Read «Товары: Комплектация; Услуги: В работе»: from which stage of a direction an order goes to 1C."""
    found: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in re.split(r"[;\n]", written))):
        funnel, colon, stage = (one.strip() for one in part.partition(":"))
        if not colon or not funnel or not stage or funnel in found:
            msg = "Настройка «Заказы в 1С: с какой стадии» пишется так: «Товары: Комплектация; Услуги: В работе»."
            raise SettingsRefused(msg)
        found[funnel] = stage
    return found


_PREFIX = re.compile(r"[A-Za-zА-Яа-яЁё0-9/\-]{0,8}")


def order_number(prefix: str, deal_id: int) -> str:
    """Return the number of a deal's order; SettingsRefused for a prefix that a number cannot have."""
    if not _PREFIX.fullmatch(prefix.strip()):
        msg = "Настройка «Заказы в 1С: начало номера»: до 8 букв, цифр, «-» и «/», например «СД-»."
        raise SettingsRefused(msg)
    return f"{prefix.strip()}{deal_id}"


def number_in_1c(
    details: Mapping[str, Any], number: str | None, day: date | None, *, own: bool
) -> tuple[str | None, date | None]:
    """Return the number and day of an order in 1C as its document tells them.

    ``own``: the document carries our number, so that 1C's own one stands, if anywhere, in its requisites.
    """
    if not own:
        return number, day
    said = details.get("number_1c"), details.get("at_1c") or details.get("date_1c")
    requisites = details.get("requisites")
    if not said[0] and isinstance(requisites, Mapping):
        plain = {"".join(str(name).lower().split()): value for name, value in requisites.items()}
        said = plain.get("номерпо1с"), plain.get("датапо1с")
    found = normalise(str(said[0] or ""))
    if not found:
        return None, None
    try:
        at = parse_moment(str(said[1] or ""))
    except ValueRefused:
        at = None
    return found, at.astimezone(OFFICE_ZONE).date() if at else None


# --- what keeps an order back ---------------------------------------------------------------------


@dataclass(frozen=True)
class Lack:
    """What an order lacks: a code for programs, a sentence for people, where on the card it is put right."""

    code: str
    text: str
    place: str  # anchor of the deal's card

    def as_json(self) -> dict[str, str]:
        """Return it as the database keeps it."""
        return {"code": self.code, "text": self.text, "place": self.place}


def lacks(company: Mapping[str, Any] | None, lines: Sequence[Mapping[str, Any]]) -> list[Lack]:
    """Return everything that keeps an order from going to 1C; ``lines`` in order, ``company`` with kind, inn, kpp."""
    found: list[Lack] = []
    if company is None:
        found.append(Lack("no_company", "не указана компания", "company"))
    else:
        found += _lacks_of_company(company)
    if not lines:
        found.append(Lack("no_lines", "в сделке нет ни одной строки", "lines"))
    for place, one in enumerate(lines, 1):
        if one["vat"] is None:
            found.append(Lack("no_vat", f"в строке {place} «{_short(one['name'])}» не указана ставка НДС", "lines"))
    if lines and not any(Decimal(str(one["amount"])) for one in lines):
        found.append(Lack("no_sum", "сумма всех строк – ноль", "lines"))
    return found


def _lacks_of_company(company: Mapping[str, Any]) -> list[Lack]:
    name, inn, kind = _short(company["name"]), company.get("inn"), str(company["kind"])
    if not company.get("active", True):
        return [Lack("company_closed", f"компания «{name}» снята с учёта", "company")]
    if kind in ("legal", "sole") and not inn:
        return [Lack("no_inn", f"у компании «{name}» нет ИНН", "company")]
    if inn and (check_inn(inn).problem or len(inn) != LENGTHS[kind]):
        return [Lack("bad_inn", f"ИНН компании «{name}» с ошибкой", "company")]
    if company.get("kpp") and check_kpp(company["kpp"]).problem:
        return [Lack("bad_kpp", f"КПП компании «{name}» с ошибкой", "company")]
    return []


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:59]}…"
