"""What disagrees between deals, invoices, documents of 1C and payments."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment


class Discrepancy(Base):
    """One disagreement, opened once: it keeps its age while it lasts and begins anew when it comes back.

    ``key`` is the kind and what it is about; one open row per key, the closed ones are the history.
    """

    __tablename__ = "discrepancy"
    __table_args__ = (
        Index("uq_discrepancy_open", "key", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_discrepancy_open", "found_at", "id", postgresql_where=text("closed_at IS NULL")),
        Index("ix_discrepancy_key", "key", "id"),
        Index("ix_discrepancy_owner_id", "owner_id"),
        Index("ix_discrepancy_deal_id", "deal_id"),
        Index("ix_discrepancy_invoice_id", "invoice_id"),
        Index("ix_discrepancy_payment_id", "payment_id"),
        Index("ix_discrepancy_closed_at", "closed_at", postgresql_where=text("closed_at IS NOT NULL")),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    deal_id: Mapped[int | None] = mapped_column(ForeignKey("deal.id"))
    invoice_id: Mapped[int | None] = mapped_column(ForeignKey("invoice.id"))
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"))
    document_id: Mapped[int | None]  # of 1C: one_c_document
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    found_at: Mapped[Moment]
    seen_at: Mapped[Moment]  # the last night that it was still so
    closed_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]  # when its owner was told of it
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
