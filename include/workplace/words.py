"""How stored values read in Russian."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from include.documents.rules import version_words
from include.shared.texts import roubles
from include.shared.working_time import in_words

TASK_STATES = {"open": "в работе", "done": "выполнена", "withdrawn": "снята", "replaced": "заменена"}
STEP_STATES = {
    "waiting": "ждёт",
    "done": "сделано",
    "skipped": "не понадобилось",
    "stopped": "снято",
    "marked": "отмечено администратором",
    "failed": "не выполнено",
    "ahead": "впереди",
}
ACTORS = {"process": "Процесс", "integration": "Обмен данными", "system": "Система"}


def local_moment(moment: datetime, time_zone: str) -> str:
    """Return «21.11.2026 14:05» in the zone of the case."""
    return f"{moment.astimezone(ZoneInfo(time_zone)):%d.%m.%Y %H:%M}"


def money(value: Decimal | None) -> str:
    """Return «1 234 567,89 ₽» with unbreakable spaces."""
    return "" if value is None else roubles(value)


def value_in_words(kind: str, value: Any, choices: Mapping[str, str], people: Mapping[int, str], time_zone: str) -> str:
    """Return a field's stored value as a person reads it; empty for an empty one."""
    if value is None or value == "":
        return ""
    if kind == "bool":
        return "да" if value else "нет"
    if kind == "choice":
        return choices.get(str(value), str(value))
    if kind == "person":
        return people.get(int(value), f"№ {value}")
    if kind == "money":
        return money(Decimal(str(value)))
    if kind == "file":
        return version_words(value)
    if kind in ("date", "datetime") and isinstance(value, str):
        if len(value) == 10:
            return f"{date.fromisoformat(value):%d.%m.%Y}"
        return local_moment(datetime.fromisoformat(value), time_zone)
    return str(value)


def setting_in_words(kind: str, value: Any) -> str:
    """Return a setting's value as a person reads it."""
    if kind == "term":
        return in_words(value)
    if kind == "switch":
        return "да" if value else "нет"
    return str(value)
