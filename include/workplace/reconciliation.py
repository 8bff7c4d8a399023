"""What the reconciliation found, as each person sees it: those who handle money all of it, others what is theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.orm import Session

from include.exchange_1c.rights import ONE_C
from include.money.rights import may_handle
from include.reconciliation.models import Discrepancy
from include.reconciliation.rules import KINDS, next_step, sentence, step_link
from include.reconciliation.services import RAN
from include.shared.models import Audit
from include.staff.models import Person
from include.staff.services import Viewer, names
from include.workplace.money_refs import deal_refs
from include.workplace.reconciliation_shapes import DisagreementRow, KindCount, OwnerCount, Reconciliation
from include.workplace.shapes import Page, PersonRef

PER_PAGE = 50


@dataclass(frozen=True)
class DisagreementFilter:
    """Which disagreements are wanted; ``owner_id`` 0 asks for those of nobody, ``closed`` for those that agree now."""

    kind: str = ""
    owner_id: int | None = None
    closed: bool = False


def sees_all(viewer: Viewer) -> bool:
    """Say whether the viewer sees every disagreement: who handles money, who answers for the exchange, operations."""
    return may_handle(viewer) or viewer.access == "ops" or ONE_C in viewer.roles


def disagreements(
    session: Session, viewer: Viewer, wanted: DisagreementFilter, *, page: int = 1, per_page: int = PER_PAGE
) -> Reconciliation:
    """Return a page of what disagrees, the oldest first (of what agrees now the newest first), with the counts."""
    seen = _seen(viewer)
    is_open = Discrepancy.closed_at.is_(None)
    found = [seen, *_conditions(wanted)]
    total = session.scalar(select(func.count()).select_from(Discrepancy).where(*found)) or 0
    order = (
        (Discrepancy.closed_at.desc(), Discrepancy.id.desc())
        if wanted.closed
        else (Discrepancy.found_at, Discrepancy.id)
    )
    rows = session.scalars(
        select(Discrepancy).where(*found).order_by(*order).offset((page - 1) * per_page).limit(per_page)
    ).all()
    kinds = session.execute(
        select(Discrepancy.kind, func.count().label("number")).where(seen, is_open).group_by(Discrepancy.kind)
    )
    counted = {one.kind: one.number for one in kinds}
    ran = session.execute(select(Audit.at, Audit.text).where(Audit.action == RAN).order_by(Audit.id.desc())).first()
    return Reconciliation(
        page=Page[DisagreementRow](items=_rows(session, rows), total=total, page=page, per_page=per_page),
        kinds=[
            KindCount(kind=kind, title=of.title, number=counted[kind])
            for kind, of in KINDS.items()
            if kind in counted
        ],
        owners=_owners(session, seen), ran_at=ran.at if ran else None, ran_text=ran.text if ran else "",
        may_run=may_handle(viewer),
    )  # fmt: skip


def _seen(viewer: Viewer) -> ColumnElement[bool]:
    if sees_all(viewer):
        return true()
    mine: list[ColumnElement[bool]] = [Discrepancy.owner_id.in_((viewer.person_id, *sorted(viewer.acts_for)))]
    if viewer.led_departments:
        led = select(Person.id).where(Person.department_id.in_(viewer.led_departments))
        mine.append(Discrepancy.owner_id.in_(led))
    return or_(*mine)


def _conditions(wanted: DisagreementFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        Discrepancy.closed_at.is_not(None) if wanted.closed else Discrepancy.closed_at.is_(None)
    ]
    if wanted.kind:
        found.append(Discrepancy.kind == wanted.kind)
    if wanted.owner_id is not None:
        found.append(Discrepancy.owner_id == wanted.owner_id if wanted.owner_id else Discrepancy.owner_id.is_(None))
    return found


def _owners(session: Session, seen: ColumnElement[bool]) -> list[OwnerCount]:
    rows = session.execute(
        select(Discrepancy.owner_id, func.count().label("number"))
        .where(seen, Discrepancy.closed_at.is_(None))
        .group_by(Discrepancy.owner_id)
    ).all()
    people = names(session, {one.owner_id for one in rows if one.owner_id is not None})
    found = [OwnerCount(owner=_person(one.owner_id, people), number=one.number) for one in rows]
    return sorted(found, key=lambda one: (one.owner is None, one.owner.name if one.owner else ""))


def _rows(session: Session, rows: Sequence[Discrepancy]) -> list[DisagreementRow]:
    people = names(session, {one.owner_id for one in rows if one.owner_id is not None})
    deals = deal_refs(session, {one.deal_id for one in rows if one.deal_id is not None})
    return [
        DisagreementRow(
            id=one.id, kind=one.kind, title=KINDS[one.kind].title, text=sentence(one.kind, one.details),
            step=next_step(one.kind, one.details),
            link=step_link(
                one.kind, deal_id=one.deal_id, invoice_id=one.invoice_id, payment_id=one.payment_id, details=one.details
            ),
            deal=deals.get(one.deal_id) if one.deal_id is not None else None, owner=_person(one.owner_id, people),
            found_at=one.found_at, seen_at=one.seen_at, closed_at=one.closed_at,
        )
        for one in rows
    ]  # fmt: skip


def _person(person_id: int | None, people: dict[int, str]) -> PersonRef | None:
    return PersonRef(id=person_id, name=people.get(person_id, "")) if person_id is not None else None
