"""Files of cases: content is kept by its hash, each upload into a field is a version."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Moment


class FileVersion(Base):
    """One upload into a file field of a case; the newest number is the present file."""

    __tablename__ = "file_version"
    __table_args__ = (
        UniqueConstraint("case_id", "field", "number"),
        Index("ix_file_version_content_hash", "content_hash"),
    )

    id: Mapped[Id]
    case_id: Mapped[int] = mapped_column(ForeignKey("process_case.id"))
    field: Mapped[str] = mapped_column(Text)  # contract_draft; task-<id>: the file of a task's result
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(Text)  # sha256 of the content, hex
    size: Mapped[int]  # bytes
    name: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(Text)
    uploaded_at: Mapped[Moment]
    uploaded_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
