"""Who acts for whom at a moment: computed from the absences at each read, so that work comes back by itself.

Work stays with its owner while he is away; whoever stands at the end of the chain of his substitutes acts for him
(A→B→C: while B is away, too, C acts for both). A chain that ends in nobody or in a circle gives nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from include.shared.db import query_text


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
