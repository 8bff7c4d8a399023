"""Funnels, their stages and fields, deals and their visits to stages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment, Money
from include.shared.search import search_index


class Funnel(Base):
    """A direction of sales, e.g. ``goods`` «Товары»."""

    __tablename__ = "funnel"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    title: Mapped[str] = mapped_column(Text, unique=True)
    position: Mapped[int]


class Stage(Base):
    """A pipeline stage; ``kind`` is open, won or lost; deals are not moved to one that is no longer ``active``."""

    __tablename__ = "stage"
    __table_args__ = (UniqueConstraint("funnel_code", "title"), UniqueConstraint("funnel_code", "code"))

    id: Mapped[Id]
    funnel_code: Mapped[str] = mapped_column(ForeignKey("funnel.code"))
    code: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(Text, server_default="open")
    active: Mapped[bool] = mapped_column(server_default=text("true"))


class DealField(Base):
    """A field of the deal card (R002-5): its kind decides how a value is checked and shown."""

    __tablename__ = "deal_field"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)  # bool | date | datetime | choice | text | money | person | file
    options: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))  # {"choices": {"simple": "простой"}}
    funnel_code: Mapped[str | None] = mapped_column(ForeignKey("funnel.code"))
    position: Mapped[int]


class Deal(Base):
    """A deal; its values of ``deal_field`` other than sums and people live in ``fields``."""

    __tablename__ = "deal"
    __table_args__ = (
        Index("ix_deal_board", "funnel_code", "stage_id", "id"),
        Index("ix_deal_responsible_id", "responsible_id"),
        Index("ix_deal_created_by", "created_by"),
        Index("ix_deal_search_key", "search_key", postgresql_ops={"search_key": "text_pattern_ops"}),
    )

    id: Mapped[Id]
    case_id: Mapped[int] = mapped_column(ForeignKey("process_case.id"), unique=True)
    title: Mapped[str] = mapped_column(Text)
    search_key: Mapped[str] = mapped_column(Text)
    funnel_code: Mapped[str] = mapped_column(ForeignKey("funnel.code"))
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"), index=True)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contact.id"))
    responsible_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    amount: Mapped[Money | None]
    paid: Mapped[Money] = mapped_column(server_default=text("0"))
    debt: Mapped[Money] = mapped_column(server_default=text("0"))  # R002-74; overpaid is its other side
    overpaid: Mapped[Money] = mapped_column(server_default=text("0"))
    fields: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    source: Mapped[str | None] = mapped_column(Text)
    request_key: Mapped[str | None] = mapped_column(Text, unique=True)  # idempotency key of the request form
    created_at: Mapped[Moment]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    closed_at: Mapped[datetime | None]


search_index("ix_deal_search", Deal.__table__.c.title)


class StageVisit(Base):
    """One stay of a deal on a stage: who moved it there, from where, and when it left."""

    __tablename__ = "stage_visit"
    __table_args__ = (
        Index("uq_stage_visit_current", "deal_id", unique=True, postgresql_where=text("left_at IS NULL")),
        Index("ix_stage_visit_deal_id", "deal_id", "id"),
        Index("ix_stage_visit_entered_by_current", "entered_by", postgresql_where=text("left_at IS NULL")),
    )

    id: Mapped[Id]
    deal_id: Mapped[int] = mapped_column(ForeignKey("deal.id"))
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    from_stage_id: Mapped[int | None] = mapped_column(ForeignKey("stage.id"))
    entered_at: Mapped[Moment]
    entered_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # empty: a robot or integration
    left_at: Mapped[datetime | None]
    left_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
