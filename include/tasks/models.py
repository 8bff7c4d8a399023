"""Tasks given to people."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment
from include.shared.search import search_index


class Task(Base):
    """Work for one person; ``state`` is open, done, withdrawn or replaced (only done starts next steps)."""

    __tablename__ = "task"
    __table_args__ = (
        Index("uq_task_open_topic", "case_id", "topic", unique=True, postgresql_where=text("state = 'open'")),
        Index("ix_task_executor_open", "executor_id", "due_at", "id", postgresql_where=text("state = 'open'")),
        Index("ix_task_case_id", "case_id", "id"),
        Index("ix_task_executor_id", "executor_id", "id"),
        Index("ix_task_instance_id", "instance_id"),
        Index("ix_task_creator_id", "creator_id"),
        Index("ix_task_approval_id", "approval_id", postgresql_where=text("approval_id IS NOT NULL")),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(Text, unique=True)  # process/case/visit/step/round
    case_id: Mapped[int] = mapped_column(ForeignKey("process_case.id"))
    instance_id: Mapped[int | None] = mapped_column(ForeignKey("process_instance.id"))
    step: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default="task")  # task | confirm | form | fix
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("approval.id"))  # whose remarks a fix puts right
    topic: Mapped[str] = mapped_column(Text)
    round: Mapped[int] = mapped_column(server_default=text("1"))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, server_default="")
    addressed_to: Mapped[str] = mapped_column(Text)  # responsible | head | role:<code> | person:<id> | field:<code>
    executor_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    due_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(Text, server_default="open")
    on_leave: Mapped[str] = mapped_column(Text, server_default="cancel")
    stage_id: Mapped[int | None] = mapped_column(ForeignKey("stage.id"))
    guard: Mapped[Json | None]
    closes_itself: Mapped[bool] = mapped_column(server_default=text("false"))
    result_fields: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    result: Mapped[Json | None]
    evidence: Mapped[Json | None]
    created_at: Mapped[Moment]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    closed_for: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # whom the closer substituted
    close_reason: Mapped[str | None] = mapped_column(Text)


search_index("ix_task_search", Task.__table__.c.title)


class TaskObserver(Base):
    """Who watches a task besides its executor."""

    __tablename__ = "task_observer"
    __table_args__ = (Index("ix_task_observer_person_id", "person_id"),)

    task_id: Mapped[int] = mapped_column(ForeignKey("task.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)


class TermChange(Base):
    """A changed term of a task: old, new, who and why."""

    __tablename__ = "task_term_change"

    id: Mapped[Id]
    task_id: Mapped[int] = mapped_column(ForeignKey("task.id"), index=True)
    old_due_at: Mapped[datetime | None]
    new_due_at: Mapped[Moment]
    reason: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[Moment]
    changed_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
