"""Visits of 1C: a login is judged slowly and counted, then a cookie stands for it; the database knows all of it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from include.one_c_http.models import OneCAccess, OneCSession
from include.one_c_http.rules import OneCRefused, may_come
from include.shared import clock
from include.shared.db import engine
from include.staff import attempts
from include.staff.services import fits

IDLE = timedelta(hours=1)
LONGEST = timedelta(hours=24)
NOTED_EVERY = timedelta(seconds=20)
LOGIN_PREFIX = "1c/"  # of what is counted: a person's login of the same name is another thing
LONGEST_SECRET = 400
WRONG = "Неверный логин или пароль. Проверьте их в настройках обмена 1С или попросите новый пароль у администратора."
ENDED = "Сеанс обмена закончился или не начат: начните обмен заново."
NOT_FROM_HERE = "С этого адреса обмен не разрешён. Адрес добавляет администратор в настройках доступа 1С."


@dataclass(frozen=True)
class Visit:
    """A session of 1C that goes on."""

    session_id: int
    access_id: int
    login: str


def open_session(login: str, password: str, address: str) -> str:
    """Return the cookie of a new session; OneCRefused in words, TooManyTries for guessing."""
    if len(login) > LONGEST_SECRET or len(password) > LONGEST_SECRET or "\x00" in login + password:
        raise OneCRefused(WRONG, 401)
    counted = attempts.try_login(f"{LOGIN_PREFIX}{login}", address)
    with Session(engine()) as session, session.begin():
        account = session.scalars(select(OneCAccess).where(OneCAccess.login == login, OneCAccess.active)).first()
        if not fits(account.password_hash if account else None, password) or account is None:
            raise OneCRefused(WRONG, 401)
        if not may_come(address, account.addresses):
            attempts.take_back(counted)
            raise OneCRefused(NOT_FROM_HERE, 403)
        now, token = clock.machine_now(), secrets.token_urlsafe(32)
        session.add(
            OneCSession(
                access_id=account.id,
                token_hash=_hash(token),
                started_at=now,
                seen_at=now,
                expires_at=now + IDLE,
                address=address[:100],
            )
        )
        account.last_used_at, account.last_address = now, address[:100]
    attempts.right(counted)
    return token


def visit_of(token: str | None, address: str) -> Visit:
    """Return the session behind a cookie and keep it alive; OneCRefused when it is none, or may not come from here."""
    if not token or len(token) > LONGEST_SECRET:
        raise OneCRefused(ENDED, 401)
    with Session(engine()) as session, session.begin():
        row = session.execute(
            select(OneCSession, OneCAccess)
            .join(OneCAccess, OneCAccess.id == OneCSession.access_id)
            .where(OneCSession.token_hash == _hash(token))
        ).first()
        now = clock.machine_now()
        if row is None or row[0].expires_at <= now or not row[1].active:
            raise OneCRefused(ENDED, 401)
        visit, account = row
        if not may_come(address, account.addresses):
            raise OneCRefused(NOT_FROM_HERE, 403)
        if now - visit.seen_at >= NOTED_EVERY:
            until = min(now + IDLE, visit.started_at + LONGEST)
            session.execute(update(OneCSession).where(OneCSession.id == visit.id).values(seen_at=now, expires_at=until))
        return Visit(visit.id, account.id, account.login)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
