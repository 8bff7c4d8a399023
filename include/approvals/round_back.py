"""A round of an approval taken back, because the task that put its remarks right was closed by mistake (★11)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from include.approvals.core import ONCE, asked_seats, own_deciders
from include.approvals.models import Approval, ApprovalSeat, DecisionLink
from include.approvals.rules import DECIDED
from include.notices.services import notify
from include.process.models import ProcessCase
from include.shared.errors import Conflict
from include.shared.work import Work


def check_back(session: Session, approval: Approval, fixed_round: int) -> None:
    """Raise Conflict, saying why, unless the round that the task of ``fixed_round`` opened is undecided yet."""
    if approval.state != "open" or approval.round != fixed_round + 1:
        msg = (
            f"Согласование «{approval.title}» уже ушло дальше: по исправленному решили. Если исправление не то, "
            "скажите об этом согласующим."
        )
        raise Conflict(msg)
    decided = [one.title for one in _of_round(session, approval) if _decided_here(session, approval, one)]
    if decided:
        msg = (
            f"Круг {approval.round} согласования «{approval.title}» уже решают: ответил {', '.join(decided)}. "
            "Ответ согласующего назад не берётся."
        )
        raise Conflict(msg)


def take_back(work: Work, approval: Approval, fixed_round: int) -> None:
    """Ask nobody any more in a round that nobody has decided in; the approval waits for the remarks again."""
    check_back(work.session, approval, fixed_round)
    seats = _of_round(work.session, approval)
    told = [one for seat in asked_seats(work.session, approval.id) for one in own_deciders(work, approval, seat)]
    gone = [one.id for one in seats]
    work.session.execute(delete(DecisionLink).where(DecisionLink.seat_id.in_(gone)))
    work.session.execute(delete(ApprovalSeat).where(ApprovalSeat.id.in_(gone)))
    text = f"Круг {approval.round} согласования «{approval.title}» отменён: замечания устраняются снова"
    approval.round, approval.state = fixed_round, "rework"
    case = work.session.get_one(ProcessCase, approval.case_id)
    notify(
        work, told, f"{text}: {case.title}",
        key=f"approval-{approval.id}/round-{fixed_round + 1}/back/{work.now.isoformat()}", case_id=approval.case_id,
        approval_id=approval.id,
    )  # fmt: skip
    work.audit(
        "approval.round_taken_back", text, entity="approval", entity_id=approval.id, case_id=approval.case_id,
        before={"round": fixed_round + 1, "seats": [one.title for one in seats]}, after={"round": fixed_round},
    )  # fmt: skip
    work.touch(approval.case_id)
    work.session.flush()


def _of_round(session: Session, approval: Approval) -> Sequence[ApprovalSeat]:
    found = select(ApprovalSeat).where(ApprovalSeat.approval_id == approval.id, ApprovalSeat.round == approval.round)
    return session.scalars(found.order_by(ApprovalSeat.position, ApprovalSeat.attempt)).all()


def _decided_here(session: Session, approval: Approval, seat: ApprovalSeat) -> bool:
    """Say whether a person answered in this very round: a consent kept from the round before is no answer of it."""
    if seat.decided_by is None or seat.remark == ONCE:
        return False
    if seat.state not in (*DECIDED, "voided"):
        return False
    kept = select(ApprovalSeat.id).where(
        ApprovalSeat.approval_id == approval.id,
        ApprovalSeat.round == approval.round - 1,
        ApprovalSeat.position == seat.position,
        ApprovalSeat.decided_at == seat.decided_at,
    )
    return session.scalar(kept.limit(1)) is None
