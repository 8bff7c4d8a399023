"""Who acts for whom at a moment: computed from the absences at each read, so that work comes back by itself.

Work stays with its owner while he is away; whoever stands at the end of the chain of his substitutes acts for him
(A→B→C: while B is away, too, C acts for both). A chain that ends in nobody or in a circle gives nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from include.shared.db import among, query_text
from include.staff.models import Absence, Person


@dataclass(frozen=True)
class Away:
    """Somebody who is away now: until when, and who acts for him (both empty when nobody does)."""

    until: datetime
    actor_id: int | None
    actor: str | None

    def in_words(self) -> str:
        """Return what stands behind his name: who acts for him, or that nobody does."""
        return f"замещает {self.actor}" if self.actor else "отсутствует, никто не замещает"


def acts_for(session: Session, person_id: int, now: datetime) -> frozenset[int]:
    """Return everybody away whom this person stands in for now; nobody while he is away himself."""
    rows = session.scalars(text(query_text("staff/acts_for")), {"person": person_id, "now": now})
    return frozenset(rows)


def stand_ins(session: Session, people: Iterable[int], now: datetime) -> dict[int, int]:
    """Return who acts now for each of these people who is away; those with nobody to act are missing."""
    wanted = sorted(set(people))
    if not wanted:
        return {}
    rows = session.execute(text(query_text("staff/stand_ins")), {"people": wanted, "now": now})
    return {row.away: row.actor for row in rows}


def away(session: Session, people: Iterable[int], now: datetime) -> dict[int, Away]:
    """Return which of these people are away now, until when and who acts for them."""
    wanted = set(people)
    if not wanted:
        return {}
    ends = session.execute(
        select(Absence.person_id, Absence.ends_at).where(
            among(Absence.person_id, wanted),
            Absence.cancelled_at.is_(None),
            Absence.begins_at <= now,
            Absence.ends_at > now,
        )
    ).all()
    if not ends:
        return {}
    actors = stand_ins(session, (one.person_id for one in ends), now)
    names = {one.id: one.short_name for one in session.scalars(select(Person).where(Person.id.in_(actors.values())))}
    return {
        one.person_id: Away(one.ends_at, actor := actors.get(one.person_id), names.get(actor) if actor else None)
        for one in ends
    }
