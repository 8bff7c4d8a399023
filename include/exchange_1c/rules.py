"""Pure decisions about values in files of 1C: text, numbers, dates, units, VAT, marks of deletion, ИНН and КПП."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple
from zoneinfo import ZoneInfo

OFFICE_ZONE = ZoneInfo("Europe/Moscow")

MAX_ID = 255
MAX_NAME = 2_000
MAX_CODE = 255  # article, bar code
SEARCH_KEY = 200  # characters: a B-tree entry must stay under 2,704 bytes


class ValueRefused(ValueError):
    """The value cannot be understood; ``str(error)`` says in Russian what is wrong with it."""


class Vat(Enum):
    """Rates of VAT that 1C writes; the code is what we store."""

    NONE = "none"
    RATE_0 = "vat0"
    RATE_5 = "vat5"
    RATE_7 = "vat7"
    RATE_10 = "vat10"
    RATE_16 = "vat16"
    RATE_18 = "vat18"
    RATE_20 = "vat20"
    RATE_22 = "vat22"
    OF_5 = "vat105"
    OF_7 = "vat107"
    OF_10 = "vat110"
    OF_18 = "vat118"
    OF_20 = "vat120"
    OF_22 = "vat122"


class CompanyKind(Enum):
    """What a counterparty is: legal entity, sole trader (ИП), private person."""

    LEGAL = "legal"
    SOLE = "sole"
    PERSON = "person"


class DocumentKind(Enum):
    """What a document is by its ХозОперация; the value is what we store."""

    ORDER = "order"
    INVOICE = "invoice"
    PAYMENT = "payment"
    REFUND = "refund"
    SHIPMENT = "shipment"
    RETURN = "return"
    TAX_INVOICE = "tax_invoice"
    OTHER = "other"


class Checked(NamedTuple):
    """A value that passed (or None) and, when it did not, the Russian reason."""

    value: str | None
    problem: str | None


_SPACES = re.compile(r"[\s\u00a0\u2007\u202f\u200b\ufeff]+")
_INVISIBLE_SIGN = re.compile("[\x00\u200b\u2060\ufeff]")
_INVISIBLE = dict.fromkeys((0x00, 0x200B, 0x2060, 0xFEFF))
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]+);")


def normalise(text: str | None) -> str:
    """Return the text on one line without padding, NBSP and HTML entities; empty for None."""
    if not text:
        return ""
    # most values of a file of 100,000 goods are in order already; nothing printable is invisible, a tab or an NBSP
    if text.isprintable() and text[0] != " " != text[-1] and "  " not in text and "&" not in text:
        return text
    if "&" in text and _ENTITY.search(text):
        text = html.unescape(text)
    if not text.isascii() or "\x00" in text:
        text = text.translate(_INVISIBLE) if _INVISIBLE_SIGN.search(text) else text
    return " ".join(text.split())  # str.split knows NBSP and the narrow spaces too


_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")


def parse_number(text: str | None) -> Decimal | None:
    """Return the number (``1 234,50`` too) or None for an empty value; ValueRefused for anything else."""
    if text and len(text) <= 40 and text.isascii() and (text.isdigit() or text.replace(".", "", 1).isdigit()):
        return Decimal(text)  # as most numbers of a file of 100,000 prices are written
    plain = _SPACES.sub("", text or "").replace(",", ".").replace("\u2212", "-")
    if not plain:
        return None
    if len(plain) > 40 or not _NUMBER.fullmatch(plain) or not plain.isascii():
        msg = f"число не понято: «{(text or '')[:40]}»"
        raise ValueRefused(msg)
    return Decimal(plain)


_ISO = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,6})\d*)?)?)?"
    r"(Z|[+-]\d{2}:?\d{2})?"
)
_RUSSIAN = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d))?")  # 1C's own literal of a date
_NO_DATE = {"", "T", "Т"}
_YEARS = range(1900, 2200)  # a moment near the ends of the calendar cannot even be brought into another zone


def parse_moment(text: str | None, zone: tzinfo = OFFICE_ZONE) -> datetime | None:
    """Return an aware moment (``zone`` where the text names none), None for 1C's empty dates; else ValueRefused."""
    plain = normalise(text)
    if plain in _NO_DATE:
        return None
    try:
        if found := _ISO.fullmatch(plain):
            year, month, day, hour, minute, second, fraction, offset = found.groups()
            place = zone if offset is None else datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").tzinfo or UTC
            micro = int((fraction or "0").ljust(6, "0"))
            parts = (
                int(year),
                int(month),
                int(day),
                int(hour or 0),
                int(minute or 0),
                int(second or 0),
                micro,
            )
            return _moment(datetime(*parts, tzinfo=place))
        if found := _COMPACT.fullmatch(plain):
            year, month, day, *time = found.groups()
            hour, minute, second = (int(one or 0) for one in time)
            return _moment(datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=zone))
        if found := _RUSSIAN.fullmatch(plain):
            day, month, year, *time = found.groups()
            hour, minute, second = (int(one or 0) for one in time)
            return _moment(datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=zone))
    except ValueError:
        pass
    msg = f"дата не понята: «{plain[:40]}»"
    raise ValueRefused(msg)


def _moment(found: datetime) -> datetime | None:
    """Return the moment; None for 1C's empty date, which is the first of January of the year 1."""
    if found.year in _YEARS:
        return found
    if (found.year, found.month, found.day) == (1, 1, 1):
        return None
    raise ValueError(found.year)


def join_moment(day: str | None, clock: str | None, zone: tzinfo = OFFICE_ZONE) -> datetime | None:
    """Return the moment of a document's Дата and Время; the time in Дата itself wins, ValueRefused as above."""
    plain, time = normalise(day), normalise(clock).rpartition("T")[2].rpartition(" ")[2]
    if time and ":" not in plain and _COMPACT.fullmatch(plain):
        plain = f"{plain[:4]}-{plain[4:6]}-{plain[6:8]}"
    if plain not in _NO_DATE and time and ":" not in plain:
        plain = f"{plain}T{time}"
    return parse_moment(plain, zone)


_TRUE = {"true", "1", "да", "истина", "yes"}
_FALSE = {"false", "0", "нет", "ложь", "no", ""}


def parse_flag(text: str | None) -> bool | None:
    """Return a yes/no of 1C; None when it is absent or not understood."""
    if text is None:
        return None
    plain = normalise(text).lower()
    return True if plain in _TRUE else False if plain in _FALSE and plain else None


def is_deleted(status_attribute: str | None, status: str | None, mark: str | None, requisite: str | None) -> bool:
    """Say whether any of the four marks of deletion stands: attribute, element, ПометкаУдаления, реквизит."""
    for text in (status_attribute, status):
        if text and normalise(text).lower().replace("ё", "е") == "удален":
            return True
    return parse_flag(mark) is True or parse_flag(requisite) is True


_VAT_NONE = {"безндс", "безналога", "безналога(ндс)", "ндснеоблагается", "необлагается", "освобождается"}
_VAT_RATE = re.compile(r"(?:ндс)?(\d{1,2})(?:[.,]0+)?%?(?:/(1\d\d)(?:%)?)?")


@lru_cache(maxsize=1024)
def parse_vat(text: str | None) -> Vat | None:
    """Return the rate, None when the file states none; ValueRefused for a rate we do not know (never 0 %)."""
    plain = _SPACES.sub("", text or "").lower()
    if not plain:
        return None
    if plain in _VAT_NONE:
        return Vat.NONE
    if found := _VAT_RATE.fullmatch(plain):
        rate, base = int(found[1]), found[2]
        code = f"vat{rate}" if base is None else f"vat{base}" if int(base) == 100 + rate else ""
        if code in _VAT_CODES:
            return _VAT_CODES[code]
    msg = f"неизвестная ставка НДС «{normalise(text)[:40]}»"
    raise ValueRefused(msg)


_VAT_CODES: Mapping[str, Vat] = {one.value: one for one in Vat}

OKEI: Mapping[str, str] = {
    "003": "мм", "004": "см", "005": "дм", "006": "м", "008": "км", "018": "пог. м", "051": "см2", "053": "дм2",
    "055": "м2", "059": "га", "111": "мл", "112": "л", "113": "м3", "161": "мг", "163": "г", "166": "кг", "168": "т",
    "214": "кВт", "245": "кВт.ч", "354": "с", "355": "мин", "356": "ч", "359": "сут", "360": "нед", "362": "мес",
    "364": "кварт", "366": "год", "383": "руб", "539": "чел.ч", "540": "чел.дн", "616": "боб", "625": "лист",
    "642": "ед", "657": "изд", "704": "набор", "715": "пар", "728": "пач", "736": "рул", "744": "%", "778": "упак",
    "792": "чел", "796": "шт", "797": "сто шт", "798": "тыс. шт", "812": "ящ", "839": "компл", "868": "бут",
    "872": "флак", "876": "усл. ед", "879": "усл. шт", "881": "усл. банк", "908": "ном",
}  # fmt: skip
_UNIT_ALIASES: Mapping[str, str] = {
    "2009": "796",  # the Ukrainian classifier's piece, as УТ for Ukraine writes it
    "штука": "796", "штук": "796", "шт.": "796", "pce": "796", "килограмм": "166", "метр": "006", "литр": "112",
    "упаковка": "778", "уп": "778", "уп.": "778", "упак.": "778", "пара": "715", "пара (2 шт.)": "715", "пары": "715",
    "комплект": "839", "к-т": "839", "компл.": "839", "рулон": "736", "рул.": "736", "лист.": "625", "час": "356",
    "набор.": "704", "м.": "006", "м²": "055", "кв.м": "055", "кв. м": "055", "м³": "113", "куб.м": "113",
    "тонна": "168", "грамм": "163", "ящик": "812", "ящ.": "812", "пачка": "728", "услуга": "642", "единица": "642",
}  # fmt: skip
_BY_NAME: Mapping[str, str] = {name: code for code, name in OKEI.items()} | dict(_UNIT_ALIASES)


class Unit(NamedTuple):
    """A unit of measure: ОКЕИ code, short name, and a Russian remark when our table does not know it."""

    code: str | None
    name: str | None
    problem: str | None


@lru_cache(maxsize=1024)
def parse_unit(code: str, text: str, full_name: str) -> Unit:
    """Return the ОКЕИ unit of a padded code, of a code given as text, or of a name; an unknown one stays as given."""
    code, text, full_name = normalise(code), normalise(text), normalise(full_name)
    if not code and text.isascii() and text.isdigit():
        code, text = text, ""
    if code.isascii() and code.isdigit() and len(code) < 3:
        code = code.zfill(3)
    code = _UNIT_ALIASES.get(code, code)
    if code in OKEI:
        return Unit(code, OKEI[code], None)
    for name in (text.lower(), full_name.lower()):
        if name in _BY_NAME and (known := _BY_NAME[name]) in OKEI:
            return Unit(known, OKEI[known], None)
    name = (text or full_name or code)[:50]
    if not name:
        return Unit(None, None, "единица не указана")
    return Unit(code[:20] or None, name, f"единицы «{name}» нет в таблице ОКЕИ")


_INN_WEIGHTS = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)


def _inn_digit(digits: str, length: int) -> int:
    weights = _INN_WEIGHTS[-length:]
    return sum(int(one) * weight for one, weight in zip(digits, weights, strict=False)) % 11 % 10


def check_inn(text: str | None) -> Checked:
    """Check length and check digits of an ИНН (10 or 12, all zeros refused); an empty one is no problem."""
    plain = _SPACES.sub("", text or "")
    if not plain:
        return Checked(None, None)
    if not (plain.isascii() and plain.isdigit() and len(plain) in {10, 12}):
        return Checked(None, "ИНН не из 10 или 12 цифр")
    if not plain.strip("0"):
        return Checked(None, "ИНН из одних нулей")
    ends = [9] if len(plain) == 10 else [10, 11]
    if any(_inn_digit(plain[:end], end) != int(plain[end]) for end in ends):
        return Checked(None, "контрольная цифра ИНН не сходится")
    return Checked(plain, None)


def inn_with_check_digits(digits: str) -> str:
    """Return a whole ИНН for the first 9 (legal entity) or 10 digits; ValueRefused for any other length."""
    if not (digits.isascii() and digits.isdigit() and len(digits) in {9, 10}):
        msg = f"для ИНН нужно 9 или 10 цифр, а дано «{digits[:40]}»"
        raise ValueRefused(msg)
    for _ in range(len(digits) - 8):
        digits += str(_inn_digit(digits, len(digits)))
    return digits


_KPP = re.compile(r"\d{4}[\dA-Z]{2}\d{3}", re.ASCII)


def check_kpp(text: str | None) -> Checked:
    """Check the form of a КПП (nine signs, all zeros refused; it has no check digit); an empty one is no problem."""
    plain = _SPACES.sub("", text or "").upper()
    if not plain:
        return Checked(None, None)
    if not _KPP.fullmatch(plain) or not plain.strip("0"):
        return Checked(None, "КПП не похож на КПП (9 знаков)")
    return Checked(plain, None)


_ACCOUNT = re.compile(r"[0-9]{5}[0-9ABCEHKMPTX][0-9]{14}")
_BIK = re.compile(r"[0-9]{9}")


def account_problem(account: str, bik: str) -> str | None:
    """Return in Russian what is wrong with the form of a bank account and its БИК, or None."""
    if not _ACCOUNT.fullmatch(account):
        return "номер счёта не из 20 знаков"
    if bik and not _BIK.fullmatch(bik):
        return "БИК не из 9 цифр"
    return None


_SOLE = re.compile(r"(?:^|[\s,(])(?:ип|индивидуальный предприниматель)(?:[\s,.)]|$)")


def company_kind(official_name: str, full_name: str, name: str, inn: str | None, kpp: str | None) -> CompanyKind:
    """Tell a legal entity, an ИП and a person apart by the names and numbers that the file gives."""
    if official_name or kpp or (inn is not None and len(inn) == 10):
        return CompanyKind.LEGAL
    if (inn is not None and len(inn) == 12) or _SOLE.search(full_name.lower()) or _SOLE.search(name.lower()):
        return CompanyKind.SOLE
    return CompanyKind.PERSON


_DOCUMENT_KINDS: Mapping[str, DocumentKind] = {
    "заказтовара": DocumentKind.ORDER,
    "заказ": DocumentKind.ORDER,
    "заказпокупателя": DocumentKind.ORDER,
    "заказклиента": DocumentKind.ORDER,
    "счетнаоплату": DocumentKind.INVOICE,
    "счетнаоплатупокупателю": DocumentKind.INVOICE,
    "отпусктовара": DocumentKind.SHIPMENT,
    "реализациятоваров": DocumentKind.SHIPMENT,
    "реализациятоваровуслуг": DocumentKind.SHIPMENT,
    "реализациятоваровиуслуг": DocumentKind.SHIPMENT,
    "передачаправ": DocumentKind.SHIPMENT,
    "счетфактура": DocumentKind.TAX_INVOICE,
    "возврат": DocumentKind.RETURN,
    "возвраттовара": DocumentKind.RETURN,
    "возвраттоваровотклиента": DocumentKind.RETURN,
    "возвраткомиссионноготовара": DocumentKind.RETURN,
    "выплатаналичныхденег": DocumentKind.PAYMENT,
    "выплатабезналичныхденег": DocumentKind.PAYMENT,
    "эквайринговаяоперация": DocumentKind.PAYMENT,
    "оплата": DocumentKind.PAYMENT,
    "возвратналичныхденег": DocumentKind.REFUND,
    "возвратбезналичныхденег": DocumentKind.REFUND,
}


@lru_cache(maxsize=1024)
def document_kind(operation: str) -> DocumentKind:
    """Tell the kind of a document by its ХозОперация, however it is spaced and written."""
    plain = "".join(one for one in operation.lower().replace("ё", "е") if one.isalnum())
    return _DOCUMENT_KINDS.get(plain, DocumentKind.OTHER)


_CURRENCIES: Mapping[str, str] = {
    "руб": "RUB", "рубль": "RUB", "рублей": "RUB", "р": "RUB", "rur": "RUB", "643": "RUB", "810": "RUB", "₽": "RUB",
    "грн": "UAH", "980": "UAH", "доллар": "USD", "долл": "USD", "840": "USD", "$": "USD", "евро": "EUR",
    "978": "EUR", "€": "EUR", "тенге": "KZT", "тг": "KZT", "398": "KZT", "byr": "BYN", "933": "BYN", "974": "BYN",
}  # fmt: skip


@lru_cache(maxsize=1024)
def parse_currency(text: str | None) -> str | None:
    """Return the ISO code of a currency («руб.», 643 and RUR are RUB), the text itself when we do not know it."""
    plain = normalise(text)
    key = plain.lower().rstrip(".")
    return _CURRENCIES.get(key) or (plain.upper() if len(plain) == 3 else plain[:50]) or None


_ORDER = (
    "groups", "classifier", "properties", "pricelists", "storages", "units", "goods", "import", "offers", "prices",
    "rests", "contragents", "documents", "orders",
)  # fmt: skip
_DIGITS = re.compile(r"(\d+)")


def exchange_order(name: str) -> tuple[int, list[tuple[int, int, str]]]:
    """Return the place of a file in 1C's order: groups … goods … counterparties, documents; parts by number."""
    stem = PurePosixPath(name).name.lower()
    place = next((number for number, prefix in enumerate(_ORDER) if stem.startswith(prefix)), len(_ORDER))
    parts = [(0, int(one), "") if one.isdecimal() else (1, 0, one) for one in _DIGITS.split(name.lower()) if one]
    return place, parts


_LONG_DIGITS = re.compile(r"\d(?=\d{3})")
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+")


def mask(text: str) -> str:
    """Return the text without e-mails and with long numbers hidden but for their last three digits (152-ФЗ)."""
    return _LONG_DIGITS.sub("•", _EMAIL.sub("•@•", text))
