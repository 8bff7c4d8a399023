"""The engine's own tables: cases, events, schemes, instances, steps and their aims."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment


class ProcessCase(Base):
    """What processes are about (a deal, a request …); ``seq`` counts its changes, every wait has seen one of them."""

    __tablename__ = "process_case"

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(Text, unique=True)  # deal-42
    kind: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text, server_default="Europe/Moscow")
    seq: Mapped[int] = mapped_column(server_default=text("1"))
    # the machine's time of the last change: how long its waits are deaf is measured with it
    changed_at: Mapped[Moment] = mapped_column(server_default=text("now()"))


class OutboxEvent(Base):
    """A business event written with its fact; the relay turns it into runs exactly once."""

    __tablename__ = "outbox_event"
    __table_args__ = (
        Index("ix_outbox_event_pending", "next_try_at", "id", postgresql_where=text("state = 'pending'")),
        Index("ix_outbox_event_case_id", "case_id"),
        Index("ix_outbox_event_dead", "id", postgresql_where=text("state = 'dead'")),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(Text)  # stage_entered | field_changed | form_submitted | …
    listen_key: Mapped[str] = mapped_column(Text)  # on:stage:Товары/Счет/КП – the tag of listening DAGs
    case_id: Mapped[int | None] = mapped_column(ForeignKey("process_case.id"))
    visit: Mapped[str] = mapped_column(Text)  # visit-417: what makes a run of the same case another one
    payload: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    state: Mapped[str] = mapped_column(Text, server_default="pending")  # pending | done | dead
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[Moment]  # the machine's time: lag is measured with it
    next_try_at: Mapped[Moment]
    done_at: Mapped[datetime | None]


class ProcessScheme(Base):
    """The steps of a process as its DAG declared them when a run started."""

    __tablename__ = "process_scheme"
    __table_args__ = (UniqueConstraint("process", "digest"),)

    id: Mapped[Id]
    process: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    number: Mapped[int]
    body: Mapped[Json]


class ProcessInstance(Base):
    """One run of a process for one visit of a case; ended instances make their later steps end as skipped."""

    __tablename__ = "process_instance"
    __table_args__ = (
        UniqueConstraint("process", "case_id", "visit"),
        UniqueConstraint("process", "run_id"),
        Index("ix_process_instance_live", "case_id", postgresql_where=text("state = 'live'")),
        # one that has left its stage may still keep obligations (AG-6) beside the one of the new visit
        Index(
            "uq_process_instance_one_live",
            "process",
            "case_id",
            unique=True,
            postgresql_where=text("state = 'live' AND left_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    process: Mapped[str] = mapped_column(Text)
    case_id: Mapped[int] = mapped_column(ForeignKey("process_case.id"))
    visit: Mapped[str] = mapped_column(Text)
    run_id: Mapped[str] = mapped_column(Text)
    scheme_id: Mapped[int] = mapped_column(ForeignKey("process_scheme.id"))
    state: Mapped[str] = mapped_column(Text, server_default="live")  # live | ended
    reason: Mapped[str | None] = mapped_column(Text)
    stage_id: Mapped[int | None] = mapped_column(ForeignKey("stage.id"))
    head_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    payload: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    started_at: Mapped[Moment]
    left_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class StepState(Base):
    """One step of one instance, and the one line of its wait: for what, on whom, until when, what comes next."""

    __tablename__ = "step_state"
    __table_args__ = (
        UniqueConstraint("instance_id", "step"),
        Index("ix_step_state_waiting_moment", "moment", postgresql_where=text("state = 'waiting'")),
        Index("ix_step_state_waiting_case", "case_id", postgresql_where=text("state = 'waiting'")),
        Index("ix_step_state_case_id", "case_id", "id"),
        Index("ix_step_state_ended_at", "ended_at"),
        Index("ix_step_state_stuck", "instance_id", postgresql_where=text("state IN ('failed', 'marked')")),
    )

    id: Mapped[Id]
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"))
    case_id: Mapped[int] = mapped_column(ForeignKey("process_case.id"))
    step: Mapped[str] = mapped_column(Text)
    word: Mapped[str] = mapped_column(Text)  # EmployeeTask | Alarm | …
    title: Mapped[str] = mapped_column(Text)
    spec: Mapped[Json]
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    # waiting | done | skipped | stopped (withdrawn work: the chain behind it stops) | marked (by ops) | failed
    reason: Mapped[str | None] = mapped_column(Text)
    result: Mapped[Json | None]
    task_id: Mapped[int | None] = mapped_column(ForeignKey("task.id"))
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("approval.id"))
    waits_for: Mapped[str | None] = mapped_column(Text)
    waits_on: Mapped[list[int]] = mapped_column(ARRAY(BIGINT), server_default=text("'{}'"))
    moment: Mapped[datetime | None]
    comes_next: Mapped[str | None] = mapped_column(Text)
    looked_seq: Mapped[int] = mapped_column(server_default=text("0"))
    opened_at: Mapped[Moment]
    ended_at: Mapped[datetime | None]
    retried_at: Mapped[datetime | None]  # when ops last had a failed step repeated


class StepAim(Base):
    """History of a wait's moment: each re-aim supersedes the one before, with its reason."""

    __tablename__ = "step_aim"

    id: Mapped[Id]
    step_id: Mapped[int] = mapped_column(ForeignKey("step_state.id"), index=True)
    moment: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(Text)
    aimed_at: Mapped[Moment]
    superseded_at: Mapped[datetime | None]
