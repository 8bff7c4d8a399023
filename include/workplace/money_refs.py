"""Deals as the pages of money name them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.deals.facts import deal_link
from include.deals.models import Deal, Stage
from include.shared.db import among
from include.workplace.money_shapes import DealRef

ENDED = {"won": "сделка успешна", "lost": "сделка проиграна"}


def deal_refs(session: Session, ids: Iterable[int]) -> dict[int, DealRef]:
    """Return deals as links show them, by id."""
    rows = session.execute(
        select(Deal.id, Deal.title, Stage.kind).join(Stage, Stage.id == Deal.stage_id).where(among(Deal.id, list(ids)))
    )
    return {
        row.id: DealRef(id=row.id, title=row.title, link=deal_link(row.id), over=ENDED.get(row.kind)) for row in rows
    }
