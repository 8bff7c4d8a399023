"""A person leaves (★48): everything he holds goes to successors in one act, with a trace of each thing.

The cases are locked first, then the person: whoever is giving him work this moment has either given it (and it is
handed over, too) or finds that he works here no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, select, text

from include.approvals import core as approvals
from include.approvals.models import Approval, ApprovalSeat
from include.companies.models import Company
from include.deals import services as deals
from include.deals.models import Deal
from include.notices.services import notify
from include.process import lifecycle
from include.process.models import OutboxEvent, ProcessInstance
from include.shared.errors import Conflict, InvalidInput
from include.shared.texts import storable, visible
from include.shared.work import Work
from include.staff import structure
from include.staff.admin import let_go, remap_role, set_head, take_role
from include.staff.checks import begin
from include.staff.holdings import TITLES, Held, Holdings, holdings
from include.staff.models import Absence, Person, RoleHolder
from include.staff.services import lock_active, names, person_of
from include.tasks import transfer
from include.tasks.models import Task

HANDED_OVER = "person.handed_over"
ATTEMPTS = 5
LONGEST_REASON = 300


@dataclass(frozen=True)
class HandedOver:
    """What was handed over: how many things of each group went to whom."""

    person_id: int
    deactivated: bool
    received: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Return how many things were handed over."""
        return sum(sum(one.values()) for one in self.received.values())


@dataclass(frozen=True)
class Plan:
    """Who takes what: by group («tasks»), or by thing («tasks:17»), which counts more."""

    successors: Mapping[str, int]

    def of(self, item: Held) -> int | None:
        """Return who takes a thing."""
        return self.successors.get(item.key) or self.successors.get(item.key.partition(":")[0])

    def named(self, item: Held) -> int | None:
        """Return who takes a thing by its own name, whatever its group says."""
        return self.successors.get(item.key)


def page(person_id: int) -> str:
    """Return the address of the page where a person's work is handed over."""
    return f"/backoffice/people/{person_id}/leave"


def hold_still(work: Work, person_id: int) -> Holdings:
    """Return what a person holds with all of it locked: nothing is given to him until this transaction ends."""
    locked = holdings(work.session, person_id, work.now).cases
    for _ in range(ATTEMPTS):
        point = work.session.begin_nested()
        work.lock_cases(locked)
        work.session.execute(text("SELECT 1 FROM person WHERE id = :id FOR UPDATE"), {"id": person_id})
        work.session.expire_all()
        held = holdings(work.session, person_id, work.now)
        if held.cases <= locked:
            point.commit()
            return held
        locked |= held.cases  # given meanwhile: the locks are let go and taken in order once more
        point.rollback()
    msg = "Этому сотруднику прямо сейчас поручают работу. Повторите через минуту."
    raise Conflict(msg)


def hand_over(
    work: Work, person_id: int, plan: Mapping[str, int], reason: str, *, deactivate: bool = True
) -> HandedOver:
    """Hand everything that a person holds to successors and let him go; repeated, it changes nothing.

    ``plan`` names a successor by group (``tasks``) or thing (``tasks:17``). What follows another thing (a task of a
    role, of a deal) goes with it. InvalidInput names the first group without a successor; then nothing has changed.
    """
    begin(work)
    person = person_of(work.session, person_id)
    reason = _reason(reason)
    held = hold_still(work, person_id)
    chosen = Plan({key: to for key, to in plan.items() if to})
    _check(work, held, chosen)
    work.silent = True
    received: dict[int, Counter[str]] = {}
    for code, hand in HANDS.items():
        taken = [(one, to) for one in held.group(code).own if (to := chosen.of(one)) is not None]
        hand(work, person, taken, reason)
        for _, to in taken:
            received.setdefault(to, Counter())[code] += 1
    _hand_tasks(work, person, held, chosen, reason)
    if deactivate:
        _end_absences(work, person)
    structure.heads_anew(work, held.followed_by)
    if deactivate and person.active:
        let_go(work, person, reason)
    work.session.flush()
    approvals.people_changed(work, [person_id])
    _require_nothing_left(work, person_id)
    work.silent = False
    for to, number in _received_tasks(work, held).items():
        received.setdefault(to, Counter())["tasks"] += number
    _tell(work, person, received, deactivate=deactivate)
    if received:
        work.audit(
            HANDED_OVER, f"Работа сотрудника {person.short_name} передана", entity="person", entity_id=person.id,
            before={"held": held.count}, after={"received": {str(to): counts for to, counts in received.items()}},
            reason=reason,
        )  # fmt: skip
    return HandedOver(person_id, deactivate, received)


def preview(work: Work, person_id: int, plan: Mapping[str, int]) -> dict[int, dict[str, int]]:
    """Return how much of each group everybody would get by this plan; refuses as ``hand_over`` would."""
    begin(work)
    held, chosen = holdings(work.session, person_id, work.now), Plan({key: to for key, to in plan.items() if to})
    _check(work, held, chosen)
    received: dict[int, Counter[str]] = {}
    for group in held.groups:
        followed = {one.key: chosen.of(one) for other in held.groups for one in other.own}
        for one in group.items:
            to = chosen.named(one) or (chosen.of(one) if one.follows is None else followed.get(one.follows))
            if to is not None:
                received.setdefault(to, Counter())[group.code] += 1
    return {to: dict(counts) for to, counts in received.items()}


def _check(work: Work, held: Holdings, plan: Plan) -> None:
    _check_keys(held, plan)
    missing = [group.title for group in held.groups if any(plan.of(one) is None for one in group.own)]
    if missing:
        msg = f"Выберите, кому передать: {', '.join(missing).lower()}."
        raise InvalidInput(msg, next(one.code for one in held.groups if one.title == missing[0]))
    wanted = {to for group in held.groups for one in group.items if (to := plan.of(one)) is not None}
    if held.person_id in wanted:
        msg = "Передать работу тому же сотруднику нельзя: выберите другого."
        raise InvalidInput(msg)
    gone = wanted - {*lock_active(work.session, wanted)}
    if gone:
        msg = f"{', '.join(names(work.session, gone).values()) or 'Выбранный сотрудник'} уже не работает."
        raise InvalidInput(msg)
    for group in held.groups:
        for one in group.own:
            to = plan.of(one)
            if to in one.barred:
                msg = f"«{one.title}» нельзя передать: {names(work.session, {to or 0})[to or 0]}. Выберите другого."
                raise InvalidInput(msg, one.key)


def _check_keys(held: Holdings, plan: Plan) -> None:
    """Refuse a key that is no group and no thing of his.

    Who holds nothing any more has handed it over: the same plan delivered once more names things that have gone.
    """
    his = {one.key for group in held.groups for one in group.items}
    for key in plan.successors:
        code, _, thing = key.partition(":")
        if code not in TITLES or (thing and held.count and key not in his) or key == f"{code}:":
            msg = f"«{key[:100]}» за этим сотрудником не числится. Обновите страницу и выберите преемников заново."
            raise InvalidInput(msg, key)


Taken = list[tuple[Held, int]]


def _hand_departments(work: Work, _person: Person, taken: Taken, _reason: str) -> None:
    for one, to in taken:
        set_head(work, int(one.id), to)


def _hand_roles(work: Work, person: Person, taken: Taken, reason: str) -> None:
    for one, to in taken:
        if work.session.get(RoleHolder, (one.id, to)) is not None:
            take_role(work, one.id, person.id)
            structure.holders_changed(work, one.id, to, reason)
        else:
            remap_role(work, one.id, person.id, to, reason=reason)


def _hand_deals(work: Work, person: Person, taken: Taken, reason: str) -> None:
    """Give the deals as ``deals.change_responsible`` does, all at once."""
    successors = {int(one.id): to for one, to in taken}
    if not successors:
        return
    found = select(Deal).where(Deal.id.in_(successors)).order_by(Deal.id).execution_options(populate_existing=True)
    cases: dict[int, int] = {}
    for deal in work.session.scalars(found).all():
        to = cases[deal.case_id] = deal.responsible_id = successors[deal.id]
        work.audit(
            "deal.responsible_changed", "Ответственный изменён", entity="deal", entity_id=deal.id,
            case_id=deal.case_id, before={"responsible": person.id}, after={"responsible": to}, reason=reason,
        )  # fmt: skip
        work.touch(deal.case_id)
    work.session.flush()
    tasks = _open_tasks(work, Task.case_id.in_(cases), Task.executor_id == person.id)
    moves = [(one, cases[one.case_id]) for one in tasks if one.addressed_to.partition("|")[0] == "responsible"]
    transfer.move_many(work, moves, "новый ответственный", reason)
    structure.heads_anew(work, cases)
    structure.asked_anew(work, cases)


def _hand_fields(work: Work, _person: Person, taken: Taken, _reason: str) -> None:
    for one, to in taken:
        deal_id, _, code = one.id.partition(".")
        deals.set_fields(work, int(deal_id), {code: to})


def _hand_requests(work: Work, person: Person, taken: Taken, reason: str) -> None:
    """Name the successor where the request names its responsible: begun, or about to begin."""
    for one, to in taken:
        case_id = int(one.id)
        instances = select(ProcessInstance).where(ProcessInstance.case_id == case_id, ProcessInstance.state == "live")
        events = select(OutboxEvent).where(OutboxEvent.case_id == case_id, OutboxEvent.state == "pending")
        known: list[ProcessInstance | OutboxEvent] = [*work.session.scalars(instances)]
        known += work.session.scalars(events.with_for_update())
        for row in known:
            row.payload = _renamed(row.payload, person.id, to)
        work.audit(
            "request.responsible_changed", "Ответственный за обращение изменён", entity="process_case",
            entity_id=case_id, case_id=case_id, before={"responsible": person.id}, after={"responsible": to},
            reason=reason,
        )  # fmt: skip
        work.session.flush()
        lifecycle.responsible_changed(work, case_id, to)


def _renamed(payload: dict[str, object], before: int, to: int) -> dict[str, object]:
    new = dict(payload)
    if new.get("responsible") == before:
        new["responsible"] = to
    form = new.get("form")
    if isinstance(form, dict) and form.get("responsible_id") == before:
        new["form"] = {**form, "responsible_id": to}
    return new


def _hand_approvals(work: Work, person: Person, taken: Taken, reason: str) -> None:
    """Address the seats that name him to the successor; where he is asked, that one is asked."""
    called = names(work.session, {to for _, to in taken})
    for one, to in taken:
        seat = work.session.get_one(ApprovalSeat, int(one.id), populate_existing=True)
        before = seat.address
        parts = [f"person:{to}" if part == f"person:{person.id}" else part for part in before.split("|")]
        seat.address = "|".join(dict.fromkeys(parts))
        approval = work.session.get_one(Approval, seat.approval_id)
        work.audit(
            "approval.moved", f"«{approval.title}», {seat.title}: теперь решает {called[to]}", entity="approval",
            entity_id=approval.id, case_id=approval.case_id, before={"address": before},
            after={"address": seat.address}, reason=reason,
        )  # fmt: skip
        work.session.flush()
        approvals.addresses_changed(work, approval.case_id)
        work.touch(approval.case_id)


def _hand_companies(work: Work, person: Person, taken: Taken, reason: str) -> None:
    successors = {int(one.id): to for one, to in taken}
    found = select(Company).where(Company.id.in_(successors)).order_by(Company.id)
    for company in work.session.scalars(found.with_for_update()).all():
        company.responsible_id = successors[company.id]
        work.audit(
            "company.responsible_changed", f"У контрагента «{company.name}» другой ответственный", entity="company",
            entity_id=company.id, before={"responsible": person.id}, after={"responsible": company.responsible_id},
            reason=reason,
        )  # fmt: skip
    work.session.flush()


def _hand_absences(work: Work, person: Person, taken: Taken, reason: str) -> None:
    called = names(work.session, {to for _, to in taken})
    for one, to in taken:
        absence = work.session.get_one(Absence, int(one.id), with_for_update=True)
        absence.substitute_id = to
        work.audit(
            "absence.substitute_changed", f"Замещение: теперь замещает {called[to]}", entity="absence",
            entity_id=absence.id, before={"substitute": person.id}, after={"substitute": to}, reason=reason,
        )  # fmt: skip
    work.session.flush()


#: In this order: what takes tasks along comes before the tasks themselves.
HANDS: Mapping[str, Callable[[Work, Person, Taken, str], None]] = {
    "departments": _hand_departments,
    "roles": _hand_roles,
    "deals": _hand_deals,
    "fields": _hand_fields,
    "requests": _hand_requests,
    "approvals": _hand_approvals,
    "companies": _hand_companies,
    "absences": _hand_absences,
}


def _hand_tasks(work: Work, person: Person, held: Holdings, plan: Plan, reason: str) -> None:
    """Hand over the tasks that went nowhere else, and those that the plan gives to somebody by name."""
    items = {int(one.id): one for one in held.group("tasks").items}
    mine = _open_tasks(work, Task.executor_id == person.id)
    named = _open_tasks(work, Task.id.in_([number for number, one in items.items() if plan.named(one) is not None]))
    moves = []
    for task in {one.id: one for one in (*mine, *named)}.values():
        to = _successor(items.get(task.id), plan)
        if to is None:
            msg = f"Выберите, кому передать: {TITLES['tasks'].lower()}."
            raise InvalidInput(msg, "tasks")
        if to != task.executor_id:
            task.addressed_to = f"person:{to}"
            moves.append((task, to))
    transfer.move_many(work, moves, "работа передана", reason)


def _successor(item: Held | None, plan: Plan) -> int | None:
    if item is None:
        return plan.successors.get("tasks")
    if item.follows is None or plan.named(item) is not None:
        return plan.of(item)
    code = item.follows.partition(":")[0]  # what it follows has gone, it has not: it follows by hand
    return plan.successors.get(item.follows) or plan.successors.get(code) or plan.of(item)


def _received_tasks(work: Work, held: Holdings) -> dict[int, int]:
    tasks = [int(one.id) for one in held.group("tasks").items]
    return dict(Counter(work.session.scalars(select(Task.executor_id).where(Task.id.in_(tasks)))))


def _end_absences(work: Work, person: Person) -> None:
    """End his own absences: nobody stands in for a person who has handed everything over."""
    present = select(Absence).where(
        Absence.person_id == person.id, Absence.cancelled_at.is_(None), Absence.ends_at > work.now
    )
    for absence in work.session.scalars(present.with_for_update()).all():
        absence.cancelled_at = work.now
        work.audit(
            "absence.cancelled", f"Замещение: {person.short_name} – работа передана, отсутствие снято",
            entity="absence", entity_id=absence.id, after={"cancelled": True},
        )  # fmt: skip


def _require_nothing_left(work: Work, person_id: int) -> None:
    left = holdings(work.session, person_id, work.now)
    if left.count:
        msg = f"Не всё удалось передать: {left.in_words()}. Обновите страницу и повторите."
        raise Conflict(msg)


def _tell(work: Work, person: Person, received: Mapping[int, Counter[str]], *, deactivate: bool) -> None:
    why = f"{person.short_name} больше не работает" if deactivate else f"работа сотрудника {person.short_name}"
    for to, counts in received.items():
        listed = ", ".join(f"{TITLES[code].lower()} – {number}" for code, number in counts.items())
        text_ = f"Вам передана работа ({why}): {listed}"
        notify(work, [to], text_, key=f"handed-over/{person.id}/{work.now.isoformat()}")


def _open_tasks(work: Work, *which: ColumnElement[bool]) -> Sequence[Task]:
    wanted = select(Task).where(Task.state == "open", *which).order_by(Task.case_id, Task.id)
    return work.session.scalars(wanted.execution_options(populate_existing=True)).all()


def _reason(value: str) -> str:
    reason = " ".join((value or "").split())
    if not visible(reason) or len(reason) > LONGEST_REASON or not storable(reason):
        msg = f"Напишите, почему передаётся работа (до {LONGEST_REASON} знаков)."
        raise InvalidInput(msg, "reason")
    return reason
