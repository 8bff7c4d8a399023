"""Accounts of 1C as an administrator sees and keeps them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from include.one_c_http import access
from include.one_c_http.access import AccessRow
from include.shared.errors import Forbidden
from include.shared.work import transaction
from include.staff.services import Viewer
from include.workplace.shapes import Shape


class OneCAccessRow(Shape):
    """An account with which a 1C comes in."""

    id: int
    login: str
    title: str
    addresses: list[str]
    active: bool
    created_at: datetime
    last_used_at: datetime | None
    last_address: str | None


class NewPassword(Shape):
    """An account with the password that is shown only now."""

    access: OneCAccessRow
    password: str


def accesses(session: Session, viewer: Viewer) -> list[OneCAccessRow]:
    """Return all accounts of 1C, the open ones first."""
    _require(viewer)
    return [_shape(one) for one in access.accesses(session)]


def one(session: Session, viewer: Viewer, access_id: int) -> OneCAccessRow:
    """Return one account of 1C."""
    _require(viewer)
    return _shape(access.access(session, access_id))


def add(viewer: Viewer, login: str, title: str, addresses: str) -> NewPassword:
    """Open an account and return its password."""
    with transaction(viewer.actor) as work:
        row, password = access.add_access(work, login, title, addresses)
    return NewPassword(access=_shape(row), password=password)


def renew(viewer: Viewer, access_id: int) -> NewPassword:
    """Give an account a new password and return it; the old one ends at once."""
    with transaction(viewer.actor) as work:
        row, password = access.renew_password(work, access_id)
    return NewPassword(access=_shape(row), password=password)


def change(
    viewer: Viewer, access_id: int, *, title: str | None = None, addresses: str | None = None,
    active: bool | None = None,
) -> OneCAccessRow:  # fmt: skip
    """Change what is given of an account."""
    with transaction(viewer.actor) as work:
        return _shape(access.change_access(work, access_id, title=title, addresses=addresses, active=active))


def _require(viewer: Viewer) -> None:
    if not viewer.is_admin:
        msg = "Доступы 1С видит и ведёт администратор."
        raise Forbidden(msg)


def _shape(row: AccessRow) -> OneCAccessRow:
    return OneCAccessRow(
        id=row.id, login=row.login, title=row.title, addresses=row.addresses, active=row.active,
        created_at=row.created_at, last_used_at=row.last_used_at, last_address=row.last_address,
    )  # fmt: skip
