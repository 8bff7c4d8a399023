"""Passes of retention: what each removed, and whether Airflow's side of it is done."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment


class RetentionPass(Base):
    """One pass; the worker removes our part, the engine (workers may not touch Airflow's database) the other."""

    __tablename__ = "retention_pass"
    __table_args__ = (Index("ix_retention_pass_unfinished", "id", postgresql_where=text("finished_at IS NULL")),)

    id: Mapped[Id]
    asked_at: Mapped[Moment]
    finished_at: Mapped[datetime | None]  # when Airflow's side was done, too
    removed: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))  # setting's code → how many
