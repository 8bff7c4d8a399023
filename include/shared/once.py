"""Acts that a caller may repeat: the same key of the same person joins what was made first."""

from __future__ import annotations

import hashlib

from sqlalchemy import select, text

from include.shared.errors import InvalidInput
from include.shared.models import Audit
from include.shared.work import Work

ENTITY = "request_key"
LONGEST_KEY = 200


def joined(work: Work, kind: str, key: str | None) -> int | None:
    """Return the id of what this person made under this key before, else None; others with the key wait their turn."""
    if not key:
        return None
    number = _number(work, kind, key)
    work.session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
    made = work.session.scalar(
        select(Audit.after).where(Audit.entity == ENTITY, Audit.entity_id == number).order_by(Audit.id).limit(1)
    )
    return None if made is None else int(made["made"])


def remember(work: Work, kind: str, key: str | None, made: int) -> None:
    """Keep what was made under the key; written with the fact, in its transaction."""
    if key:
        work.audit(
            "request.accepted", f"Принято: {kind}", entity=ENTITY, entity_id=_number(work, kind, key),
            after={"made": made},
        )  # fmt: skip


def own_key(work: Work, key: str | None) -> str | None:
    """Return the key as nobody else can write it: with the person in front."""
    if not key:
        return None
    _check(key)
    return f"{work.actor.person_id or work.actor.kind}/{key}"


def _number(work: Work, kind: str, key: str) -> int:
    digest = hashlib.sha256(f"{kind}/{own_key(work, key)}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _check(key: str) -> None:
    if len(key) > LONGEST_KEY or not key.isprintable():
        msg = f"Ключ повтора – до {LONGEST_KEY} печатных знаков."
        raise InvalidInput(msg, "request_key")
