"""Notices: recorded once per key, read by their person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Text, cast, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.notices.models import Notice
from include.shared.work import Work
from include.staff.models import Person
from include.staff.stand_in import stand_ins


def notify(
    work: Work,
    people: Iterable[int],
    text: str,
    *,
    key: str,
    case_id: int | None = None,
    task_id: int | None = None,
    approval_id: int | None = None,
) -> list[int]:
    """Record one notice per active person; a repeated key is joined, not doubled. Returns whom it told now.

    Whoever acts for somebody away is told as well, with the name of whom he acts for.
    """
    wanted = list(dict.fromkeys(people))
    if not wanted or work.silent:
        return []
    rows = select(
        literal(f"{key}/").concat(cast(Person.id, Text)),
        Person.id,
        literal(text),
        literal(case_id, BigInteger),
        literal(task_id, BigInteger),
        literal(approval_id, BigInteger),
        literal(work.now, DateTime(timezone=True)),
    ).where(Person.id.in_(wanted), Person.active)
    columns = ["key", "person_id", "text", "case_id", "task_id", "approval_id", "created_at"]
    statement = insert(Notice).from_select(columns, rows).on_conflict_do_nothing(index_elements=[Notice.key])
    told = set(work.session.scalars(statement.returning(Notice.person_id)))
    about = {"case_id": case_id, "task_id": task_id, "approval_id": approval_id}
    _tell_stand_ins(work, told, wanted, text, key, about)
    return [one for one in wanted if one in told]


def _tell_stand_ins(
    work: Work, told: set[int], wanted: list[int], text: str, key: str, about: dict[str, int | None]
) -> None:
    """Tell whoever acts for the people told just now, unless the same is said to him in his own name."""
    acting = {away: actor for away, actor in stand_ins(work.session, told, work.now).items() if actor not in wanted}
    if not acting:
        return
    people = {one.id: one for one in work.session.scalars(select(Person).where(Person.id.in_(acting)))}
    rows = [
        {
            "key": f"{key}/{away}/for/{actor}",
            "person_id": actor,
            "text": f"{people[away].for_whom}: {text}",
            "created_at": work.now,
            **about,
        }
        for away, actor in sorted(acting.items())
    ]
    work.session.execute(insert(Notice).values(rows).on_conflict_do_nothing(index_elements=[Notice.key]))


def mark_read(work: Work, person_id: int, notice_ids: list[int] | None = None) -> int:
    """Mark a person's notices (all, or these) as read; returns how many were unread."""
    statement = update(Notice).where(Notice.person_id == person_id, Notice.read_at.is_(None))
    if notice_ids is not None:
        statement = statement.where(Notice.id.in_(notice_ids))
    read = work.session.scalars(statement.values(read_at=work.now).returning(Notice.id)).all()
    return len(read)


def mark_unread(work: Work, person_id: int, read_at: datetime) -> int:
    """Take back what was marked as read at this very moment; returns how many are unread again."""
    statement = update(Notice).where(Notice.person_id == person_id, Notice.read_at == read_at).values(read_at=None)
    return len(work.session.scalars(statement.returning(Notice.id)).all())


def unread_mark(session: Session, person_id: int) -> tuple[int, int]:
    """Return how many notices a person has not read, and the id of his newest one (0 without any)."""
    unread = func.count().filter(Notice.read_at.is_(None))
    row = session.execute(select(unread, func.max(Notice.id)).where(Notice.person_id == person_id)).one()
    return row[0], row[1] or 0


def latest(session: Session, person_id: int, limit: int = 30) -> list[Notice]:
    """Return a person's newest notices."""
    return list(
        session.scalars(select(Notice).where(Notice.person_id == person_id).order_by(Notice.id.desc()).limit(limit))
    )


def unread_count(session: Session, person_id: int) -> int:
    """Return how many notices a person has not read."""
    statement = select(func.count()).where(Notice.person_id == person_id, Notice.read_at.is_(None))
    return session.scalar(statement) or 0
