"""Guessing is slowed: tries of passwords and links are counted in the database, so all API servers know them.

A try is written down before it is judged and taken away when it was right: a hundred at once are a hundred tries.
Each wrong one beyond the free ones doubles the pause, up to a quarter of an hour; what is refused meanwhile adds
nothing, so nobody is locked out for good. Who logs in from where he was right before is counted apart: a stranger's
guessing does not keep him out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

from sqlalchemy import delete, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.shared import clock
from include.shared.db import engine
from include.shared.errors import BackofficeError
from include.staff.models import KnownPlace, LoginAttempt

REMEMBERED = timedelta(hours=1)
PLACE_KNOWN_FOR = timedelta(days=60)
LONGEST_PAUSE = timedelta(minutes=15)
_LOCK = 730_022


@dataclass(frozen=True)
class Limit:
    """How many wrong tries within an hour cost nothing, and the pause after the next one; each later doubles it."""

    free: int
    first_pause: timedelta

    def pause_after(self, wrong: int) -> timedelta:
        """Return how long to wait after so many wrong tries."""
        beyond = wrong - self.free
        return timedelta(0) if beyond < 0 else min(self.first_pause * 2 ** min(beyond, 20), LONGEST_PAUSE)


#: An address may be a whole office behind one router: it has more tries than one login has.
LIMITS = {
    "login": Limit(5, timedelta(seconds=30)),
    "place": Limit(5, timedelta(seconds=30)),
    "address": Limit(30, timedelta(seconds=30)),
    "link": Limit(10, timedelta(seconds=30)),
}


class TooManyTries(BackofficeError):
    """Somebody is guessing; ``seconds`` says when he may try again."""

    def __init__(self, pause: timedelta) -> None:
        self.seconds = max(1, -(-pause // timedelta(seconds=1)))
        wait = f"{self.seconds} с" if self.seconds < 60 else f"{-(-self.seconds // 60)} мин"
        super().__init__(f"Слишком много неудачных попыток. Повторите через {wait}.")


@dataclass(frozen=True)
class Counted:
    """A try that has been written down."""

    login_hash: str
    address: str
    keys: tuple[tuple[str, str], ...]
    rows: tuple[int, ...]


def try_login(login: str, address: str) -> Counted:
    """Write down a try of a password; TooManyTries while its login or its address must wait."""
    hashed, network = _hash(login), network_of(address)
    with Session(engine()) as session, session.begin():
        now = clock.machine_now()
        keys = [("place", f"{hashed} {network}")] if _is_known(session, hashed, network, now) else [
            ("address", network), ("login", hashed)
        ]  # fmt: skip
        rows = _count(session, keys, now)
    return Counted(hashed, network, tuple(keys), rows)


def right(counted: Counted) -> None:
    """Forget the wrong tries of a login that has been right now, and know its place from now on.

    Of its address only this try is forgotten: whoever has a login of his own could else guess at others' for ever.
    """
    own = [key for kind, key in counted.keys if kind != "address"]
    with Session(engine()) as session, session.begin():
        session.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(counted.rows)))
        session.execute(
            delete(LoginAttempt).where(LoginAttempt.kind.in_(("login", "place")), LoginAttempt.key.in_(own))
        )
        place = insert(KnownPlace).values(
            login_hash=counted.login_hash, address=counted.address, seen_at=clock.machine_now()
        )
        session.execute(
            place.on_conflict_do_update(
                index_elements=[KnownPlace.login_hash, KnownPlace.address], set_={"seen_at": place.excluded.seen_at}
            )
        )


def take_back(counted: Counted) -> None:
    """Forget a try that was not judged."""
    with Session(engine()) as session, session.begin():
        session.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(counted.rows)))


def check_links(address: str) -> None:
    """Raise TooManyTries while this address must wait with its links."""
    with Session(engine()) as session, session.begin():
        _check(session, "link", network_of(address), clock.machine_now())


def wrong_link(address: str) -> None:
    """Write down that somebody at this address came with a link that is none of ours."""
    with Session(engine()) as session, session.begin():
        _count(session, [("link", network_of(address))], clock.machine_now(), checks=False)


def network_of(address: str) -> str:
    """Return what an address is counted under: itself, of IPv6 the network that one subscriber has."""
    try:
        known = ip_address(address.split("%")[0])
    except ValueError:
        return _hash(address)
    if isinstance(known, IPv4Address):
        return str(known)
    inner = known.ipv4_mapped
    return str(inner) if inner is not None else f"{IPv6Address(int(known) >> 64 << 64)}/64"


def _is_known(session: Session, hashed: str, network: str, now: datetime) -> bool:
    seen = select(KnownPlace.seen_at).where(KnownPlace.login_hash == hashed, KnownPlace.address == network)
    at = session.scalar(seen)
    return at is not None and now - at < PLACE_KNOWN_FOR


def _count(session: Session, keys: Sequence[tuple[str, str]], now: datetime, *, checks: bool = True) -> tuple[int, ...]:
    for kind, key in sorted(keys):
        session.execute(text("SELECT pg_advisory_xact_lock(:family, hashtext(:key))"), {"family": _LOCK, "key": key})
        if checks:
            _check(session, kind, key, now)
    _clean(session, now)
    rows = [LoginAttempt(kind=kind, key=key, at=now) for kind, key in keys]
    session.add_all(rows)
    session.flush()
    return tuple(one.id for one in rows)


def _check(session: Session, kind: str, key: str, now: datetime) -> None:
    wrong, last = session.execute(
        select(func.count(), func.max(LoginAttempt.at)).where(
            LoginAttempt.kind == kind, LoginAttempt.key == key, LoginAttempt.at > now - REMEMBERED
        )
    ).one()
    left = last + LIMITS[kind].pause_after(wrong) - now if wrong else timedelta(0)
    if left > timedelta(0):
        raise TooManyTries(left)


def _clean(session: Session, now: datetime) -> None:
    # rows that another server is just removing are left to it: waiting for each other they could wait for ever
    old = select(LoginAttempt.id).where(LoginAttempt.at < now - REMEMBERED).with_for_update(skip_locked=True)
    session.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(old)))
    gone = select(KnownPlace.login_hash, KnownPlace.address).where(KnownPlace.seen_at < now - PLACE_KNOWN_FOR)
    session.execute(
        delete(KnownPlace).where(
            tuple_(KnownPlace.login_hash, KnownPlace.address).in_(gone.with_for_update(skip_locked=True))
        )
    )


def _hash(login: str) -> str:
    """Return what stands for a login here: what is typed there may be a password."""
    return hashlib.sha256(login.strip().lower().encode("utf-8", "replace")).hexdigest()[:32]
