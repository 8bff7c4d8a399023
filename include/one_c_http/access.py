"""Accounts with which 1C comes in: made, changed and closed by an administrator; the password is shown once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from include.one_c_http import rules
from include.one_c_http.models import OneCAccess, OneCSession
from include.shared import clock
from include.shared.errors import Conflict, Forbidden, NotFound
from include.shared.work import Work
from include.staff.services import hash_password

PASSWORD_BYTES = 18  # 24 signs that nobody guesses; 1C keeps them, no person learns them by heart
_SAID = {"title": "название", "addresses": "адреса", "active": "доступ"}


@dataclass(frozen=True)
class AccessRow:
    """An account of 1C as the administrator sees it."""

    id: int
    login: str
    title: str
    addresses: list[str]
    active: bool
    created_at: datetime
    last_used_at: datetime | None
    last_address: str | None


def accesses(session: Session) -> list[AccessRow]:
    """Return all accounts, the open ones first."""
    rows = session.scalars(select(OneCAccess).order_by(OneCAccess.active.desc(), OneCAccess.login))
    return [_row(one) for one in rows]


def access(session: Session, access_id: int) -> AccessRow:
    """Return one account; NotFound when there is none."""
    found = session.get(OneCAccess, access_id)
    if found is None:
        raise NotFound(_NONE)
    return _row(found)


def add_access(work: Work, login: str, title: str, addresses: str = "") -> tuple[AccessRow, str]:
    """Open an account; returns it with its password, which nobody can read again. Administrators only."""
    _administrator(work)
    login, title, allowed = rules.clean_login(login), rules.clean_title(title), rules.clean_addresses(addresses)
    if work.session.scalar(select(OneCAccess.id).where(OneCAccess.login == login)) is not None:
        msg = f"Логин «{login}» уже занят: выберите другой."
        raise Conflict(msg)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    row = OneCAccess(
        login=login, title=title, password_hash=hash_password(password), addresses=allowed, active=True,
        created_at=work.now, created_by=work.actor.person_id,
    )  # fmt: skip
    work.session.add(row)
    work.session.flush()
    work.audit(
        "one_c_access.added", f"Открыт доступ 1С «{title}» ({login})", entity="one_c_access", entity_id=row.id,
        after={"login": login, "title": title, "addresses": allowed},
    )  # fmt: skip
    return _row(row), password


def renew_password(work: Work, access_id: int) -> tuple[AccessRow, str]:
    """Give an account a new password: the old one and all sessions end at once. Administrators only."""
    row = _locked(work, access_id)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    row.password_hash = hash_password(password)
    _end_sessions(work, row.id)
    work.audit(
        "one_c_access.password", f"Сменён пароль доступа 1С «{row.title}» ({row.login})", entity="one_c_access",
        entity_id=row.id,
    )  # fmt: skip
    return _row(row), password


def change_access(
    work: Work, access_id: int, *, title: str | None = None, addresses: str | None = None, active: bool | None = None
) -> AccessRow:
    """Change what is given; a closed account loses its sessions at once. Administrators only."""
    row = _locked(work, access_id)
    wanted: dict[str, Any] = {
        "title": row.title if title is None else rules.clean_title(title),
        "addresses": row.addresses if addresses is None else rules.clean_addresses(addresses),
        "active": row.active if active is None else active,
    }
    before = {name: getattr(row, name) for name, value in wanted.items() if getattr(row, name) != value}
    if not before:
        return _row(row)
    for name in before:
        setattr(row, name, wanted[name])
    if not row.active:
        _end_sessions(work, row.id)
    changed = ", ".join(_SAID[name] for name in before)
    work.audit(
        "one_c_access.changed", f"Доступ 1С «{row.title}» ({row.login}): изменено – {changed}", entity="one_c_access",
        entity_id=row.id, before=before, after={name: wanted[name] for name in before},
    )  # fmt: skip
    return _row(row)


_NONE = "Такого доступа 1С нет."


def _locked(work: Work, access_id: int) -> OneCAccess:
    _administrator(work)
    row = work.session.get(OneCAccess, access_id, with_for_update=True)
    if row is None:
        raise NotFound(_NONE)
    return row


def _administrator(work: Work) -> None:
    if work.actor.access != "admin":
        msg = "Доступы 1С открывает и закрывает администратор."
        raise Forbidden(msg)


def _end_sessions(work: Work, access_id: int) -> None:
    now = clock.machine_now()
    work.session.execute(
        update(OneCSession)
        .where(OneCSession.access_id == access_id, OneCSession.expires_at > now)
        .values(expires_at=now)
        .execution_options(synchronize_session=False)
    )


def _row(one: OneCAccess) -> AccessRow:
    return AccessRow(
        one.id, one.login, one.title, list(one.addresses), one.active, one.created_at, one.last_used_at,
        one.last_address,
    )  # fmt: skip
