"""Approvals: who is asked in which round, what he decided, for whom, and about which version of the file."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment


class Approval(Base):
    """One question put to approvers, over all its rounds (``state``: open, rework, approved, rejected, withdrawn)."""

    __tablename__ = "approval"
    __table_args__ = (
        Index("ix_approval_case_id", "case_id", "id"),
        Index("ix_approval_instance_id", "instance_id"),
        Index("ix_approval_initiator_id", "initiator_id", "id"),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(Text, unique=True)  # process/case/visit/step
    case_id: Mapped[int] = mapped_column(ForeignKey("process_case.id"))
    instance_id: Mapped[int | None] = mapped_column(ForeignKey("process_instance.id"))
    step: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, server_default="")
    mode: Mapped[str] = mapped_column(Text, server_default="chain")  # chain | parallel | quorum
    quorum: Mapped[int | None]  # how many must agree; only with mode quorum
    round: Mapped[int] = mapped_column(server_default=text("1"))
    state: Mapped[str] = mapped_column(Text, server_default="open")
    field: Mapped[str | None] = mapped_column(Text)  # the file field that is agreed, e.g. contract_draft
    fix: Mapped[Json | None]  # the task that follows a refusal; empty: a refusal ends the approval
    initiator_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    stage_id: Mapped[int | None] = mapped_column(ForeignKey("stage.id"))
    on_leave: Mapped[str] = mapped_column(Text, server_default="cancel")
    term: Mapped[Json]  # how long each approver has, e.g. {"working_days": 2}
    created_at: Mapped[Moment]
    closed_at: Mapped[datetime | None]
    close_reason: Mapped[str | None] = mapped_column(Text)
    voided_at: Mapped[datetime | None]  # the file was changed after everybody had agreed (★40)


class ApprovalSeat(Base):
    """One approver's place in one round; ``holder`` says who decides it, whoever that is at that moment."""

    __tablename__ = "approval_seat"
    __table_args__ = (
        UniqueConstraint("approval_id", "round", "position", "attempt"),
        Index("ix_approval_seat_holder_asked", "holder", postgresql_where=text("state = 'asked'")),
        Index("ix_approval_seat_fallback_asked", "fallback", postgresql_where=text("state = 'asked'")),
        Index("ix_approval_seat_decided_by", "decided_by", "id"),
    )

    id: Mapped[Id]
    approval_id: Mapped[int] = mapped_column(ForeignKey("approval.id"))
    round: Mapped[int]
    position: Mapped[int]
    attempt: Mapped[int] = mapped_column(server_default=text("1"))  # asked anew in the same round: its file was changed
    title: Mapped[str] = mapped_column(Text)  # «Утверждающий договор»
    address: Mapped[str] = mapped_column(Text)  # as the process wrote it: role:contract_approver|head
    holder: Mapped[str] = mapped_column(Text)  # role:<code> | person:<id>
    fallback: Mapped[str | None] = mapped_column(Text)  # who decides while nobody holds the role
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    # waiting (not his turn) | asked | approved | rejected | voided (the file was changed) | withdrawn
    asked_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    version_id: Mapped[int | None] = mapped_column(ForeignKey("file_version.id"))  # what he agreed to
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    decided_for: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # whom he substituted
    remark: Mapped[str | None] = mapped_column(Text)


class DecisionLink(Base):
    """A signed link of a letter by which one person may decide one seat once; its GET decides nothing."""

    __tablename__ = "decision_link"
    __table_args__ = (Index("ix_decision_link_seat_id", "seat_id"),)

    id: Mapped[Id]
    seat_id: Mapped[int] = mapped_column(ForeignKey("approval_seat.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    nonce_hash: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    used_at: Mapped[datetime | None]
