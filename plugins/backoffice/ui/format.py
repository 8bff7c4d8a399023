"""How dates, sums, terms and other values are written on the pages; pure, no database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from include.documents.rules import version_words
from include.ops.machine import size_in_words

OFFICE_ZONE = "Europe/Moscow"
NBSP = "\u00a0"
DASH = "—"
MONTHS = (
    "января", "февраля", "марта", "апреля", "мая", "июня",
    "июля", "августа", "сентября", "октября", "ноября", "декабря",
)  # fmt: skip
WEEKDAYS = ("понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье")
WEB_ADDRESS = re.compile(r"\bhttps?://[^\s<>\"']+", re.IGNORECASE)
UNIT_WORDS = {
    "minutes": ("минута", "минуты", "минут"),
    "hours": ("час", "часа", "часов"),
    "days": ("календарный день", "календарных дня", "календарных дней"),
    "working_days": ("рабочий день", "рабочих дня", "рабочих дней"),
    "working_hours": ("рабочий час", "рабочих часа", "рабочих часов"),
}
UNIT_TITLES = {
    "minutes": "минут",
    "hours": "часов",
    "days": "календарных дней",
    "working_days": "рабочих дней",
    "working_hours": "рабочих часов",
}


def plural(number: int, one: str, few: str, many: str) -> str:
    """Return the word form for a number: 1 день, 2 дня, 5 дней."""
    tens, units = abs(number) % 100, abs(number) % 10
    if 11 <= tens <= 14 or units == 0 or units >= 5:
        return many
    return one if units == 1 else few


def count(number: int, one: str, few: str, many: str) -> str:
    """Return «5 задач»."""
    return f"{number}{NBSP}{plural(number, one, few, many)}"


def local(value: Any, zone: str = OFFICE_ZONE) -> Any:
    """Return a moment in the office zone; ISO text is read, a bare date stays a date, anything else as it is."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=ZoneInfo(zone))
        return aware.astimezone(ZoneInfo(zone))
    return value


def day(value: Any, zone: str = OFFICE_ZONE) -> str:
    """Return «21.11.2026»."""
    here = local(value, zone)
    return here.strftime("%d.%m.%Y") if isinstance(here, date) else _as_text(here)


def clock(value: Any, zone: str = OFFICE_ZONE) -> str:
    """Return «14:05»."""
    here = local(value, zone)
    return here.strftime("%H:%M") if isinstance(here, datetime) else ""


def moment(value: Any, zone: str = OFFICE_ZONE) -> str:
    """Return «21.11.2026 14:05», or the date alone when there is no time."""
    here = local(value, zone)
    if isinstance(here, datetime):
        return f"{here:%d.%m.%Y}{NBSP}{here:%H:%M}"
    return day(here, zone)


def long_day(value: Any, zone: str = OFFICE_ZONE) -> str:
    """Return «суббота, 21 ноября»."""
    here = local(value, zone)
    if not isinstance(here, date):
        return _as_text(here)
    return f"{WEEKDAYS[here.weekday()]}, {here.day}{NBSP}{MONTHS[here.month - 1]}"


def when(value: Any, now: datetime, zone: str = OFFICE_ZONE) -> str:
    """Return «сегодня в 14:05», «завтра в 09:00», «вчера в 18:00», else the full date and time."""
    here = local(value, zone)
    if not isinstance(here, datetime):
        return day(here, zone)
    distance = (here.date() - now.astimezone(ZoneInfo(zone)).date()).days
    near = {-1: "вчера", 0: "сегодня", 1: "завтра"}.get(distance)
    return f"{near} в{NBSP}{here:%H:%M}" if near else moment(here, zone)


def span(length: timedelta) -> str:
    """Return a length of time in words that suit its size: «40 мин», «5 ч», «2 дн.»."""
    minutes = int(abs(length).total_seconds() // 60)
    if minutes < 60:
        return f"{max(minutes, 1)}{NBSP}мин"
    if minutes < 48 * 60:
        return f"{minutes // 60}{NBSP}ч"
    return f"{minutes // (24 * 60)}{NBSP}дн."


def left(value: Any, now: datetime, zone: str = OFFICE_ZONE) -> str:
    """Return «осталось 3 ч» or «просрочено на 2 дн.»; empty when there is no moment."""
    here = local(value, zone)
    if not isinstance(here, datetime):
        return ""
    distance = here - now
    return f"осталось {span(distance)}" if distance > timedelta(0) else f"просрочено на{NBSP}{span(distance)}"


def ago(value: Any, now: datetime) -> str:
    """Return how long something has lasted: «меньше дня», «3 дня»."""
    if not isinstance(value, datetime):
        return ""
    days = max((now - value).days, 0)
    return "меньше дня" if days == 0 else count(days, "день", "дня", "дней")


def money(value: Any) -> str:
    """Return «1 234 567,89 ₽» with non-breaking spaces; a dash for no sum."""
    if value in (None, ""):
        return DASH
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return _as_text(value)
    if not amount.is_finite():
        return DASH
    return f"{amount:,.2f}".replace(",", NBSP).replace(".", ",") + f"{NBSP}₽"


def money_short(value: Any) -> str:
    """Return a sum for narrow places: whole roubles without kopecks («1 234 567 ₽»)."""
    return money(value).replace(",00", "")


def sum_input(value: Any) -> str:
    """Return a sum as a person types it: «1 234 567,89»; empty for none, unreadable text stays as typed."""
    if value in (None, ""):
        return ""
    said = money(value)
    return said.removesuffix(f"{NBSP}₽") if said.endswith("₽") else str(value)


def term(value: Any) -> str:
    """Return a term in words: {"working_days": 1} → «1 рабочий день»."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return _as_text(value)
    ((unit, number),) = value.items()
    words = UNIT_WORDS.get(str(unit))
    return count(int(number), *words) if words and isinstance(number, int) else _as_text(value)


def phone(value: str | None) -> str:
    """Return «+7 (928) 787-21-65, доб. 123»; a number of another make stays as written."""
    if not value:
        return DASH
    main, _, extension = value.replace("доб.", ",").partition(",")
    digits = "".join(one for one in main if one.isdigit())
    if len(digits) == 11 and digits[0] in "78":
        main = f"+7{NBSP}({digits[1:4]}){NBSP}{digits[4:7]}-{digits[7:9]}-{digits[9:]}"
    inner = extension.strip()
    return f"{main.strip()}, доб.{NBSP}{inner}" if inner else main.strip()


def setting_value(value: Any, kind: str) -> str:
    """Return the value of a setting in words."""
    if kind == "term":
        return term(value)
    if kind == "switch":
        return "включено" if value else "выключено"
    return _as_text(value)


def field_value(value: Any, kind: str, choices: Mapping[str, str] | None = None, zone: str = OFFICE_ZONE) -> str:
    """Return a value of a deal field as a person reads it."""
    if value in (None, ""):
        return DASH
    if kind == "bool":
        return "да" if value is True or value == "true" else "нет"
    if kind in ("date", "datetime"):
        return moment(value, zone)
    if kind == "money":
        return money(value)
    if kind == "choice":
        return str((choices or {}).get(str(value), value))
    return version_words(value) or _as_text(value)


def input_value(value: Any, kind: str, zone: str = OFFICE_ZONE) -> str:
    """Return a value in the form that an HTML input of its kind takes."""
    if value is None:
        return ""
    if kind == "bool":
        return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    if kind == "money":
        return sum_input(value)
    here = local(value, zone) if kind in ("date", "datetime") else value
    if kind == "datetime" and isinstance(here, datetime):
        return here.strftime("%Y-%m-%dT%H:%M")
    if kind == "datetime" and isinstance(here, date):
        return f"{here.isoformat()}T09:00"
    if kind == "date" and isinstance(here, date):
        return here.strftime("%Y-%m-%d")
    return str(value)


def initials(name: str) -> str:
    """Return «ПА» for «Паздников А. С.»."""
    words = [word for word in name.replace(".", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "?"


def is_past(value: Any, now: datetime) -> bool:
    """Say whether a moment lies behind."""
    return isinstance(value, datetime) and value.astimezone(UTC) <= now.astimezone(UTC)


def linked(text: str) -> Markup:
    """Return a person's text as it was written, with web addresses to click; nothing else of it is HTML."""
    said, at = Markup(), 0
    for found in WEB_ADDRESS.finditer(text):
        link = found.group().rstrip(".,;:!?)»”\"'")
        said += text[at : found.start()] + Markup(
            '<a href="{0}" target="_blank" rel="noopener noreferrer nofollow">{0}</a>'
        ).format(link)
        at = found.start() + len(link)
    return said + text[at:]


def _as_text(value: Any) -> str:
    return DASH if value in (None, "") else str(value)


FILTERS = {
    "bytes": size_in_words,
    "day": day, "clock": clock, "moment": moment, "long_day": long_day, "when": when, "left": left, "ago": ago,
    "money": money, "money_short": money_short, "sum_input": sum_input, "term": term, "phone": phone,
    "setting_value": setting_value, "field_value": field_value, "input_value": input_value, "initials": initials,
    "is_past": is_past, "count": count, "plural": plural, "linked": linked,
}  # fmt: skip
