"""What conditions, titles and moments may know about a deal."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.deals.models import Deal, DealField, Funnel, Stage, StageVisit
from include.deals.rules import debt
from include.process.models import ProcessCase

PLAIN_TITLES = {
    "amount": "Сумма сделки",
    "paid": "Сумма оплаты",
    "debt": "Долг",
    "responsible": "Ответственный",
    "stage": "Стадия",
    "funnel": "Направление",
}


def deal_link(deal_id: int) -> str:
    """Return the address of the deal's card."""
    return f"/backoffice/deals/{deal_id}"


def current_visit(session: Session, deal_id: int) -> StageVisit:
    """Return the deal's present stay on a stage."""
    return session.scalars(select(StageVisit).where(StageVisit.deal_id == deal_id, StageVisit.left_at.is_(None))).one()


def deal_facts(session: Session, deal: Deal, visit: StageVisit | None = None) -> dict[str, Any]:
    """Return the flat facts of a deal; ``visit`` is the stay that a process was started by."""
    visit = visit or current_visit(session, deal.id)
    stage = session.get_one(Stage, deal.stage_id)
    came_from = session.get(Stage, visit.from_stage_id) if visit.from_stage_id else None
    owed, overpaid = debt(deal.amount, deal.paid)
    case = session.get_one(ProcessCase, deal.case_id)
    return {
        **deal.fields,
        "link": deal_link(deal.id),
        "time_zone": case.time_zone,
        "title": deal.title,
        "funnel": session.get_one(Funnel, deal.funnel_code).title,
        "stage": stage.title,
        "stage_entered_at": visit.entered_at,
        "came_from": came_from.title if came_from else None,
        "mover": visit.entered_by,
        "moved_by_person": visit.entered_by is not None,
        "responsible": deal.responsible_id,
        "company": deal.company_id,
        "amount": deal.amount,
        "paid": deal.paid,
        "debt": owed,
        "overpaid": overpaid,
    }


def field_titles(session: Session) -> dict[str, str]:
    """Return Russian titles of all fields by code."""
    rows = session.execute(select(DealField.code, DealField.title)).all()
    return {**PLAIN_TITLES, **{code: title for code, title in rows}}
