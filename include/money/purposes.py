"""What a purpose of a payment says: the invoices it names, VAT, whether money is given back. Pure text, no I/O."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from include.exchange_1c.rules import ValueRefused, Vat, parse_vat
from include.shared.numbers import number_key

MOST_MENTIONS = 50


@dataclass(frozen=True, slots=True)
class Mention:
    """An invoice that a purpose names: its number as written, its key for comparing, its date where stated."""

    number: str
    number_key: str
    date: dt.date | None = None


@dataclass(frozen=True, slots=True)
class PurposeVat:
    """What a purpose says of VAT; ``rate`` is None when only the sum of the tax (roubles) is stated."""

    rate: Vat | None
    amount: Decimal | None


#: a purpose is read with Latin look-alikes as Cyrillic and in small letters, sign for sign: places stay the same
_SIGNS = {
    **{one: one.lower() for one in "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯABCDEFGHIJKLMNOPQRSTUVWXYZ"},
    **dict(zip("aceopxykmtbhACEOPXYKMTBHёЁ", "асеорхукмтвнасеорхукмтвнее", strict=True)),
    **dict.fromkeys("\u00a0\u2007\u202f\t\n\r", " "),
    **dict.fromkeys("–—−‑", "-"),
}
FOLD = str.maketrans(_SIGNS)

_MONTHS = ("янв", "фев", "мар", "апр", "ма", "июн", "июл", "авг", "сен", "окт", "ноя", "дек")
_DATE = (
    r"(?:(?<!\d)(?P<{0}day>\d{{1,2}})\s?[./-]\s?(?P<{0}month>\d{{1,2}})\s?[./-]\s?(?P<{0}year>\d{{4}}|\d{{2}})(?!\d)"
    r"|(?<!\d)(?P<{0}day2>\d{{1,2}})\s+(?P<{0}name>янв|фев|мар|апр|ма[йя]|июн|июл|авг|сен|окт|ноя|дек)[а-я]*\.?\s+"
    r"(?P<{0}year2>\d{{4}})(?!\d)"
    r"|(?<!\d)(?P<{0}year3>\d{{4}})[./-](?P<{0}month3>\d{{2}})[./-](?P<{0}day3>\d{{2}})(?!\d)"
    r")(?:\s?г(?:ода|\.|(?![а-я])))?"
)
_SIGN = r"(?:№\s*№?|(?<![а-яa-z])nо?[.º°]?\s?(?![а-яa-z])|#|(?<![а-яa-z])ном(?:ер[а-я]*|\.)|\?(?=\d))"
#: papers whose number is not an invoice's, and things that have numbers
_OTHER = (
    r"дог(?:овор|\.|(?![а-я]))|контракт|(?<![а-я])акт|упд|накл|торг|(?<![а-я])т?тн(?![а-я])|фактур|с/ф|с\.ф|сф(?![а-я])"
    r"|специф|соглаш|заказ|заяв|карт|лиц|письм|исполн|доверен|чек(?![а-я])|полис|смет|прилож|реестр|протокол|решен"
    r"|кбк|уин|инн|кпп|бик|р/с|л/с|помещ|офис|участ|объект|этаж|магазин|вагон|контейнер|автомоб|квитан|поручен|п/п"
)
_NOUN = re.compile(
    r"(?<![а-яa-z0-9])(?:счет(?:а(?:ми?|х)?|у|ом|е|ов)?|сч-т[а-я]{0,2}|сч|инвойс[а-я]{0,2}|invоiсе)(?![а-яa-z])"
)
_NOT_BEFORE = re.compile(
    r"(?:(?:расчетн|лиц(?:евой|евого|\.)|лицев|корр?(?:есп|\.|-)|карточн|банковск|спец|ссудн|депозитн|текущ|транзитн"
    r"|валютн|вклад)[а-я]*[\s.]*|(?<![а-я])[рлк]\s?[./\\-]\s?)$"
)
_INVOICE_TAX = re.compile(r"\s*[-/\\.,]?\s*(?:фак|ф[\s.,:№n/\\-]*(?=[\dа-я№n]|$))")
_AFTER_NOUN = re.compile(
    r"(?:\s?[-/]\s?(?:договор|дог|оферт|заказ|специф)[а-я]*\.?)?"
    r"(?:\.?\s*на\s+(?:(?:пред)?опл[а-я]*|аванс[а-я]*)\.?)?(?:\s+(?:покупател|клиент|заказчик)[а-я]*)?[\s.:(«\"']*"
)
_SIGNED = re.compile(rf"(?:\s*(?:от\s*)?{_DATE.format('first_')})?(?:(?!{_OTHER})[^№#?\d;]){{0,60}}?{_SIGN}[\s.:«\"']*")
_TOKEN = re.compile(r"[0-9a-zа-я](?:[0-9a-zа-я]|[-/\\_](?=[0-9a-zа-я])|\.(?=\d))*")
_PREFIX = re.compile(r"(?!от|на|за|по|ндс|без|и|в|с|к)[а-яa-z]{1,6}\s?-?\s?(?=\d)")
_CAPITALS = re.compile(r"[А-ЯЁA-Z]+\s?-?\s?$")
_GLUED = re.compile(r"(?<=\d)(?:от|г)?$")
_TAILED = re.compile(rf"(?<=[\dа-яa-z])[-/_]?(?:от)?({_DATE.format('tail_')})$")
_DATED = re.compile(rf"[\s,»\"']*\(?\s*(?:от\s*|dd\s*)?{_DATE.format('')}\s*\)?")
_NEXT_SIGNED = re.compile(rf"\s*(?:[,;/+&]|и(?![а-я]))?\s*{_SIGN}[\s.:]*")
_NEXT_BARE = re.compile(r"\s*(?:[,;+&]|(?<=\s)и(?![а-я]))\s*(?=[0-9а-яa-z])")
_BARE_ENDS = re.compile(r"\s*(?:$|[,;.)»\"]|и(?![а-я])|от|на\s|в\s|за\s|по\s|сумм|без|ндс|nds)")
_MEASURED = re.compile(
    r"\s*(?:%|₽|руб|коп|шт|кг|год|мес|дн|час|чел|этап|ком|проц|г\.|(?:р|г|м|ед|тн?)(?![а-я])|\d{3}(?!\d))"
)
_MONEY = re.compile(r"\d+(?:\.\d{2}|-\d{2})(?![\d.])|\d{3,},\d{2}(?!\d)")
_SUMMED = re.compile(r"\s*на\s+(?:сумму\s+)?\d[\d ]*(?:[.,=-]\d{2})?(?!\d)(?:\s?(?:руб[а-я]*|р(?![а-я]))\.?)?")
_DAY = re.compile(_DATE.format("") + r"$")
_FIRST = re.compile(rf"\s*(?:{_SIGN})?[\s.:]*")
_HUGE = re.compile(r"\d{16}")


def invoice_mentions(purpose: str) -> tuple[Mention, ...]:
    """Return the invoices that a purpose names, in its order; numbers of договоры, акты, УПД and others are not taken.

    At most ``MOST_MENTIONS``; lists («счетам № 15, 16 и 17 от …») give one each, the date counts for those before it.
    """
    plain = purpose.translate(FOLD)
    found: dict[str, Mention] = {}
    for noun in _NOUN.finditer(plain):
        if _NOT_BEFORE.search(plain, max(0, noun.start() - 24), noun.start()) or _INVOICE_TAX.match(plain, noun.end()):
            continue
        for one in _after(purpose, plain, noun.end()):
            known = found.get(one.number_key)
            if known is None or known.date is None:
                found[one.number_key] = one
        if len(found) >= MOST_MENTIONS:
            break
    return tuple(found.values())[:MOST_MENTIONS]


def listed_numbers(text: str, date: dt.date | None = None) -> tuple[Mention, ...]:
    """Return the invoices that a cell names («15», «15, УТ-16», «счёт № 15 от 21.11.2026»); ``date`` fills what lacks.

    At most ``MOST_MENTIONS``.
    """
    named = invoice_mentions(text)
    if not named:
        plain = text.translate(FOLD)
        start = _FIRST.match(plain)
        named = tuple(_read(text, plain, start.end() if start else 0, signed=True, strict=False))
    return tuple(Mention(one.number, one.number_key, one.date or date) for one in named[:MOST_MENTIONS])


def _after(purpose: str, plain: str, place: int) -> Iterator[Mention]:
    qualified = _AFTER_NOUN.match(plain, place)
    end = qualified.end() if qualified else place
    signed = _SIGNED.match(plain, end)
    if signed is not None:
        yield from _read(purpose, plain, signed.end(), signed=True, first=_day_of(signed, "first_"))
    else:
        yield from _read(purpose, plain, end, signed=False)


def _read(
    purpose: str, plain: str, place: int, *, signed: bool, first: dt.date | None = None, strict: bool = True
) -> list[Mention]:
    """Read numbers from a place on: each after a sign of its own, or bare in a list, a date after one or several."""
    numbers: list[tuple[str, dt.date | None]] = []
    undated = 0
    while len(numbers) < MOST_MENTIONS:
        taken = _number(purpose, plain, place, signed=signed, strict=strict, listed=bool(numbers))
        if taken is None:
            break
        end, after, date = taken
        numbers.append((purpose[place:end], date or first))
        place = after
        if date is None and (dated := _DATED.match(plain, place)) is not None and (day := _day_of(dated, "")):
            numbers[undated:] = [(number, known or day) for number, known in numbers[undated:]]
            place = dated.end()
            undated = len(numbers)
        elif date is not None:
            undated = len(numbers)
        if summed := _SUMMED.match(plain, place):
            place = summed.end()
        if following := _NEXT_SIGNED.match(plain, place):
            signed = True
        elif following := _NEXT_BARE.match(plain, place):
            signed = False
        else:
            break
        place = following.end()
    return [Mention(number, number_key(number), date) for number, date in numbers if number_key(number)]


def _number(
    purpose: str, plain: str, place: int, *, signed: bool, strict: bool, listed: bool
) -> tuple[int, int, dt.date | None] | None:
    """Return where the number at a place ends, where reading goes on, and a date glued to it; None when none is."""
    prefix = _PREFIX.match(plain, place)
    if prefix is not None and not signed and not _CAPITALS.match(purpose, place, prefix.end()):
        prefix = None
    token = _TOKEN.match(plain, prefix.end() if prefix else place)
    if token is None:
        return None
    end = after = token.end()
    date = None
    said = plain[place:end]
    if _DAY.match(said):
        return None
    if (tail := _TAILED.search(said)) is not None and (date := _day_of(tail, "tail_")) is not None:
        end = place + tail.start()
    elif (glued := _GLUED.search(said)) is not None and glued.group():
        end = after = place + glued.start()
    number = plain[place:end]
    if not any(one.isdigit() for one in number) or _HUGE.search(number) or len(number) > 40:
        return None
    if re.match(_OTHER, number):
        return None
    if not signed and strict:
        if _MEASURED.match(plain, end) or _is_year(plain, place, end):
            return None
        if listed and (_MONEY.fullmatch(number) or _MONEY.match(plain, place) or not _BARE_ENDS.match(plain, after)):
            return None
    return end, after, date


def _is_year(plain: str, start: int, end: int) -> bool:
    """Say whether a bare number is a year of four digits with «г» behind it."""
    return end - start == 4 and plain[end : end + 1] == "г"


def _day_of(found: re.Match[str], prefix: str) -> dt.date | None:
    said = found.groupdict()
    day, month, year = (said[f"{prefix}{part}"] for part in ("day", "month", "year"))
    if name := said[f"{prefix}name"]:
        day, year = said[f"{prefix}day2"], said[f"{prefix}year2"]
        month = str(next(number for number, start in enumerate(_MONTHS, 1) if name.startswith(start)))
    elif said[f"{prefix}day3"]:
        day, month, year = (said[f"{prefix}{part}3"] for part in ("day", "month", "year"))
    if not (day and month and year):
        return None
    try:
        return dt.date(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day))
    except ValueError:
        return None


_NO_VAT = re.compile(r"без\s*(?:налога\s*)?\(?\s*ндс|без\s+налога|ндс\s*-?\s*не(?:т|\s)|не\s+облага[а-я]*\s+ндс")
_VAT = re.compile(
    r"(?:ндс|nds)\s*[-:(]*\s*(?:(?P<rate>\d{1,2}(?:[.,]0+)?)\s*(?:%|проц[а-я]*\.?)(?:\s*/\s*1\d\d\s*%?)?\s*\)?)?"
    r"\s*(?:[-:=]|в\s+сумме|составляет)*\s*(?P<sum>\d{1,3}(?:\s\d{3})+(?:[.,=-]\d{2})?(?!\d)|\d+(?:[.,=-]\d{2})?(?!\d|%|\s*проц))?"
)


def purpose_vat(purpose: str) -> PurposeVat | None:
    """Return what a purpose says of VAT («в т.ч. НДС 18% - 3 416.95», «Без НДС»); None when it says nothing."""
    plain = purpose.translate(FOLD)
    if _NO_VAT.search(plain):
        return PurposeVat(Vat.NONE, None)
    for found in _VAT.finditer(plain):
        rate, tax = found["rate"], found["sum"]
        if rate is None and tax is None:
            continue
        try:
            known = parse_vat(rate)
        except ValueRefused:
            known = None
        whole = re.sub(r"[\s]", "", tax or "")
        amount = Decimal(re.sub(r"[,=-]", ".", whole)) if whole else None
        if known is not None or amount is not None:
            return PurposeVat(known, amount)
    return None


_RETURN = re.compile(r"(?<![а-я])возвра(?:т(?!н)|щ)[а-я]*|(?:ошибочно|излишне)\s+(?:пере|за|о|у|по)[а-я]+")
_NO_CLIENT = re.compile(
    r"возвра[а-я]+\s+(?:[а-я]+\s+){0,3}(?:займ|заем|ссуд|кредит|депозит|вклад|подотч|налог|ндс|госпош|процент)"
)


def is_refund(purpose: str) -> bool:
    """Say whether a purpose speaks of money given back («Возврат … по счёту № 15»), loans and taxes left out."""
    plain = purpose.translate(FOLD)
    return _RETURN.search(plain) is not None and _NO_CLIENT.search(plain) is None
