"""The working calendar of this company: Russia's with our own overrides from the database."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from include.shared.db import query_text
from include.shared.errors import InvalidInput, NotFound
from include.shared.models import CalendarDay
from include.shared.reference_event import reference_changed
from include.shared.texts import storable
from include.shared.work import Work
from include.shared.working_time import WorkCalendar

LONGEST_TITLE = 200
FIRST_YEAR, LAST_YEAR = 2000, 2100


def load_calendar(session: Session) -> WorkCalendar:
    """Read the company's overrides into a calendar."""
    rows = session.execute(select(CalendarDay.day, CalendarDay.working))
    return WorkCalendar(dict(rows.all()))


def add_day(work: Work, day: date, working: bool, title: str) -> CalendarDay:
    """Say for the first time that a day works or rests here; InvalidInput for one that is in the list already."""
    if work.session.get(CalendarDay, day) is not None:
        msg = f"{day:%d.%m.%Y} уже есть в календаре: исправьте ту запись."
        raise InvalidInput(msg, "day")
    return set_day(work, day, working, title)


def set_day(work: Work, day: date, working: bool, title: str) -> CalendarDay:
    """Say that a day works or rests here, whatever the state's calendar says; waits in working time re-aim."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        msg = f"Год – от {FIRST_YEAR} до {LAST_YEAR}."
        raise InvalidInput(msg, "day")
    title = title.strip()
    if not title or len(title) > LONGEST_TITLE or not storable(title):
        msg = f"Напишите, почему этот день особый (до {LONGEST_TITLE} знаков)."
        raise InvalidInput(msg, "title")
    row = work.session.get(CalendarDay, day, with_for_update=True, populate_existing=True)
    before = None if row is None else _values(row)
    if row is None:
        row = CalendarDay(day=day, working=working, title=title)
        work.session.add(row)
    row.working, row.title = working, title
    if before != _values(row):
        said = f"{day:%d.%m.%Y} – {'рабочий' if working else 'нерабочий'} день: {title}"
        _changed(work, day, said, before, _values(row))
    return row


def remove_day(work: Work, day: date) -> None:
    """Let the state's calendar decide about a day again; waits in working time re-aim."""
    row = work.session.get(CalendarDay, day, with_for_update=True)
    if row is None:
        msg = f"{day:%d.%m.%Y} нет в календаре компании."
        raise NotFound(msg)
    before = _values(row)
    work.session.delete(row)
    _changed(work, day, f"{day:%d.%m.%Y} – снова по производственному календарю", before, None)


def _values(row: CalendarDay) -> dict[str, Any]:
    return {"day": row.day, "working": row.working, "title": row.title}


def _changed(work: Work, day: date, said: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    work.session.flush()
    work.audit("calendar.changed", said, entity="calendar_day", before=before, after=after)
    reference_changed(work, "calendar_day", day.isoformat())
    work.touched.update(work.session.scalars(text(query_text("process/cases_in_working_time"))))
