"""The inner acts on approvals, shared by services and processes; callers hold the lock of the case.

A round goes on inside the transaction of each answer: the steps of a process only look at the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from include.approvals import people, rules
from include.approvals.models import Approval, ApprovalSeat
from include.documents.models import FileVersion
from include.notices.services import notify
from include.process.models import ProcessCase
from include.shared.calendar import load_calendar
from include.shared.errors import Conflict
from include.shared.work import Work
from include.staff import services as staff
from include.tasks import core as task_core
from include.tasks.models import Task

ONCE = "решил(а) ранее в этом согласовании"
WITHDRAWN = "согласование снято"
LIVE = ("open", "rework")


@dataclass(frozen=True)
class Seat:
    """One approver as a process names him: «Утверждающий договор» and the address ``role:contract_approver|head``.

    An address is ``role:<code>``, ``person:<id>``, ``head``, ``responsible``, ``initiator``, ``field:<code>``, or
    several of them with ``|`` between: the next one counts while nobody stands behind the one before.
    """

    title: str
    address: str


def open_approval(
    work: Work,
    *,
    key: str,
    case_id: int,
    instance_id: int | None,
    step: str,
    title: str,
    description: str,
    mode: str,
    quorum: int | None,
    seats: Sequence[Seat],
    field: str | None,
    fix: dict[str, Any] | None,
    initiator_id: int | None,
    stage_id: int | None,
    on_leave: str,
    term: dict[str, int],
) -> Approval:
    """Ask the first approvers, or join the approval that was opened under this key before (R002-64, R003-14).

    ``fix`` is the task that follows a refusal: ``title``, ``to`` (address), optionally ``guard``, ``due`` (a term) and
    ``resume`` (``"start"``: all are asked anew); without it a refusal ends the approval.
    """
    known = work.session.scalars(select(Approval).where(Approval.key == key)).first()
    if known is not None:
        return known
    rules.check(mode, quorum, len(seats))
    approval = Approval(
        key=key, case_id=case_id, instance_id=instance_id, step=step, title=title, description=description, mode=mode,
        quorum=quorum, round=1, state="open", field=field, fix=fix, initiator_id=initiator_id, stage_id=stage_id,
        on_leave=on_leave, term=term, created_at=work.now,
    )  # fmt: skip
    work.session.add(approval)
    work.session.flush()
    for position, seat in enumerate(seats, 1):
        work.session.add(_new_seat(approval, position, seat.title, seat.address))
    work.session.flush()
    _audit(work, approval, "approval.opened", f"Начато согласование «{title}»", {"seats": [one.title for one in seats]})
    _go_on(work, approval)
    return approval


def withdraw(work: Work, approval: Approval, reason: str) -> None:
    """Take an approval back: nobody is asked any more, its open fix task is withdrawn, its links decide nothing."""
    if approval.state not in LIVE:
        return
    approval.state, approval.closed_at, approval.close_reason = "withdrawn", work.now, reason
    asked = asked_seats(work.session, approval.id)
    told = [one for seat in asked for one in own_deciders(work, approval, seat)]
    _dismiss(work, approval)
    for task in work.session.scalars(select(Task).where(Task.approval_id == approval.id, Task.state == "open")):
        task_core.end(work, task, "withdrawn", reason)
    text = f"Решение больше не нужно: согласование «{approval.title}» снято ({reason})"
    _tell(work, approval, told, text, "withdrawn")
    _audit(work, approval, "approval.withdrawn", f"Согласование «{approval.title}» снято: {reason}", reason=reason)


def resubmit(work: Work, approval: Approval) -> None:
    """Begin the next round: the remarks were put right (R002-66).

    Whoever had agreed keeps his approval while what he agreed to is the present file (★40, A3-7); ``resume: start`` in
    the fix asks everybody anew.
    """
    if approval.state != "rework":
        return
    before = round_seats(work.session, approval)
    anew = (approval.fix or {}).get("resume") == "start"
    version = people.present_version(work.session, approval)
    approval.round, approval.state = approval.round + 1, "open"
    kept = []
    for old in before:
        seat = _new_seat(approval, old.position, old.title, old.address)
        if old.state == "approved" and not anew and _fits(work.session, old, version):
            seat.state, seat.holder, seat.fallback = "approved", old.holder, old.fallback
            seat.version_id, seat.decided_at, seat.remark = old.version_id, old.decided_at, old.remark
            seat.decided_by, seat.decided_for = old.decided_by, old.decided_for
            kept += [one for one in (old.decided_by, old.decided_for) if one is not None]
        work.session.add(seat)
    work.session.flush()
    said = f"Замечания устранены: согласование «{approval.title}», круг {approval.round}"
    _audit(work, approval, "approval.resubmitted", said, {"round": approval.round, "kept": kept})
    _tell(work, approval, kept, f"{said}. Ваше согласие сохранено", f"round-{approval.round}/kept")
    _go_on(work, approval)


def fix_ended(work: Work, task: Task) -> None:
    """Go on after the fix task of an approval has ended: done opens the next round, anything else ends the approval."""
    approval = work.session.get(Approval, task.approval_id) if task.approval_id is not None else None
    if approval is None or approval.state != "rework":
        return
    if task.state == "done":
        resubmit(work, approval)
    else:
        withdraw(work, approval, task.close_reason or "задача по замечаниям снята")


def file_replaced(work: Work, case_id: int, field: str, version: FileVersion) -> None:
    """Void what was agreed to about an older file (★40): an open approval asks anew, an agreed one says that it is."""
    approvals = select(Approval).where(
        Approval.case_id == case_id, Approval.field == field, Approval.state.in_(("open", "approved"))
    )
    for approval in work.session.scalars(approvals.order_by(Approval.id)).all():
        if approval.state == "approved":
            _void_agreed(work, approval, version)
        else:
            _void_seats(work, approval, version)


def addresses_changed(work: Work, case_id: int) -> None:
    """Find anew who decides the open seats of a case: its responsible, his head or a person in a field has changed."""
    for approval in work.session.scalars(
        select(Approval).where(Approval.case_id == case_id, Approval.state == "open").order_by(Approval.id)
    ).all():
        _find_deciders(work, approval)


def role_changed(work: Work, role_code: str, person_id: int) -> None:
    """Hand the asked seats of a role to whoever was given it now, and tell him (R001-16); locks the cases."""
    named = [f"role:{role_code}", f"role:{role_code}|%", f"%|role:{role_code}", f"%|role:{role_code}|%"]
    asked = or_(*(ApprovalSeat.address.like(one) for one in (*named, "setting:%")))
    _find_everywhere(work, asked, [person_id])


def people_changed(work: Work, persons: Iterable[int]) -> None:
    """Find anew who decides the asked seats that lie with these people: one has left, or leads a department no more."""
    keys = [f"person:{one}" for one in persons]
    if keys:
        _find_everywhere(work, people.held_by(keys), [])


def deciders(session: Session, seat: ApprovalSeat, approval: Approval, now: datetime) -> list[int]:
    """Return who may decide a seat this moment: holders, those who stand in for them, without the banned."""
    return sorted(people.who_may(session, approval, seat, now))


def asked_seats(session: Session, approval_id: int) -> list[ApprovalSeat]:
    """Return the seats whose answer is waited for, in their order."""
    return list(
        session.scalars(
            select(ApprovalSeat)
            .where(ApprovalSeat.approval_id == approval_id, ApprovalSeat.state == "asked")
            .order_by(ApprovalSeat.position)
        )
    )


def round_seats(session: Session, approval: Approval) -> list[ApprovalSeat]:
    """Return the present attempt of each seat of the present round, in their order."""
    rows = session.scalars(
        select(ApprovalSeat)
        .where(ApprovalSeat.approval_id == approval.id, ApprovalSeat.round == approval.round)
        .order_by(ApprovalSeat.position, ApprovalSeat.attempt)
    )
    return list({one.position: one for one in rows}.values())


def withdraw_of_instance(work: Work, instance_id: int, reason: str) -> None:
    """Take back the open approvals that an ended instance conducted."""
    _withdraw_all(work, Approval.instance_id == instance_id, reason)


def withdraw_of_stage(work: Work, case_id: int, stage_id: int, reason: str) -> None:
    """Take back the open approvals of a stage that the deal has left, unless they are kept (AG-6)."""
    here = (Approval.case_id == case_id) & (Approval.stage_id == stage_id)
    _withdraw_all(work, here & (Approval.on_leave != "keep"), reason)


def withdraw_of_case(work: Work, case_id: int, reason: str) -> None:
    """Take back all open approvals of a case (a lost deal, AG-6)."""
    _withdraw_all(work, Approval.case_id == case_id, reason)


def record_answer(
    work: Work, approval: Approval, seat: ApprovalSeat, answer: str, remark: str, person_id: int, absent: int | None
) -> None:
    """Record the answer of somebody who may decide, and let the round go on in the same transaction (R002-65…67)."""
    _decide(work, approval, seat, answer, remark or None, person_id, absent)
    _go_on(work, approval)


def _go_on(work: Work, approval: Approval) -> None:
    """Ask whom the round asks next until it waits for somebody or is over."""
    fresh: list[ApprovalSeat] = []
    while True:
        seats = round_seats(work.session, approval)
        course = rules.course(approval.mode, approval.quorum, [one.state for one in seats])
        if course.outcome is not None:
            _settle(work, approval, course.outcome)
            return
        for place in course.put_back:
            seats[place].state, seats[place].asked_at, seats[place].due_at = "waiting", None, None
        for place in course.ask:
            _ask(work, approval, seats[place])
            fresh.append(seats[place])
        work.session.flush()
        if not _decide_once(work, approval, seats):
            break
    for seat in fresh:
        if seat.state == "asked":
            _tell_asked(work, approval, seat, own_deciders(work, approval, seat))
    work.touch(approval.case_id)
    work.session.flush()


def _ask(work: Work, approval: Approval, seat: ApprovalSeat) -> None:
    _put(work.session, approval, seat)
    seat.state, seat.asked_at = "asked", work.now
    zone = work.session.get_one(ProcessCase, approval.case_id).time_zone
    seat.due_at = load_calendar(work.session).add(work.now, approval.term, zone) if approval.term else None


def _put(session: Session, approval: Approval, seat: ApprovalSeat) -> None:
    """Keep where the question lies, for the lists of those who may decide."""
    place = people.place_of(people.Surroundings.of(session, approval), seat.address)
    seat.holder, seat.fallback = place.holder, place.fallback


def _decide_once(work: Work, approval: Approval, seats: list[ApprovalSeat]) -> bool:
    """Let nobody be asked twice in a round about the same file (features 43); says whether a seat was settled so."""
    if approval.mode == rules.QUORUM:  # there everybody has one voice
        return False
    version = people.present_version(work.session, approval)
    agreed = [one for one in seats if one.state == "approved" and _fits(work.session, one, version)]
    earlier = [one.decided_by for one in agreed if one.decided_by is not None]
    for seat in seats:
        if seat.state != "asked" or not earlier:
            continue
        may = people.who_may(work.session, approval, seat, work.now)
        same = next((one for one in earlier if one in may), None)
        if same is not None:
            _decide(work, approval, seat, "approved", ONCE, same, may[same])
            return True
    return False


def _decide(
    work: Work,
    approval: Approval,
    seat: ApprovalSeat,
    state: str,
    remark: str | None,
    person_id: int,
    absent: int | None,
) -> None:
    version = people.present_version(work.session, approval)
    seat.state, seat.remark, seat.decided_at = state, remark, work.now
    seat.decided_by, seat.decided_for = person_id, absent
    seat.version_id = version.id if version is not None else None
    names = staff.names(work.session, {person_id})
    word = "Согласовано" if state == "approved" else "Отклонено"
    said = f"{word}: {seat.title}, «{approval.title}», круг {seat.round}"
    if absent is not None:
        said += f"; {staff.person_of(work.session, absent).for_whom} решил(а) {names[person_id]}"
    elif remark == ONCE:
        said += f"; {names[person_id]} {ONCE}"
    after = {"decided_by": person_id, "decided_for": absent, "version": seat.version_id, "round": seat.round}
    _audit(work, approval, f"approval.{state}", said, after, reason=remark)


def _settle(work: Work, approval: Approval, outcome: str) -> None:
    _dismiss(work, approval)
    if outcome == "approved":
        _close(work, approval, "approved", None)
        text = f"Согласовано: «{approval.title}»"
        _tell(work, approval, [approval.initiator_id], text, f"round-{approval.round}/approved")
        return
    if approval.fix:
        approval.state = "rework"
        _give_fix(work, approval, approval.fix)
        text = f"Есть замечания: «{approval.title}», круг {approval.round}. {_remarks(work.session, approval)}"
    else:
        _close(work, approval, "rejected", _remarks(work.session, approval))
        text = f"Отклонено: «{approval.title}». {approval.close_reason}"
    _tell(work, approval, [approval.initiator_id], text, f"round-{approval.round}/rejected")
    work.touch(approval.case_id)
    work.session.flush()


def _close(work: Work, approval: Approval, state: str, reason: str | None) -> None:
    approval.state, approval.closed_at, approval.close_reason = state, work.now, reason
    word = "согласовано" if state == "approved" else "отклонено"
    said = f"Согласование «{approval.title}» окончено: {word}"
    _audit(work, approval, "approval.closed", said, {"state": state, "round": approval.round}, reason=reason)


def _give_fix(work: Work, approval: Approval, fix: dict[str, Any]) -> None:
    """Give the task to put the remarks right; the remark with its author stands in it (R002-65, R003-16)."""
    case = work.session.get_one(ProcessCase, approval.case_id)
    due = fix.get("due")
    topic = f"{approval.key}/fix"
    task = Task(
        key=f"{topic}/{approval.round}",
        case_id=approval.case_id,
        instance_id=approval.instance_id,
        step=approval.step,
        kind="fix",
        approval_id=approval.id,
        topic=topic,
        round=approval.round,
        title=fix["title"],
        description=f"Круг {approval.round}. {_remarks(work.session, approval)}",
        addressed_to=fix["to"],
        executor_id=_fixer(work.session, approval, fix["to"]),
        creator_id=approval.initiator_id,
        due_at=load_calendar(work.session).add(work.now, due, case.time_zone) if due else None,
        state="open",
        on_leave=approval.on_leave,
        stage_id=approval.stage_id,
        guard=fix.get("guard"),
        result_fields={"fields": []},
        created_at=work.now,
    )
    task_core.give(work, task)
    text = f"Вам поставлена задача «{task.title}»: {case.title}"
    notify(work, [task.executor_id], text, key=f"{task.key}/given", case_id=case.id, task_id=task.id)


def _fixer(session: Session, approval: Approval, address: str) -> int:
    """Return who puts the remarks right: the address, else the responsible, the initiator, a head."""
    around = people.Surroundings.of(session, approval)
    for alternative in (*address.split("|"), "responsible", "initiator", "head", f"role:{staff.DIRECTOR}"):
        _, found = people.behind(around, alternative)
        if found:
            return found[0]
    msg = f"Некому устранить замечания: {people.in_words(session, address)} не назначен. Обратитесь к администратору."
    raise Conflict(msg)


def _remarks(session: Session, approval: Approval) -> str:
    """Return the remarks of the present round with their authors."""
    rejected = [one for one in round_seats(session, approval) if one.state == "rejected"]
    names = staff.names(session, {one.decided_by for one in rejected if one.decided_by is not None})
    return "\n".join(f"{names.get(one.decided_by or 0, '')} ({one.title}): {one.remark}" for one in rejected)


def _dismiss(work: Work, approval: Approval) -> None:
    """Ask nobody of the present round any more."""
    for seat in round_seats(work.session, approval):
        if seat.state in ("asked", "waiting"):
            seat.state = "withdrawn"
    work.session.flush()


def _void_seats(work: Work, approval: Approval, version: FileVersion) -> None:
    """Ask anew whoever answered about the older file; the order of a chain holds."""
    seats = round_seats(work.session, approval)
    stale = [one for one in seats if one.state in rules.DECIDED and not _fits(work.session, one, version)]
    for old in stale:
        old.state = "voided"
        anew = _new_seat(approval, old.position, old.title, old.address, round_=old.round, attempt=old.attempt + 1)
        work.session.add(anew)
    work.session.flush()
    text = f"Файл заменён: {version.name}, «{approval.title}»"
    if stale:
        said = f"{text}; прежние решения больше не действуют: {', '.join(one.title for one in stale)}"
        _audit(work, approval, "approval.voided", said, {"version": version.id})
    asked = [one for one in seats if one.state == "asked"]
    _find_deciders(work, approval)
    for seat in asked:
        if seat.state == "asked":
            told = own_deciders(work, approval, seat)
            _tell(work, approval, told, f"{text}. Посмотрите новую версию", f"seat-{seat.id}/file-{version.id}")


def _void_agreed(work: Work, approval: Approval, version: FileVersion) -> None:
    seats = [one for one in round_seats(work.session, approval) if one.state == "approved"]
    if approval.voided_at is not None or all(_fits(work.session, one, version) for one in seats):
        return
    approval.voided_at = work.now
    case = work.session.get_one(ProcessCase, approval.case_id)
    text = f"Файл изменён после согласования «{approval.title}»: {case.title}. Согласование больше не действует"
    around = people.Surroundings.of(work.session, approval)
    _, responsible = people.behind(around, "responsible")
    decided = [person for one in seats for person in (one.decided_by, one.decided_for)]
    told = [approval.initiator_id, *decided, *responsible]
    _tell(work, approval, told, text, "voided")
    _audit(work, approval, "approval.voided", text, {"version": version.id})


def _find_deciders(work: Work, approval: Approval) -> None:
    """Find anew who decides the asked seats, tell those who came, and let the round go on."""
    for seat in asked_seats(work.session, approval.id):
        before = (seat.holder, seat.fallback)
        _put(work.session, approval, seat)
        if (seat.holder, seat.fallback) != before:
            found = deciders(work.session, seat, approval, work.now)
            names = ", ".join(staff.names(work.session, set(found)).values()) or "пока никто"
            said = f"«{approval.title}», {seat.title}: теперь решает {names}"
            _audit(work, approval, "approval.moved", said, {"holder": seat.holder, "fallback": seat.fallback})
            _tell_asked(work, approval, seat, own_deciders(work, approval, seat))
    work.session.flush()
    _go_on(work, approval)


def _find_everywhere(work: Work, which: ColumnElement[bool], told: list[int]) -> None:
    """Find deciders anew in all cases with such seats; the cases are locked in the order of their ids."""
    waiting = (
        select(Approval.case_id, Approval.id)
        .join(ApprovalSeat, ApprovalSeat.approval_id == Approval.id)
        .where(ApprovalSeat.state == "asked", which)
        .distinct()
        .order_by(Approval.case_id, Approval.id)
    )
    for case_id, approval_id in work.session.execute(waiting).all():
        work.lock_case(case_id)
        approval = work.session.get_one(Approval, approval_id, populate_existing=True)
        if approval.state != "open":
            continue
        _find_deciders(work, approval)
        for seat in asked_seats(work.session, approval.id):
            may = people.who_may(work.session, approval, seat, work.now)
            _tell_asked(work, approval, seat, [one for one in told if one in may])


def _withdraw_all(work: Work, which: ColumnElement[bool], reason: str) -> None:
    found = select(Approval).where(which, Approval.state.in_(LIVE)).order_by(Approval.id)
    for approval in work.session.scalars(found).all():
        withdraw(work, approval, reason)


def _new_seat(
    approval: Approval, position: int, title: str, address: str, *, round_: int | None = None, attempt: int = 1
) -> ApprovalSeat:
    return ApprovalSeat(
        approval_id=approval.id, round=round_ or approval.round, position=position, attempt=attempt, title=title,
        address=address, holder=people.NOBODY, state="waiting",
    )  # fmt: skip


def _fits(session: Session, seat: ApprovalSeat, version: FileVersion | None) -> bool:
    """Say whether a seat was decided about this very content (two uploads of the same content are the same file)."""
    if seat.version_id is None or version is None:
        return seat.version_id is None and version is None
    if seat.version_id == version.id:
        return True
    return session.get_one(FileVersion, seat.version_id).content_hash == version.content_hash


def own_deciders(work: Work, approval: Approval, seat: ApprovalSeat) -> list[int]:
    """Return whose own question a seat is: whoever acts for the absent among them is told with them."""
    may = people.who_may(work.session, approval, seat, work.now)
    return [one for one, absent in may.items() if absent is None]


def _tell_asked(work: Work, approval: Approval, seat: ApprovalSeat, told: list[int]) -> None:
    case = work.session.get_one(ProcessCase, approval.case_id)
    again = f", круг {approval.round}" if approval.round > 1 else ""
    again += ", файл заменён" if seat.attempt > 1 else ""
    text = f"Ждёт вашего решения: «{approval.title}»{again}, {case.title}"
    _tell(work, approval, told, text, f"seat-{seat.id}/asked")


def _tell(work: Work, approval: Approval, told: Iterable[int | None], text: str, what: str) -> None:
    found = [one for one in told if one is not None]
    key = f"approval-{approval.id}/{what}"
    notify(work, found, text, key=key, case_id=approval.case_id, approval_id=approval.id)


def _audit(
    work: Work,
    approval: Approval,
    action: str,
    text: str,
    after: dict[str, Any] | None = None,
    *,
    reason: str | None = None,
) -> None:
    work.audit(
        action, text, entity="approval", entity_id=approval.id, case_id=approval.case_id, after=after, reason=reason
    )
    work.touch(approval.case_id)
