"""The history of a case or of one thing, newest first, read from the audit."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from include.shared.models import Audit
from include.staff.models import Person
from include.workplace.shapes import HistoryRow
from include.workplace.words import ACTORS

PER_PAGE = 50


def of_case(
    session: Session, case_id: int, *, before_id: int | None = None, limit: int = PER_PAGE
) -> tuple[list[HistoryRow], int | None]:
    """Return a page of the case's history and the ``before_id`` of the next page, None on the last one."""
    condition = Audit.case_id == case_id
    if before_id is not None:
        condition = condition & (Audit.id < before_id)
    rows = _rows(session, condition, limit + 1)
    more = rows[limit - 1].id if len(rows) > limit else None
    return rows[:limit], more


def of_entity(session: Session, entity: str, entity_id: int, *, limit: int = PER_PAGE) -> list[HistoryRow]:
    """Return the newest history of one thing, e.g. a task."""
    return _rows(session, (Audit.entity == entity) & (Audit.entity_id == entity_id), limit)


def _rows(session: Session, condition: ColumnElement[bool], limit: int) -> list[HistoryRow]:
    statement = (
        select(Audit, Person)
        .outerjoin(Person, Person.id == Audit.actor_id)
        .where(condition)
        .order_by(Audit.id.desc())
        .limit(limit)
    )
    return [
        HistoryRow(
            id=one.id,
            at=one.at,
            who=person.short_name if person is not None else ACTORS.get(one.actor_kind, one.actor_kind),
            action=one.action,
            text=one.text,
            reason=one.reason,
            before=one.before,
            after=one.after,
        )
        for one, person in session.execute(statement)
    ]
