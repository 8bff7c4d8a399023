"""Counterparties and their contact persons."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Text, text
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
