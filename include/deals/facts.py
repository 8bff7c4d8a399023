"""What conditions, titles and moments may know about a deal."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from include.deals.models import Deal, DealField, Funnel, Stage, StageVisit
from include.process.models import ProcessCase

PLAIN_TITLES = {
    "amount": "Сумма сделки",
    "paid": "Сумма оплаты",
    "debt": "Долг",
    "responsible": "Ответственный",
    "stage": "Стадия",
    "funnel": "Направление",
    "time_zone": "Часовой пояс клиента",
    "title": "Название",
}


def deal_link(deal_id: int) -> str:
    """Return the address of the deal's card."""
    return f"/backoffice/deals/{deal_id}"


def current_visit(session: Session, deal_id: int) -> StageVisit:
    """Return the deal's present stay on a stage."""
    return session.scalars(select(StageVisit).where(StageVisit.deal_id == deal_id, StageVisit.left_at.is_(None))).one()


def deal_facts(session: Session, deal: Deal, visit: StageVisit | None = None) -> dict[str, Any]:
    """Return the flat facts of a deal; ``visit`` is the stay that a process was started by."""
    return _facts(session, Deal.id == deal.id, visit.id if visit else None) or {}


def case_deal_facts(session: Session, case_id: int, visit_id: int | None = None) -> dict[str, Any] | None:
    """Return the facts of a case's deal in one query, or None when the case has none."""
    return _facts(session, Deal.case_id == case_id, visit_id)


def _facts(session: Session, which: ColumnElement[bool], visit_id: int | None) -> dict[str, Any] | None:
    stay = StageVisit.left_at.is_(None) if visit_id is None else StageVisit.id == visit_id
    before = aliased(Stage)
    row = session.execute(
        select(
            Deal, Funnel.title, Stage.title, StageVisit.entered_at, StageVisit.entered_by, before.title,
            ProcessCase.time_zone,
        )
        .join(Funnel, Funnel.code == Deal.funnel_code)
        .join(Stage, Stage.id == Deal.stage_id)
        .join(ProcessCase, ProcessCase.id == Deal.case_id)
        .join(StageVisit, (StageVisit.deal_id == Deal.id) & stay)
        .outerjoin(before, before.id == StageVisit.from_stage_id)
        .where(which)
    ).first()  # fmt: skip
    if row is None:
        return None
    deal, funnel, stage, entered_at, entered_by, came_from, time_zone = row
    return {
        **deal.fields,
        "link": deal_link(deal.id),
        "time_zone": time_zone,
        "title": deal.title,
        "funnel": funnel,
        "stage": stage,
        "stage_entered_at": entered_at,
        "came_from": came_from,
        "mover": entered_by,
        "moved_by_person": entered_by is not None,
        "responsible": deal.responsible_id,
        "company": deal.company_id,
        "amount": deal.amount,
        "paid": deal.paid,
        "debt": deal.debt,
        "overpaid": deal.overpaid,
    }


def field_titles(session: Session) -> dict[str, str]:
    """Return Russian titles of all fields by code."""
    rows = session.execute(select(DealField.code, DealField.title))
    return {**PLAIN_TITLES, **dict(rows.all())}
