"""Counterparties and their contact persons."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment
from include.shared.search import search_index


class Company(Base):
    """A counterparty: made by staff in a form or loaded from 1C; never matched by name."""

    __tablename__ = "company"
    __table_args__ = (
        Index(
            "uq_company_external_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index("ix_company_inn_kpp", "inn", "kpp"),
        Index("ix_company_search_key", "search_key", postgresql_ops={"search_key": "text_pattern_ops"}),
        Index("ix_company_joined_into_id", "joined_into_id", postgresql_where=text("joined_into_id IS NOT NULL")),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    full_name: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default="legal")  # legal | sole | person
    inn: Mapped[str | None] = mapped_column(Text)
    kpp: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text)
    search_key: Mapped[str] = mapped_column(Text)
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    #: the card that took everything over; what 1C says of this one is said of that one
    joined_into_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    responsible_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    created_at: Mapped[Moment]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


search_index("ix_company_search", Company.__table__.c.name)


class Contact(Base):
    """A person at a counterparty."""

    __tablename__ = "contact"

    id: Mapped[Id]
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)


class CompanyTwin(Base):
    """Two cards that may be one counterparty: a person joins them, or says that they are different."""

    __tablename__ = "company_twin"
    __table_args__ = (
        UniqueConstraint("kept_id", "other_id"),
        CheckConstraint("state IN ('open', 'joined', 'separated')", name="state"),
        CheckConstraint("reason IN ('same_inn_kpp', 'same_inn', 'by_hand')", name="reason"),
        CheckConstraint("kept_id <> other_id", name="two"),
        Index("ix_company_twin_other_id", "other_id"),
        Index("ix_company_twin_open", "id", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[Id]
    kept_id: Mapped[int] = mapped_column(ForeignKey("company.id"))  # stays when they are joined: the older card
    other_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    reason: Mapped[str] = mapped_column(Text)
    exchange_id: Mapped[int | None]  # the exchange with 1C that brought the other one
    state: Mapped[str] = mapped_column(Text, server_default="open")
    found_at: Mapped[Moment]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    moved: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))  # what undoing gives back
