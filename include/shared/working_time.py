"""Terms and moments: calendar and working time, RF holidays with our overrides, local nine o'clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

DAY_STARTS = time(9, 0)
DAY_ENDS = time(18, 0)
WORKING_UNITS = frozenset({"working_days", "working_hours"})
Term = dict[str, int]  # exactly one unit: {"hours": 5}, {"working_days": 1} …


@lru_cache(maxsize=200)
def _working_days(year: int) -> frozenset[date]:
    """Return the days that work in a year; each year has a calendar of its own: a growing one is not thread-safe."""
    import holidays  # noqa: PLC0415 - heavy, and DAG files import this module for its types only

    calendar = holidays.country_holidays("RU", years=year, expand=False)
    first = date(year, 1, 1)
    length = (date(year + 1, 1, 1) - first).days
    days = (first + timedelta(days=number) for number in range(length))
    return frozenset(day for day in days if calendar.is_working_day(day))


@dataclass(frozen=True)
class WorkCalendar:
    """Which days work: the state's calendar of Russia with the company's own overrides on top."""

    overrides: dict[date, bool] = field(default_factory=dict)

    def is_working_day(self, day: date) -> bool:
        """Say whether people work on this day."""
        if day in self.overrides:
            return self.overrides[day]
        return day in _working_days(day.year)

    def add(self, start: datetime, term: Term, time_zone: str) -> datetime:
        """Return the aware UTC moment ``term`` after ``start``; a negative number counts backwards."""
        ((unit, amount),) = term.items()
        zone = ZoneInfo(time_zone)
        if unit in {"minutes", "hours"}:
            return start.astimezone(UTC) + timedelta(**{unit: amount})
        local = start.astimezone(zone)
        if unit == "days":
            return _localize(local.date() + timedelta(days=amount), local.time(), zone)
        if unit == "working_days":
            return _localize(self._shift_working_days(local.date(), amount), local.time(), zone)
        if unit == "working_hours":
            return self._add_working_hours(local, timedelta(hours=amount), zone)
        msg = f"Неизвестная единица срока: {unit}."
        raise ValueError(msg)

    def _shift_working_days(self, day: date, amount: int) -> date:
        step = timedelta(days=1 if amount >= 0 else -1)
        for _ in range(abs(amount)):
            day += step
            while not self.is_working_day(day):
                day += step
        return day

    def _add_working_hours(self, local: datetime, left: timedelta, zone: ZoneInfo) -> datetime:
        if left < timedelta(0):
            return self._subtract_working_hours(local, -left, zone)
        day = local.date()
        moment = local
        while True:
            opens = datetime.combine(day, DAY_STARTS, zone)
            closes = datetime.combine(day, DAY_ENDS, zone)
            if self.is_working_day(day) and moment < closes:
                moment = max(moment, opens)
                if moment + left <= closes:
                    return (moment + left).astimezone(UTC)
                left -= closes - moment
            day += timedelta(days=1)
            moment = datetime.combine(day, time(0), zone)

    def _subtract_working_hours(self, local: datetime, left: timedelta, zone: ZoneInfo) -> datetime:
        day = local.date()
        moment = local
        while True:
            opens = datetime.combine(day, DAY_STARTS, zone)
            closes = datetime.combine(day, DAY_ENDS, zone)
            if self.is_working_day(day) and moment > opens:
                moment = min(moment, closes)
                if moment - left >= opens:
                    return (moment - left).astimezone(UTC)
                left -= moment - opens
            moment = opens
            day -= timedelta(days=1)
            moment = datetime.combine(day, time(23, 59, 59), zone)


def _localize(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at.replace(tzinfo=None), zone).astimezone(UTC)


def moment_of(value: Any, time_zone: str) -> datetime | None:
    """Return the aware UTC moment of a field's value; a date without time means 09:00 local (AG-3)."""
    if value is None or value == "":
        return None
    zone = ZoneInfo(time_zone)
    if isinstance(value, str):
        value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
    if isinstance(value, date):
        return _localize(value, DAY_STARTS, zone)
    msg = f"Не дата: {value!r}"
    raise TypeError(msg)


def in_words(term: Term) -> str:
    """Return «5 ч», «1 раб. день» for a term."""
    ((unit, amount),) = term.items()
    names = {"minutes": "мин", "hours": "ч", "days": "дн.", "working_days": "раб. дн.", "working_hours": "раб. ч"}
    return f"{amount} {names[unit]}"
