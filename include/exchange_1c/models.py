"""Tables of the exchange with 1C: goods, exchanges with their files, and quarantined records."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment


class Nomenclature(Base):
    """An item of goods or services; 1C is its master (R002-8), rows are deactivated and never deleted."""

    __tablename__ = "nomenclature"
    __table_args__ = (
        Index("ix_nomenclature_search_key", "search_key", postgresql_ops={"search_key": "text_pattern_ops"}),
        Index("ix_nomenclature_sku", "sku"),
        Index("ix_nomenclature_barcode", "barcode"),
        Index("ix_nomenclature_group_external_id", "group_external_id"),
        Index("ix_nomenclature_last_exchange_id", "last_exchange_id"),
    )

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    full_name: Mapped[str | None] = mapped_column(Text)
    sku: Mapped[str | None] = mapped_column(Text)  # never a key: missing and doubled in real files
    barcode: Mapped[str | None] = mapped_column(Text)
    unit_code: Mapped[str | None] = mapped_column(Text)  # ОКЕИ
    unit_name: Mapped[str | None] = mapped_column(Text)
    vat: Mapped[str | None] = mapped_column(Text)  # rules.Vat; NULL = the file states none
    group_external_id: Mapped[str | None] = mapped_column(Text)
    search_key: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    raw: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    first_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    last_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    changed_at: Mapped[Moment]


class Exchange(Base):
    """One exchange: many files taken together, applied in one transaction or not at all."""

    __tablename__ = "exchange"
    __table_args__ = (
        CheckConstraint("state IN ('received', 'applied', 'failed', 'held')", name="state"),
        Index("ix_exchange_digest", "digest"),
        Index("ix_exchange_unfiled", "id", postgresql_where=text("filed_at IS NULL")),
    )

    id: Mapped[Id]
    source: Mapped[str] = mapped_column(Text)  # folder | http
    state: Mapped[str] = mapped_column(Text, server_default="received")
    started_at: Mapped[Moment]
    finished_at: Mapped[datetime | None]
    filed_at: Mapped[datetime | None]  # when its files were moved to done/ or failed/
    report: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    digest: Mapped[str] = mapped_column(Text)  # of all its files: the same digest again changes nothing


class ExchangeFile(Base):
    """One file of an exchange and what it held."""

    __tablename__ = "exchange_file"
    __table_args__ = (
        CheckConstraint("state IN ('received', 'applied', 'failed', 'refused', 'skipped')", name="state"),
        Index("ix_exchange_file_exchange_id", "exchange_id"),
        Index("ix_exchange_file_sha256", "sha256"),
    )

    id: Mapped[Id]
    exchange_id: Mapped[int] = mapped_column(ForeignKey("exchange.id"))
    name: Mapped[str] = mapped_column(Text)  # relative to incoming/
    sha256: Mapped[str] = mapped_column(Text)
    size: Mapped[int]
    encoding: Mapped[str | None] = mapped_column(Text)
    schema_version: Mapped[str | None] = mapped_column(Text)
    is_full: Mapped[bool | None]
    state: Mapped[str] = mapped_column(Text, server_default="received")
    error: Mapped[str | None] = mapped_column(Text)
    counts: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))


class ExchangeReject(Base):
    """A record in quarantine: where it stands, why it was not loaded, a masked piece of it."""

    __tablename__ = "exchange_reject"
    __table_args__ = (
        Index("ix_exchange_reject_exchange_id", "exchange_id", "id"),
        Index("ix_exchange_reject_file_id", "file_id"),
        Index("ix_exchange_reject_open", "entity", "external_id", postgresql_where=text("resolved_at IS NULL")),
    )

    id: Mapped[Id]
    exchange_id: Mapped[int] = mapped_column(ForeignKey("exchange.id"))
    file_id: Mapped[int] = mapped_column(ForeignKey("exchange_file.id"))
    line: Mapped[int]
    external_id: Mapped[str | None] = mapped_column(Text)
    entity: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    snippet: Mapped[str] = mapped_column(Text)
    resolved_at: Mapped[datetime | None]
