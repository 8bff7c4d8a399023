"""Who may see a deal and who may change it; the same rules for pages, API and lists."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true, union_all
from sqlalchemy.orm import Session, aliased

from include.deals.models import Deal, Funnel, Stage, StageVisit
from include.shared.errors import Forbidden, NotFound
from include.shared.work import READING
from include.staff.models import Person
from include.staff.services import Viewer, is_over
from include.talk.models import Comment, Mention
from include.tasks.models import Task, TaskObserver

GOODS = "Товары"
PRODUCT_MANAGER, ACCOUNTANT = "product_manager", "accountant"
_SEEN = "deals.rights.seen"
LEAD_TAKERS = frozenset({"manager", "head"})


def sees_all(viewer: Viewer) -> bool:
    """Say whether the viewer sees every deal: administrators, operators, accountants."""
    return viewer.access in ("admin", "ops") or ACCOUNTANT in viewer.roles


def visible_to(viewer: Viewer, *, of_one: bool = False) -> ColumnElement[bool]:
    """Return the condition on ``deal`` that keeps what the viewer may see.

    A list is put together of what each way to a deal finds by its index (a filter of all deals by all ways at once
    would look at each of them); of ``of_one`` deal only what belongs to it is asked.
    """
    if sees_all(viewer):
        return true()
    if of_one:
        return or_(*_ways(viewer, Deal))
    other = aliased(Deal)
    return Deal.id.in_(union_all(*(select(other.id).where(way) for way in _ways(viewer, other))))


def _ways(viewer: Viewer, deal: type[Deal]) -> list[ColumnElement[bool]]:
    """Return the ways by which a viewer comes to see a deal, each a condition on it."""
    me = viewer.person_id
    mine = (me, *sorted(viewer.acts_for))  # what whom he stands in for may see
    its_task = select(Task.id).where(Task.case_id == deal.case_id)
    ways = [
        deal.responsible_id.in_(mine),
        deal.created_by.in_(mine),  # whoever registered it for somebody else
        its_task.where(Task.executor_id.in_(mine)).exists(),
        its_task.where(Task.creator_id.in_(mine)).exists(),
        its_task.join(TaskObserver, TaskObserver.task_id == Task.id).where(TaskObserver.person_id.in_(mine)).exists(),
        # whoever was called in its talk, as long as the comment stands
        select(Mention.comment_id)
        .join(Comment, Comment.id == Mention.comment_id)
        .where(Comment.case_id == deal.case_id, Mention.person_id.in_(mine), Comment.removed_at.is_(None))
        .exists(),
        # whoever brought it to its present stage: a taken lead becomes his own a moment later (R002-10)
        select(StageVisit.id)
        .where(StageVisit.deal_id == deal.id, StageVisit.entered_by == me, StageVisit.left_at.is_(None))
        .exists(),
    ]
    if viewer.led_departments:
        ways.append(deal.responsible_id.in_(select(Person.id).where(Person.department_id.in_(viewer.led_departments))))
    if takes_leads(viewer):
        ways.append(deal.stage_id.in_(_first_stages()))
    if PRODUCT_MANAGER in viewer.roles:
        ways.append(deal.funnel_code.in_(select(Funnel.code).where(Funnel.title == GOODS)))
    return ways


def takes_leads(viewer: Viewer) -> bool:
    """Say whether the viewer may take any request off «Не обработан» («приемка лида в работу», R002-9b, R002-10)."""
    return bool(viewer.roles & LEAD_TAKERS)


def _first_stages() -> Select[int]:
    first = select(Stage.funnel_code, func.min(Stage.position).label("at")).group_by(Stage.funnel_code).subquery()
    return select(Stage.id).join(first, and_(first.c.funnel_code == Stage.funnel_code, first.c.at == Stage.position))


def first_stages(session: Session) -> frozenset[int]:
    """Return the ids of the stages where requests wait to be taken («Не обработан»)."""
    return frozenset(session.scalars(_first_stages()))


def may_see(session: Session, viewer: Viewer, deal_id: int) -> bool:
    """Say whether the viewer may read this deal."""
    return session.scalar(select(Deal.id).where(Deal.id == deal_id, visible_to(viewer, of_one=True))) is not None


def may_see_case(session: Session, viewer: Viewer, case_id: int) -> bool:
    """Say whether the viewer may read the deal of this case; a case without a deal only by its tasks."""
    if any(one.case_id == case_id and person == viewer.person_id for (person, _), one in _seen(session).items()):
        return True
    seen = select(Deal.id).where(Deal.case_id == case_id, visible_to(viewer, of_one=True))
    return session.scalar(seen) is not None


def may_edit(session: Session, viewer: Viewer, deal: Deal) -> bool:
    """Say whether the viewer may change this deal: its responsible or his substitute, his head, an administrator."""
    return is_over(session, viewer, deal.responsible_id)


def may_move(session: Session, viewer: Viewer, deal: Deal) -> bool:
    """Say whether the viewer may move this deal: whoever may change it, and on «Не обработан» whoever takes leads."""
    if may_edit(session, viewer, deal):
        return True
    return takes_leads(viewer) and deal.stage_id in first_stages(session)


def require_seen(session: Session, viewer: Viewer, deal_id: int) -> Deal:
    """Return a deal that the viewer may read; NotFound for a foreign one, as if it did not exist."""
    known = _seen(session).get((viewer.person_id, deal_id))  # each part of a card asks
    if known is not None:
        return known
    deal = session.scalars(select(Deal).where(Deal.id == deal_id, visible_to(viewer, of_one=True))).first()
    if deal is None:
        msg = f"Сделки № {deal_id} нет."
        raise NotFound(msg)
    if session.info.get(READING):
        _seen(session)[viewer.person_id, deal_id] = deal
    return deal


def _seen(session: Session) -> dict[tuple[int, int], Deal]:
    """Return which person was found to see which deal in a session that only reads; nothing in another."""
    seen: dict[tuple[int, int], Deal] = session.info.setdefault(_SEEN, {})
    return seen


def require_edit(session: Session, viewer: Viewer, deal_id: int) -> Deal:
    """Return a deal that the viewer may change; NotFound for an invisible one, Forbidden for a visible one."""
    deal = require_seen(session, viewer, deal_id)
    return _allowed(deal, may_edit(session, viewer, deal), "менять")


def require_move(session: Session, viewer: Viewer, deal_id: int) -> Deal:
    """Return a deal that the viewer may move; NotFound for an invisible one, Forbidden for a visible one."""
    deal = require_seen(session, viewer, deal_id)
    return _allowed(deal, may_move(session, viewer, deal), "переводить")


def _allowed(deal: Deal, may: bool, what: str) -> Deal:
    if not may:
        msg = f"Нет прав: {what} сделку может её ответственный, кто его замещает, его руководитель или администратор."
        raise Forbidden(msg)
    return deal


def tasks_visible_to(viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition on ``task`` that keeps what ``task_visible`` lets the viewer read."""
    if sees_all(viewer):
        return true()
    mine = (viewer.person_id, *sorted(viewer.acts_for))
    allowed: list[ColumnElement[bool]] = [
        Task.executor_id.in_(mine),
        Task.creator_id.in_(mine),
        Task.id.in_(select(TaskObserver.task_id).where(TaskObserver.person_id.in_(mine))),
        Task.case_id.in_(select(Deal.case_id).where(visible_to(viewer))),
    ]
    if viewer.led_departments:
        led = select(Person.id).where(Person.department_id.in_(viewer.led_departments))
        allowed.append(Task.executor_id.in_(led))
    return or_(*allowed)


def task_visible(session: Session, viewer: Viewer, task: Task) -> bool:
    """Say whether the viewer may read a task: takes part in it, leads its executor, or sees its deal."""
    mine = {viewer.person_id, *viewer.acts_for}
    if sees_all(viewer) or not mine.isdisjoint({task.executor_id, task.creator_id}):
        return True
    watched = select(TaskObserver.person_id).where(TaskObserver.task_id == task.id, TaskObserver.person_id.in_(mine))
    if session.scalars(watched).first() is not None:
        return True
    return is_over(session, viewer, task.executor_id) or may_see_case(session, viewer, task.case_id)
