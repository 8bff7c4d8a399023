"""Use cases of approvals: a person decides, gets his letter link, decides by it; the first answer of a seat wins."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.approvals import core, inbox, links, people, rules
from include.approvals.links import LinkView, read_link
from include.approvals.models import Approval, ApprovalSeat
from include.documents.models import FileVersion
from include.shared.errors import BackofficeError, Conflict, Forbidden, InvalidInput, NotFound
from include.shared.texts import storable, visible
from include.shared.work import Actor, Work
from include.staff import services as staff
from include.staff.services import Viewer

Answer = Literal["approve", "reject"]
STATE_OF_ANSWER = {"approve": "approved", "reject": "rejected"}
LONGEST_REMARK = 4000
REPLACED = "Файл заменён, посмотрите новую версию."
ENDED = {
    "approved": "Согласование уже окончено: согласовано.",
    "rejected": "Согласование уже окончено: отклонено.",
    "rework": "Есть замечания: решать можно будет, когда их устранят.",
}


def decide(
    work: Work,
    viewer: Viewer,
    approval_id: int,
    answer: str,
    remark: str = "",
    *,
    seen_version: int | None = None,
    seat_id: int | None = None,
) -> Approval:
    """Approve or reject for oneself or for whom one stands in; a rejection needs its remark (R002-65, R003-16).

    ``seen_version`` is the file that the person looked at: Conflict when it was replaced meanwhile. ``seat_id`` is the
    question that he answered. The first answer wins, the same answer of the same person again changes nothing.
    """
    approval = _seen(work, viewer, approval_id)
    _decide(work, approval, viewer.person_id, answer, remark, seen_version, seat_id)
    return approval


def make_link(work: Work, viewer: Viewer, approval_id: int) -> str:
    """Return a new signed link token by which this person, and nobody else, may decide his seat once."""
    approval = _seen(work, viewer, approval_id)
    seat, _ = _own_seat(work, approval, viewer.person_id, None)
    if seat is None:
        raise _refusal(work, approval, viewer.person_id)
    version = people.present_version(work.session, approval)
    return links.make(work, seat, viewer.person_id, version.id if version is not None else None)


def decide_by_link(work: Work, token: str, answer: str, remark: str = "", seen_version: int | None = None) -> LinkView:
    """Decide by the link of a letter as the person it was made for; it works once. Conflict says why it does not."""
    link = links.link_of(work.session, token)
    seat = work.session.get_one(ApprovalSeat, link.seat_id)
    approval = work.session.get_one(Approval, seat.approval_id)
    work.lock_case(approval.case_id)
    for row in (link, seat, approval):
        work.session.refresh(row)
    view = read_link(work.session, token, work.now)
    if view.state != "ready":
        raise Conflict(view.words)
    work.actor = Actor(person_id=link.person_id, kind="person")
    seen = seen_version if seen_version is not None else view.version_id
    _decide(work, approval, link.person_id, answer, remark, seen, seat.id)
    link.used_at = work.now
    work.session.flush()
    return replace(view, state="used", words=links.used_words(work.session, link))


def _seen(work: Work, viewer: Viewer, approval_id: int) -> Approval:
    """Return an approval that the viewer may see, its case locked first."""
    case_id = work.session.scalar(select(Approval.case_id).where(Approval.id == approval_id))
    if case_id is not None:
        work.lock_case(case_id)
        approval = work.session.get_one(Approval, approval_id, populate_existing=True)
        if inbox.may_see(work.session, viewer, approval, work.now):
            return approval
    msg = f"Согласования № {approval_id} нет."
    raise NotFound(msg)


def _decide(
    work: Work,
    approval: Approval,
    person_id: int,
    answer: str,
    remark: str,
    seen_version: int | None,
    seat_id: int | None,
) -> None:
    state = STATE_OF_ANSWER.get(answer)
    if state is None:
        msg = "Ответ – согласовать или отклонить."
        raise InvalidInput(msg, "answer")
    remark = _remark(remark, needed=state == "rejected")
    seat, absent = _own_seat(work, approval, person_id, seat_id)
    if seat is None:
        if _is_repeated(work.session, approval, person_id, state, seat_id):
            return
        raise _refusal(work, approval, person_id)
    _require_present_file(work.session, approval, state, seen_version)
    core.record_answer(work, approval, seat, state, remark, person_id, absent)


def _remark(value: str, *, needed: bool) -> str:
    remark = value.strip() if isinstance(value, str) else ""
    if needed and not visible(remark):
        msg = "Напишите, что исправить: без замечаний отклонить нельзя."
        raise InvalidInput(msg, "remark")
    if len(remark) > LONGEST_REMARK or not storable(remark):
        msg = f"Замечания – до {LONGEST_REMARK} знаков, без служебных."
        raise InvalidInput(msg, "remark")
    return remark if visible(remark) else ""


def _own_seat(
    work: Work, approval: Approval, person_id: int, seat_id: int | None
) -> tuple[ApprovalSeat | None, int | None]:
    """Return the asked seat that this person may decide now, and the absent person he does it for."""
    if approval.state != "open":
        return None, None
    for seat in core.asked_seats(work.session, approval.id):
        if seat_id in (None, seat.id):
            may = people.who_may(work.session, approval, seat, work.now)
            if person_id in may:
                return seat, may[person_id]
    return None, None


def _is_repeated(session: Session, approval: Approval, person_id: int, state: str, seat_id: int | None) -> bool:
    """Say whether this person has given this very answer already: a doubled delivery changes nothing."""
    if seat_id is not None:
        seat = session.get(ApprovalSeat, seat_id)
        return seat is not None and (seat.approval_id, seat.decided_by, seat.state) == (approval.id, person_id, state)
    seats = core.round_seats(session, approval)
    return any((one.decided_by, one.state) == (person_id, state) for one in seats)


def _require_present_file(session: Session, approval: Approval, state: str, seen_version: int | None) -> None:
    if approval.field is None:
        return
    present = people.present_version(session, approval)
    if present is None:
        if state == "approved":
            msg = "Файла ещё нет: согласовывать нечего."
            raise Conflict(msg)
        return
    if seen_version in (None, present.id):
        return
    seen = session.get(FileVersion, seen_version)
    if seen is None or seen.content_hash != present.content_hash:
        raise Conflict(REPLACED)


def _refusal(work: Work, approval: Approval, person_id: int) -> BackofficeError:
    """Return why this person cannot decide now, in words that say what to do."""
    session = work.session
    if approval.state == "withdrawn":
        return Conflict(f"Согласование снято: {approval.close_reason}. Решать больше нечего.")
    seats = core.round_seats(session, approval)
    for seat in seats:
        if seat.state in rules.DECIDED and seat.decided_by is not None:
            said = "согласовано" if seat.state == "approved" else "отклонено"
            if seat.decided_by == person_id:
                return Conflict(f"Вы уже решили: {said}.")
            if person_id in people.who_may(session, approval, seat, work.now):
                name = staff.names(session, {seat.decided_by})[seat.decided_by]
                return Conflict(f"Уже решил(а) {name}: {said}.")
    if approval.state in ENDED:
        return Conflict(ENDED[approval.state])
    now = _deciding(work, approval)
    if any(person_id in people.who_may(session, approval, seat, work.now) for seat in seats if seat.state == "waiting"):
        return Conflict(f"Ваша очередь ещё не пришла: сейчас решает {now}.")
    if person_id in people.banned(session, approval):
        return Forbidden(f"Своё не согласовывают: вы начали согласование или загрузили файл. Решает {now}.")
    return Forbidden(f"Сейчас решаете не вы, а {now}. Если роль была вашей, её передали другому.")


def _deciding(work: Work, approval: Approval) -> str:
    """Return the names of those who may decide now, or whom to appoint."""
    session, found, addresses = work.session, set(), []
    for seat in core.asked_seats(session, approval.id):
        found |= set(core.deciders(session, seat, approval, work.now))
        addresses.append(people.in_words(session, seat.address))
    if found:
        return ", ".join(sorted(staff.names(session, found).values())).removesuffix(".")  # a sentence ends it
    return f"никто: {'; '.join(addresses)} не назначен"


__all__ = ["LinkView", "decide", "decide_by_link", "make_link", "read_link"]
