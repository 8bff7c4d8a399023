"""Tables of the HTTP exchange: accounts of 1C, their sessions, the packages they send and the files in them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Moment


class OneCAccess(Base):
    """With what a 1C comes in: its own login and password, no person's; ``addresses`` empty: from anywhere."""

    __tablename__ = "one_c_access"

    id: Mapped[Id]
    login: Mapped[str] = mapped_column(Text, unique=True)
    title: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    addresses: Mapped[list[str]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[Moment]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    last_used_at: Mapped[datetime | None]
    last_address: Mapped[str | None] = mapped_column(Text)


class OneCSession(Base):
    """One visit of a 1C: its cookie is known by its hash alone; moments are of the machine's clock."""

    __tablename__ = "one_c_session"
    __table_args__ = (Index("ix_one_c_session_seen_at", "seen_at"),)

    id: Mapped[Id]
    access_id: Mapped[int] = mapped_column(ForeignKey("one_c_access.id"), index=True)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    started_at: Mapped[Moment]
    seen_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    address: Mapped[str] = mapped_column(Text)


class OneCPackage(Base):
    """Files that 1C sent to be loaded together: a hidden folder while they come, then one exchange."""

    __tablename__ = "one_c_package"
    __table_args__ = (
        UniqueConstraint("session_id", "number"),
        CheckConstraint("state IN ('receiving', 'complete', 'abandoned')", name="state"),
        Index("uq_one_c_package_receiving", "session_id", unique=True, postgresql_where=text("state = 'receiving'")),
        Index("ix_one_c_package_receiving", "changed_at", postgresql_where=text("state = 'receiving'")),
    )

    id: Mapped[Id]
    session_id: Mapped[int] = mapped_column(ForeignKey("one_c_session.id"))
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(Text)  # catalog | sale | reference: what 1C called it
    state: Mapped[str] = mapped_column(Text, server_default="receiving")
    name: Mapped[str] = mapped_column(Text, unique=True)  # of its folder in incoming/
    opened_at: Mapped[Moment]
    changed_at: Mapped[Moment]
    ended_at: Mapped[datetime | None]


class OneCFile(Base):
    """A file that comes in parts: what of it is surely on the disk, and how its first and last part are known again."""

    __tablename__ = "one_c_file"
    __table_args__ = (UniqueConstraint("package_id", "name"),)

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("one_c_package.id"))
    name: Mapped[str] = mapped_column(Text)  # safe, relative to the package's folder
    size: Mapped[int]
    parts: Mapped[int]
    first_part: Mapped[str] = mapped_column(Text)  # «size:sha256»
    last_part: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[Moment]
