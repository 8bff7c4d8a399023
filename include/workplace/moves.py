"""Where a deal may go, and what each move would miss: for its page, the board and the API."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.deals import rights
from include.deals.models import Deal, Stage
from include.deals.moves import Unmet, unmet_by_stage
from include.staff.services import Viewer
from include.workplace.directory import stage_row
from include.workplace.shapes import MissingItem, MoveRow


def moves_of(session: Session, viewer: Viewer, deal_id: int) -> list[MoveRow]:
    """Return the other stages of the deal's funnel, each with what warns, what forbids, and the viewer's right."""
    deal = rights.require_seen(session, viewer, deal_id)
    may = rights.may_move(session, viewer, deal)
    stages = session.scalars(
        select(Stage)
        .where(Stage.funnel_code == deal.funnel_code, Stage.id != deal.stage_id, Stage.active)
        .order_by(Stage.position)
    ).all()
    unmet = unmet_by_stage(session, deal, stages)
    return [
        MoveRow(
            stage=stage_row(one),
            may=may,
            closes=one.kind != "open",
            warnings=_items(unmet[one.id], "warn"),
            blocks=_items(unmet[one.id], "block"),
        )
        for one in stages
    ]


def warnings_of(session: Session, viewer: Viewer, deal_id: int, stage: str) -> list[MissingItem]:
    """Return what a move to the stage (code or title) should be warned of; nothing for a deal not to be seen."""
    deal = session.scalars(select(Deal).where(Deal.id == deal_id, rights.visible_to(viewer))).first()
    if deal is None:
        return []
    target = session.scalars(
        select(Stage).where(
            Stage.funnel_code == deal.funnel_code,
            Stage.id != deal.stage_id,
            (Stage.code == stage) | (Stage.title == stage),
        )
    ).first()
    return _items(unmet_by_stage(session, deal, [target])[target.id], "warn") if target is not None else []


def _items(unmet: list[Unmet], kind: str) -> list[MissingItem]:
    return [MissingItem(text=one.text, link=one.link) for one in unmet if one.kind == kind]
