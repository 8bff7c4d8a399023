"""Talk about a case: comments and who is called in them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Moment


class Comment(Base):
    """What somebody said about a case; a removed one keeps its place and loses its text."""

    __tablename__ = "comment"
    __table_args__ = (Index("ix_comment_case_id", "case_id", "id"),)

    id: Mapped[Id]
    case_id: Mapped[int] = mapped_column(ForeignKey("process_case.id"))
    author_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    text: Mapped[str] = mapped_column(Text)
    said_at: Mapped[Moment]
    removed_at: Mapped[datetime | None]


class Mention(Base):
    """Somebody called in a comment; he may read the case from then on."""

    __tablename__ = "comment_mention"
    __table_args__ = (Index("ix_comment_mention_person_id", "person_id"),)

    comment_id: Mapped[int] = mapped_column(ForeignKey("comment.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
