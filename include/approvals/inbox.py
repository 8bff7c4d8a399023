"""Which approvals concern a person: those that wait for him, that he asked for or decided; and who may see one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import Session

from include.approvals import core
from include.approvals.models import Approval, ApprovalSeat
from include.deals import rights
from include.shared.db import query_text
from include.staff.services import Viewer, roles_of


def waiting_for(session: Session, viewer: Viewer, limit: int, offset: int = 0) -> tuple[list[int], int]:
    """Return the approvals that wait for the viewer, the most urgent first, and how many there are in all."""
    rows = session.execute(text(query_text("approvals/waiting_for")), _keys(session, viewer, limit, offset)).all()
    if not rows and offset:
        return [], waiting_count(session, viewer)
    return [one.approval_id for one in rows], rows[0].total if rows else 0


def waiting_count(session: Session, viewer: Viewer) -> int:
    """Return how many approvals wait for the viewer."""
    return waiting_for(session, viewer, 1)[1]


def initiated_by(session: Session, viewer: Viewer, limit: int, offset: int = 0) -> tuple[list[int], int]:
    """Return the approvals that the viewer asked for, newest first, and how many there are in all."""
    mine = Approval.initiator_id == viewer.person_id
    total = session.scalar(select(func.count()).select_from(Approval).where(mine)) or 0
    ids = select(Approval.id).where(mine).order_by(Approval.id.desc()).limit(limit).offset(offset)
    return list(session.scalars(ids)), total


def decided_by(session: Session, viewer: Viewer, limit: int, offset: int = 0) -> tuple[list[int], int]:
    """Return the approvals that the viewer decided in any round, the newest decision first, and how many in all."""
    mine = ApprovalSeat.decided_by == viewer.person_id
    latest = func.max(ApprovalSeat.id)
    total = session.scalar(select(func.count(ApprovalSeat.approval_id.distinct())).where(mine)) or 0
    ids = select(ApprovalSeat.approval_id).where(mine).group_by(ApprovalSeat.approval_id).order_by(latest.desc())
    return list(session.scalars(ids.limit(limit).offset(offset))), total


def may_see(session: Session, viewer: Viewer, approval: Approval, now: datetime) -> bool:
    """Say whether the viewer may read an approval: whoever asked, decides or decided, and whoever sees its deal."""
    if rights.sees_all(viewer) or approval.initiator_id == viewer.person_id:
        return True
    return takes_part(session, viewer, approval, now) or rights.may_see_case(session, viewer, approval.case_id)


def takes_part(session: Session, viewer: Viewer, approval: Approval, now: datetime) -> bool:
    """Say whether the viewer decides a seat of this round, decided one ever, or one was his own to decide."""
    me = viewer.person_id
    his = select(ApprovalSeat.id).where(
        ApprovalSeat.approval_id == approval.id,
        or_(ApprovalSeat.decided_by == me, ApprovalSeat.decided_for == me, ApprovalSeat.holder == f"person:{me}"),
    )
    if session.scalar(his.limit(1)) is not None:
        return True
    seats = core.round_seats(session, approval)
    return any(me in core.deciders(session, seat, approval, now) for seat in seats)


def _keys(session: Session, viewer: Viewer, limit: int, offset: int) -> dict[str, object]:
    people, keys = [], []
    for one in (viewer.person_id, *sorted(viewer.acts_for)):
        roles = roles_of(session, [one]) if viewer.acts_for else viewer.roles
        own = [f"person:{one}", *(f"role:{role}" for role in sorted(roles))]
        people += [one] * len(own)
        keys += own
    return {"people": people, "keys": keys, "viewer": viewer.person_id, "limit": limit, "offset": offset}
