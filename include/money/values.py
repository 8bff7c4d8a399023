"""Values of statements and sheets in every form met: sums, dates, times, names of payers, ИНН. Pure, no I/O."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from include.exchange_1c.rules import ValueRefused, check_inn, normalise
from include.money.rules import is_persons_account

EARLIEST, LATEST = dt.date(1992, 1, 1), dt.date(2100, 1, 1)
LARGEST = Decimal(10) ** 13  # roubles: what a column of money holds, with room for sums
LONGEST_NAME = 500
_KOPECKS = Decimal("0.01")

_PLAIN_SUM = re.compile(r"-?\d{1,13}(?:\.\d{1,2})?", re.ASCII)
_LOOSE_SUM = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>\d+(?:[.,]\d{3})*|(?=[.,]\d))(?:(?P<point>[.,=-])(?P<part>\d+))?", re.ASCII
)
_BETWEEN = re.compile(r"[\s\u00a0\u2007\u202f\u2009'’`_]")
_CURRENCY = re.compile(r"(?:руб(?:лей|ля|ль|\.)?|р\.?|₽|rub|rur)$", re.IGNORECASE)


def parse_amount(text: str | None) -> Decimal | None:
    """Return roubles (``50 000,50``, ``1.234,56``, ``175000-00``), None for an empty text; else ValueRefused."""
    said = (text or "").strip()
    if not said:
        return None
    if _PLAIN_SUM.fullmatch(said):
        return Decimal(said)
    plain = _CURRENCY.sub("", _BETWEEN.sub("", said.replace("−", "-").replace("–", "-")))
    found = _LOOSE_SUM.fullmatch(plain) if len(plain) <= 40 else None
    if found is None or not any(one.isdigit() for one in plain):
        msg = f"сумма не понята: «{said[:40]}»"
        raise ValueRefused(msg)
    whole, point, part = found["whole"], found["point"], found["part"] or ""
    grouped = "." in whole or "," in whole
    if grouped and (not point or point in whole):  # 1,234,567 or 1.234.567: groups; 1,234 alone could be either
        if point is None and len(re.findall(r"[.,]", whole)) == 1:
            msg = f"сумма понимается двояко: «{said[:40]}» – запишите её без разделителя тысяч"
            raise ValueRefused(msg)
        if point:
            msg = f"сумма не понята: «{said[:40]}»"
            raise ValueRefused(msg)
    amount = Decimal(f"{found['sign']}{re.sub(r'[.,]', '', whole) or '0'}.{part or '0'}")
    if amount != amount.quantize(_KOPECKS) or abs(amount) >= LARGEST:
        msg = f"сумма точнее копейки или слишком велика: «{said[:40]}»"
        raise ValueRefused(msg)
    return amount.quantize(_KOPECKS) if part else amount


_NO_DATE = {"", "0", "00.00.0000", "01.01.0001", "0001-01-01", "..", ". .", "-"}
_CLOCK = r"(?:[T\s]+\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_DAY_FIRST = re.compile(rf"(\d{{1,2}})[./-](\d{{1,2}})[./-](\d{{4}}|\d{{2}})(?:\s?г\.?)?{_CLOCK}", re.ASCII)
_YEAR_FIRST = re.compile(rf"(\d{{4}})[./-](\d{{1,2}})[./-](\d{{1,2}}){_CLOCK}", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)


@lru_cache(maxsize=4096)
def parse_day(text: str) -> dt.date | None:
    """Return a date in any form met (``21.11.2026``, ``2026-11-21``, ``21/11/26``, with a time too), None for none.

    ValueRefused for anything else and for years that no payment has.
    """
    said = text.strip()
    if said in _NO_DATE or not said.strip(" .0:-/T"):
        return None
    try:
        if found := _DAY_FIRST.fullmatch(said):
            year = int(found[3])
            day = dt.date(year + 2000 if len(found[3]) == 2 else year, int(found[2]), int(found[1]))
        elif found := _YEAR_FIRST.fullmatch(said) or _COMPACT.fullmatch(said):
            day = dt.date(int(found[1]), int(found[2]), int(found[3]))
        else:
            day = dt.date.min
    except ValueError:
        day = dt.date.min
    if day == dt.date(1, 1, 1) and said.startswith(("01.01.0001", "0001-01-01")):
        return None
    if not EARLIEST <= day < LATEST:
        msg = f"дата не понята: «{said[:40]}»"
        raise ValueRefused(msg)
    return day


_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)


def parse_time(text: str) -> dt.time | None:
    """Return a time of day, None for none; ValueRefused for anything else."""
    said = text.strip()
    if not said:
        return None
    found = _TIME.fullmatch(said)
    try:
        if found:
            return dt.time(int(found[1]), int(found[2]), int(found[3] or 0))
    except ValueError:
        pass
    msg = f"время не понято: «{said[:40]}»"
    raise ValueRefused(msg)


class NamedParty(NamedTuple):
    """A name without what banks glue to it, and the ИНН that stood in it (digits as written, or None)."""

    name: str
    inn: str | None


_BEFORE_NAME = re.compile(
    r"\s*(?:ИНН\s*[:№]?\s*)?(?P<inn>\d{10}(?:\d{2,3})?)(?!\d)\s*(?:[\\/]\s*(?:КПП\s*)?\d{9})?(?:\s*,?\s*КПП\s*:?\s*\d{9})?"
    r"[\s,;:.\\/-]*",
    re.IGNORECASE | re.ASCII,
)


def party_name(said: str, first_line: str = "") -> NamedParty:
    """Return the name of a payer without the ИНН before it («ИНН 6672307097 ООО …», «7777777777, ООО …»).

    ``first_line`` (Плательщик1) is used when ``said`` is empty. «Иванов Иван//г. Москва//» gives the person alone.
    """
    text = normalise(said) or normalise(first_line)
    inn = None
    if found := _BEFORE_NAME.match(text):
        inn, text = found["inn"], text[found.end() :]
        text = text or normalise(first_line)
    if "//" in text:
        parts = [one.strip() for one in text.split("//") if one.strip()]
        person = parts[1:2] if parts and "банк" in parts[0].lower() else parts[:1]
        text = (person or parts[:1] or [""])[0]
    return NamedParty(text[:LONGEST_NAME], inn)


class PartyInn(NamedTuple):
    """A party's own ИНН, or why it is not taken: ``kind`` bank (the bank's own), foreign (КИО), wrong with words."""

    inn: str | None
    kind: str | None = None
    problem: str | None = None


_checked_inn = lru_cache(maxsize=4096)(check_inn)  # a file of a million payments has some thousands of parties
_BUSINESS = re.compile(r"40[5-8]")


def party_inn(said: str, account: str | None, name: str) -> PartyInn:
    """Return the ИНН of a party when it is its own: beside a private person's account banks write theirs."""
    digits = re.sub(r"\D", "", re.split(r"[\\/,;]", said, maxsplit=1)[0])
    if not digits.strip("0") and not said.strip(" 0-/"):
        return PartyInn(None)
    banks = is_persons_account(account) or ("//" in name and not _BUSINESS.match(account or ""))
    if banks and len(digits) == 10:
        return PartyInn(None, "bank")
    if len(digits) == 5:
        return PartyInn(None, "foreign")
    checked = _checked_inn(digits)
    if checked.problem or checked.value is None:
        return PartyInn(None, "wrong", checked.problem or "ИНН не из цифр")
    return PartyInn(checked.value)
