"""Tables of orders: lines of a deal, versions of its order for 1C, batches of them, and what keeps an order back."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment, Money

Quantity = Annotated[Decimal, mapped_column(Numeric(15, 3))]


class DealLine(Base):
    """A line of a deal: goods of 1C or free text; the price has VAT inside, a removed line is kept for undoing."""

    __tablename__ = "deal_line"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("price >= 0", name="price"),
        Index("ix_deal_line_deal_id", "deal_id", "position", "id"),
        Index("ix_deal_line_nomenclature_id", "nomenclature_id"),
    )

    id: Mapped[Id]
    deal_id: Mapped[int] = mapped_column(ForeignKey("deal.id"))
    position: Mapped[int]
    nomenclature_id: Mapped[int | None] = mapped_column(ForeignKey("nomenclature.id"))
    name: Mapped[str] = mapped_column(Text)
    unit_code: Mapped[str | None] = mapped_column(Text)  # ОКЕИ
    unit_name: Mapped[str] = mapped_column(Text)
    quantity: Mapped[Quantity]
    price: Mapped[Money]
    vat: Mapped[str | None] = mapped_column(Text)  # exchange_1c.rules.Vat; NULL: nobody has said it yet
    amount: Mapped[Money]
    removed_at: Mapped[datetime | None]


class OrderBatch(Base):
    """Orders that went to 1C together: a file of the folder, or one answer over HTTP.

    ``prepared_at``: the file is whole beside its place, ``written_at``: it stands there (or was sent),
    ``taken_at``: 1C has it.
    """

    __tablename__ = "order_batch"
    __table_args__ = (
        CheckConstraint("channel IN ('folder', 'http')", name="channel"),
        Index("ix_order_batch_open", "id", postgresql_where=text("taken_at IS NULL")),
        Index("ix_order_batch_session_id", "session_id"),
    )

    id: Mapped[Id]
    channel: Mapped[str] = mapped_column(Text)
    file_name: Mapped[str] = mapped_column(Text)
    form: Mapped[Json]  # version, encoding … as they were when it was made: written again it is the same to the byte
    made_at: Mapped[Moment]
    prepared_at: Mapped[datetime | None]
    written_at: Mapped[datetime | None]
    taken_at: Mapped[datetime | None]
    session_id: Mapped[int | None] = mapped_column(ForeignKey("one_c_session.id"))


class OrderExport(Base):
    """One version of a deal's order for 1C: made once, sent once, confirmed by what 1C sends back."""

    __tablename__ = "order_export"
    __table_args__ = (
        UniqueConstraint("deal_id", "version"),
        CheckConstraint("state IN ('waiting', 'written', 'taken', 'confirmed', 'failed', 'replaced')", name="state"),
        Index("ix_order_export_waiting", "id", postgresql_where=text("state = 'waiting'")),
        Index("ix_order_export_state", "state", "id"),
        Index("ix_order_export_external_id", "external_id"),
        Index("ix_order_export_number_key", "number_key"),
        Index("ix_order_export_batch_id", "batch_id"),
        Index("ix_order_export_confirmed_exchange_id", "confirmed_exchange_id"),
    )

    id: Mapped[Id]
    deal_id: Mapped[int] = mapped_column(ForeignKey("deal.id"))
    version: Mapped[int]
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    external_id: Mapped[str] = mapped_column(Text)
    number: Mapped[str] = mapped_column(Text)
    number_key: Mapped[str] = mapped_column(Text)
    ordered_at: Mapped[Moment]  # the order's date: the same in every version
    content: Mapped[Json]
    status: Mapped[str] = mapped_column(Text, server_default="")  # the deal's stage when it was put into a batch
    sha256: Mapped[str] = mapped_column(Text)
    amount: Mapped[Money]
    queued_at: Mapped[Moment]
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("order_batch.id"))
    sent_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]  # confirmed, failed or replaced
    confirmed_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    number_1c: Mapped[str | None] = mapped_column(Text)
    date_1c: Mapped[date | None]
    reason: Mapped[str | None] = mapped_column(Text)


class OrderLook(Base):
    """What was found when a deal's order was last made up: what it was made of, and what keeps it back."""

    __tablename__ = "order_look"
    __table_args__ = (Index("ix_order_look_kept_back", "since", "deal_id", postgresql_where=text("problems <> '[]'")),)

    deal_id: Mapped[int] = mapped_column(ForeignKey("deal.id"), primary_key=True)
    seen: Mapped[str] = mapped_column(Text)
    problems: Mapped[list[Json]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))  # of rules.Lack
    since: Mapped[Moment]
    looked_at: Mapped[Moment]
