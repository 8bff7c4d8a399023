"""In-app notices (the bell)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Moment


class Notice(Base):
    """A message to one person, recorded once per key."""

    __tablename__ = "notice"
    __table_args__ = (
        Index("ix_notice_person_id", "person_id", "id"),
        Index("ix_notice_unread", "person_id", postgresql_where=text("read_at IS NULL")),
        Index("ix_notice_case_id", "case_id"),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(Text, unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    text: Mapped[str] = mapped_column(Text)
    case_id: Mapped[int | None] = mapped_column(ForeignKey("process_case.id"))
    task_id: Mapped[int | None] = mapped_column(ForeignKey("task.id"))
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("approval.id"))
    created_at: Mapped[Moment]
    read_at: Mapped[datetime | None]
