"""Tables of the exchange with 1C: what 1C is the master of, exchanges with their files, changes and quarantine."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
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
        CheckConstraint("state IN ('received', 'queued', 'held', 'applied', 'failed', 'replaced')", name="state"),
        CheckConstraint("decision IN ('confirm', 'keep', 'refuse')", name="decision"),
        Index("ix_exchange_digest", "digest"),
        Index("ix_exchange_unfiled", "id", postgresql_where=text("filed_at IS NULL")),
        Index("ix_exchange_package", "package", "id", postgresql_where=text("package IS NOT NULL")),
        Index("ix_exchange_retake_of", "retake_of", postgresql_where=text("retake_of IS NOT NULL")),
    )

    id: Mapped[Id]
    source: Mapped[str] = mapped_column(Text)  # folder | http | again (the quarantine of an exchange, once more)
    package: Mapped[str | None] = mapped_column(Text)  # the folder in incoming/ that came as one exchange
    place: Mapped[str] = mapped_column(Text, server_default="incoming")  # where its files lie, relative to exchange/1c
    state: Mapped[str] = mapped_column(Text, server_default="received")
    started_at: Mapped[Moment]
    finished_at: Mapped[datetime | None]
    filed_at: Mapped[datetime | None]  # when its files were moved to done/ or failed/
    report: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    digest: Mapped[str] = mapped_column(Text)  # of all its files: the same digest again changes nothing
    decision: Mapped[str | None] = mapped_column(Text)  # of a person about a held one; carried out by the next run
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None] = mapped_column(Text)
    retake_of: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    asked_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # who had its quarantine taken again


class ExchangeFile(Base):
    """One file of an exchange and what it held."""

    __tablename__ = "exchange_file"
    __table_args__ = (
        CheckConstraint("state IN ('received', 'unpacked', 'applied', 'failed', 'refused', 'skipped')", name="state"),
        Index("ix_exchange_file_exchange_id", "exchange_id"),
        Index("ix_exchange_file_sha256", "sha256"),
    )

    id: Mapped[Id]
    exchange_id: Mapped[int] = mapped_column(ForeignKey("exchange.id"))
    archive_id: Mapped[int | None] = mapped_column(ForeignKey("exchange_file.id"))  # it lay in this archive
    name: Mapped[str] = mapped_column(Text)  # relative to the exchange's place; in an archive: archive/name
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


class ExchangeChange(Base):
    """What an exchange changed in one record: only the fields that differ; the first ones of each kind."""

    __tablename__ = "exchange_change"
    __table_args__ = (Index("ix_exchange_change_exchange_id", "exchange_id", "entity", "id"),)

    id: Mapped[Id]
    exchange_id: Mapped[int] = mapped_column(ForeignKey("exchange.id"))
    entity: Mapped[str] = mapped_column(Text)  # as in the file: Товар, Контрагент, Цена …
    external_id: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text, server_default="")
    before: Mapped[Json]
    after: Mapped[Json]


class NomenclatureGroup(Base):
    """A group of goods, or a category («Категория»), as 1C keeps them."""

    __tablename__ = "nomenclature_group"
    __table_args__ = (Index("ix_nomenclature_group_parent_external_id", "parent_external_id"),)

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    parent_external_id: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)  # group | category
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    first_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    last_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))


class GoodsProperty(Base):
    """A property of goods with the values of its reference."""

    __tablename__ = "goods_property"

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    value_type: Mapped[str] = mapped_column(Text, server_default="")
    options: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))  # id of a value → the value
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    first_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    last_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))


class PriceType(Base):
    """A type of prices."""

    __tablename__ = "price_type"

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    currency: Mapped[str | None] = mapped_column(Text)
    is_tax_included: Mapped[bool | None]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    first_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    last_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))


class Warehouse(Base):
    """A warehouse of 1C."""

    __tablename__ = "warehouse"

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))  # addresses and contacts too
    first_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    last_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))


class MeasureUnit(Base):
    """A unit of measure of 1C's own classifier."""

    __tablename__ = "measure_unit"

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    code: Mapped[str | None] = mapped_column(Text)  # ОКЕИ
    name: Mapped[str] = mapped_column(Text)
    full_name: Mapped[str | None] = mapped_column(Text)
    international: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    first_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    last_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))


class Offer(Base):
    """Goods, or one characteristic of them, that prices and stock belong to."""

    __tablename__ = "offer"
    __table_args__ = (Index("ix_offer_goods_external_id", "goods_external_id"),)

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    goods_external_id: Mapped[str] = mapped_column(Text)
    characteristic_id: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    sku: Mapped[str | None] = mapped_column(Text)
    unit_code: Mapped[str | None] = mapped_column(Text)
    unit_name: Mapped[str | None] = mapped_column(Text)
    quantity: Mapped[Decimal | None] = mapped_column(Numeric)
    characteristics: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    first_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    last_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))


class Price(Base):
    """A price of an offer; numbers as 1C gave them, not rounded."""

    __tablename__ = "price"
    __table_args__ = (
        UniqueConstraint(
            "offer_external_id", "price_type_external_id", "unit", "min_quantity", name="uq_price_offer_external_id"
        ),
    )

    id: Mapped[Id]
    offer_external_id: Mapped[str] = mapped_column(Text)
    goods_external_id: Mapped[str] = mapped_column(Text)
    price_type_external_id: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text, server_default="")
    min_quantity: Mapped[Decimal] = mapped_column(Numeric, server_default="0")
    amount: Mapped[Decimal] = mapped_column(Numeric)
    currency: Mapped[str | None] = mapped_column(Text)  # NULL: that of the type of prices
    coefficient: Mapped[Decimal] = mapped_column(Numeric, server_default="1")
    last_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))


class Stock(Base):
    """How much of an offer there is in a warehouse (empty: in all together); negative too, as 1C has it."""

    __tablename__ = "stock"
    __table_args__ = (
        UniqueConstraint("offer_external_id", "warehouse_external_id", name="uq_stock_offer_external_id"),
    )

    id: Mapped[Id]
    offer_external_id: Mapped[str] = mapped_column(Text)
    goods_external_id: Mapped[str] = mapped_column(Text)
    warehouse_external_id: Mapped[str] = mapped_column(Text, server_default="")
    quantity: Mapped[Decimal] = mapped_column(Numeric)
    last_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))


class OneCDocument(Base):
    """A document of 1C: an order, an invoice, a payment, a shipment …; a flag is NULL where 1C says nothing of it."""

    __tablename__ = "one_c_document"
    __table_args__ = (
        Index("ix_one_c_document_number_key", "number_key"),
        Index("ix_one_c_document_company_id", "company_id"),
        Index("ix_one_c_document_parent_external_id", "parent_external_id"),
        Index("ix_one_c_document_last_exchange_id", "last_exchange_id"),
    )

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    parent_external_id: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)  # rules.DocumentKind
    operation: Mapped[str] = mapped_column(Text, server_default="")  # ХозОперация as written
    number: Mapped[str] = mapped_column(Text)
    number_key: Mapped[str] = mapped_column(Text)  # shared.numbers
    date: Mapped[dt.date | None]  # of the office's time zone
    at: Mapped[datetime | None]
    amount: Mapped[Decimal | None] = mapped_column(Numeric)
    currency: Mapped[str | None] = mapped_column(Text)
    counterparty_external_id: Mapped[str | None] = mapped_column(Text)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    is_deleted: Mapped[bool] = mapped_column(server_default=text("false"))
    is_cancelled: Mapped[bool] = mapped_column(server_default=text("false"))
    is_posted: Mapped[bool | None]
    is_paid: Mapped[bool | None]
    paid_amount: Mapped[Decimal | None] = mapped_column(Numeric)
    paid_at: Mapped[datetime | None]
    is_shipped: Mapped[bool | None]
    shipped_at: Mapped[datetime | None]
    lines: Mapped[list[Json]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    first_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    last_exchange_id: Mapped[int | None] = mapped_column(ForeignKey("exchange.id"))
    changed_at: Mapped[Moment]
