"""Tables that belong to no subject: audit, settings, virtual clock, heartbeats, working calendar."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment

#: What the ops page lists (sql/queries/ops/reconciled.sql): few rows among very many
OF_OPERATIONS = "action IN ('step.marked', 'step.retried', 'step.failed', 'event.repeated', 'event.dropped')"


class Audit(Base):
    """Append-only trace of every fact: who, when, what, before and after (a trigger forbids changes)."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_case_id_id", "case_id", "id"),
        Index("ix_audit_entity", "entity", "entity_id"),
        Index("ix_audit_ops", "id", postgresql_where=sql_text(OF_OPERATIONS)),
    )

    id: Mapped[Id]
    at: Mapped[Moment]
    actor_id: Mapped[int | None]
    actor_kind: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    case_id: Mapped[int | None]
    entity: Mapped[str] = mapped_column(Text)
    entity_id: Mapped[int | None]
    text: Mapped[str] = mapped_column(Text)
    before: Mapped[Json | None]
    after: Mapped[Json | None]
    reason: Mapped[str | None] = mapped_column(Text)


class Setting(Base):
    """A value that the business changes without code: a term, a role, a switch."""

    __tablename__ = "setting"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    value: Mapped[Any] = mapped_column(JSONB)
    default: Mapped[Any] = mapped_column(JSONB)
    changed_at: Mapped[datetime | None]
    changed_by: Mapped[int | None]


class ClockOffset(Base):
    """The one row of the virtual clock: how far its now() is ahead of the machine's, in microseconds.

    While it is driven it stands at ``held_at``, so that moments lie in order however long each takes to settle; whoever
    drives it renews ``held_until`` (machine time), and a driver that died lets it go on.
    """

    __tablename__ = "clock_offset"
    __table_args__ = (CheckConstraint("id = 1", name="single_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    microseconds: Mapped[int]
    held_at: Mapped[datetime | None]
    held_until: Mapped[datetime | None]


class Heartbeat(Base):
    """When a part of the engine (relay, hub, reconciler) last said that it works."""

    __tablename__ = "heartbeat"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    instance: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[Moment]
    info: Mapped[Json]


class CalendarDay(Base):
    """Our override of the working calendar: this day works or rests, whatever the state's calendar says."""

    __tablename__ = "calendar_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    working: Mapped[bool]
    title: Mapped[str] = mapped_column(Text)
