"""People, departments, roles and logins."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment
from include.staff.rules import for_whom, short_name


class Department(Base):
    """A unit of the company; ``head_id`` leads it, ``parent_id`` is the unit above."""

    __tablename__ = "department"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text, unique=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("department.id"), index=True)
    head_id: Mapped[int | None] = mapped_column(
        ForeignKey("person.id", use_alter=True, name="fk_department_head_id"), index=True
    )


class Person(Base):
    """An employee; only active ones receive work."""

    __tablename__ = "person"

    id: Mapped[Id]
    last_name: Mapped[str] = mapped_column(Text)
    first_name: Mapped[str] = mapped_column(Text)
    middle_name: Mapped[str] = mapped_column(Text, server_default="")
    post: Mapped[str] = mapped_column(Text, server_default="")
    email: Mapped[str | None] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text, server_default="Europe/Moscow")
    department_id: Mapped[int | None] = mapped_column(ForeignKey("department.id"), index=True)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    preferences: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))  # his own settings, e.g. the theme

    @property
    def short_name(self) -> str:
        """Return «Паздников А. С.»."""
        return short_name(self.last_name, self.first_name, self.middle_name)

    @property
    def for_whom(self) -> str:
        """Return «за Иванову А. П.», as whoever acts for this person is told."""
        return for_whom(self.last_name, self.first_name, self.middle_name)


class Account(Base):
    """How a person logs in; ``access`` is staff, ops (Airflow's operators) or admin."""

    __tablename__ = "account"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    login: Mapped[str] = mapped_column(Text, unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    access: Mapped[str] = mapped_column(Text, server_default="staff")
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    # tokens carry it: a changed password or a closed login makes the older ones worthless
    session_version: Mapped[int] = mapped_column(server_default=text("1"))


class Role(Base):
    """A post or right that work is given to, e.g. ``director`` «Директор»."""

    __tablename__ = "role"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    title: Mapped[str] = mapped_column(Text, unique=True)
    department_id: Mapped[int | None] = mapped_column(ForeignKey("department.id"))  # its head holds the role (R001-18)


class RoleHolder(Base):
    """Who holds a role now."""

    __tablename__ = "role_holder"
    __table_args__ = (Index("ix_role_holder_person_id", "person_id"),)

    role_code: Mapped[str] = mapped_column(ForeignKey("role.code"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)


class Absence(Base):
    """A period in which a person is away and, when named, who stands in for him."""

    __tablename__ = "absence"
    __table_args__ = (
        CheckConstraint("ends_at > begins_at", name="period"),
        CheckConstraint("substitute_id <> person_id", name="another"),
        Index("ix_absence_person_id", "person_id", "ends_at", postgresql_where=text("cancelled_at IS NULL")),
        Index("ix_absence_substitute_id", "substitute_id", "ends_at", postgresql_where=text("cancelled_at IS NULL")),
    )

    id: Mapped[Id]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    substitute_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    begins_at: Mapped[Moment]
    ends_at: Mapped[Moment]
    reason: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[Moment]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    cancelled_at: Mapped[datetime | None]


class LoginAttempt(Base):
    """A try of a password or a link, written before it is judged and taken away when it was right."""

    __tablename__ = "login_attempt"
    __table_args__ = (Index("ix_login_attempt_kind_key_at", "kind", "key", "at"), Index("ix_login_attempt_at", "at"))

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(Text)  # what it is counted by: a login, a login from a known place, an address
    key: Mapped[str] = mapped_column(Text)
    at: Mapped[Moment]


class KnownPlace(Base):
    """From which network address a login was right before: others cannot lock its owner out there."""

    __tablename__ = "known_place"
    __table_args__ = (Index("ix_known_place_seen_at", "seen_at"),)

    login_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    address: Mapped[str] = mapped_column(Text, primary_key=True)
    seen_at: Mapped[Moment]
