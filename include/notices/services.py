"""Notices: recorded once per key, read by their person."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.notices.models import Notice
from include.shared.work import Work


def notify(
    work: Work, people: Iterable[int], text: str, *, key: str, case_id: int | None = None, task_id: int | None = None
) -> list[int]:
    """Record one notice per person; a repeated key is joined, not doubled. Returns whom it told now."""
    told: list[int] = []
    for person_id in dict.fromkeys(people):
        statement = (
            insert(Notice)
            .values(
                key=f"{key}/{person_id}",
                person_id=person_id,
                text=text,
                case_id=case_id,
                task_id=task_id,
                created_at=work.now,
            )
            .on_conflict_do_nothing(index_elements=[Notice.key])
            .returning(Notice.id)
        )
        if work.session.scalar(statement) is not None:
            told.append(person_id)
    return told


def mark_read(work: Work, person_id: int, notice_ids: list[int] | None = None) -> int:
    """Mark a person's notices (all, or these) as read; returns how many were unread."""
    statement = update(Notice).where(Notice.person_id == person_id, Notice.read_at.is_(None))
    if notice_ids is not None:
        statement = statement.where(Notice.id.in_(notice_ids))
    read = work.session.scalars(statement.values(read_at=work.now).returning(Notice.id)).all()
    return len(read)


def latest(session: Session, person_id: int, limit: int = 30) -> list[Notice]:
    """Return a person's newest notices."""
    return list(
        session.scalars(select(Notice).where(Notice.person_id == person_id).order_by(Notice.id.desc()).limit(limit))
    )


def unread_count(session: Session, person_id: int) -> int:
    """Return how many notices a person has not read."""
    statement = select(func.count()).where(Notice.person_id == person_id, Notice.read_at.is_(None))
    return session.scalar(statement) or 0
