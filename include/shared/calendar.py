"""The working calendar of this company: Russia's with our own overrides from the database."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.shared.models import CalendarDay
from include.shared.working_time import WorkCalendar


def load_calendar(session: Session) -> WorkCalendar:
    """Read the company's overrides into a calendar."""
    rows = session.execute(select(CalendarDay.day, CalendarDay.working)).all()
    return WorkCalendar({day: working for day, working in rows})
