"""The working calendar of this company: Russia's with our own overrides from the database."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.shared.errors import InvalidInput
from include.shared.models import CalendarDay
from include.shared.texts import storable
from include.shared.work import Work
from include.shared.working_time import WorkCalendar

LONGEST_TITLE = 200


def load_calendar(session: Session) -> WorkCalendar:
    """Read the company's overrides into a calendar."""
    rows = session.execute(select(CalendarDay.day, CalendarDay.working))
    return WorkCalendar(dict(rows.all()))


def set_day(work: Work, day: date, working: bool, title: str) -> None:
    """Say that a day works or rests here, whatever the state's calendar says; waits in working time re-aim."""
    title = title.strip()
    if not title or len(title) > LONGEST_TITLE or not storable(title):
        msg = f"Напишите, почему этот день особый (до {LONGEST_TITLE} знаков)."
        raise InvalidInput(msg, "title")
    new = {"working": working, "title": title}
    row = insert(CalendarDay).values(day=day, **new)
    work.session.execute(row.on_conflict_do_update(index_elements=[CalendarDay.day], set_=new))
    said = f"{day:%d.%m.%Y} – {'рабочий' if working else 'нерабочий'} день: {title}"
    work.audit("calendar.changed", said, entity="calendar_day", after={"day": day, **new})
    aimed = text("SELECT DISTINCT case_id FROM step_state WHERE state = 'waiting' AND moment IS NOT NULL")
    for case_id in work.session.scalars(aimed):
        work.touch(case_id)
