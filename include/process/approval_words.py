"""The words that ask approvers: open once, then answer every look by how the decision stands."""

from __future__ import annotations

from sqlalchemy import or_, select

from include.approvals import core as approvals
from include.approvals.models import Approval, ApprovalSeat
from include.notices.services import notify
from include.process.step import Answer, Done, StepContext, Stop, Wait
from include.staff.models import Person
from include.staff.services import head_of
from include.tasks.models import Task


def approval(step: StepContext) -> Answer:
    """Ask approvers, with rounds of rework when the process says who puts remarks right (R002-64…R002-66)."""
    work, spec = step.work, step.spec
    if step.row.approval_id is None:
        step.row.approval_id = approvals.open_approval(
            work,
            key=_key(step),
            case_id=step.case.id,
            instance_id=step.instance.id,
            step=step.row.step,
            title=step.row.title,
            description=spec.get("description", ""),
            mode=spec["mode"],
            quorum=spec.get("quorum"),
            seats=[approvals.Seat(one["title"], one["address"]) for one in spec["by"]],
            field=spec.get("file"),
            fix=spec.get("fix"),
            initiator_id=step.instance.payload.get("started_by") or step.facts.get("responsible"),
            stage_id=step.instance.stage_id,
            on_leave=spec.get("on_leave", "cancel"),
            term=step.term(spec["term"]),
        ).id
        work.touch(step.case.id)
    asked = work.session.get_one(Approval, step.row.approval_id)
    if asked.state in ("approved", "rejected"):
        return Done({"outcome": asked.state, "rounds": asked.round, "approval": asked.id})
    if asked.state == "withdrawn":
        return Stop(f"согласование снято: {asked.close_reason or ''}".rstrip(": "))
    return _who_is_asked(step, asked)


def _key(step: StepContext) -> str:
    """Return the key of the step's approval: a new one after ops have cleared a step whose approval was withdrawn."""
    mine = or_(Approval.key == step.key, Approval.key.startswith(f"{step.key}/", autoescape=True))
    before = step.work.session.scalars(select(Approval).where(mine).order_by(Approval.id)).all()
    if before and before[-1].state != "withdrawn":
        return before[-1].key
    return f"{step.key}/{len(before) + 1}" if before else step.key


def _who_is_asked(step: StepContext, asked: Approval) -> Wait:
    work, circle = step.work, f" (круг {asked.round})" if asked.round > 1 else ""
    if asked.state == "rework":
        fixing = select(Task).where(Task.approval_id == asked.id, Task.state == "open").order_by(Task.id.desc())
        task = work.session.scalars(fixing).first()
        if task is None:
            return Wait(f"замечания устранят: «{asked.title}»{circle}")
        due = task.due_at
        if due is not None and due <= work.now:
            step.tell_head_overdue(task, due)
            due = None
        who = work.session.get_one(Person, task.executor_id).short_name
        said = f"{who} устранит замечания: «{asked.title}»{circle}"
        return Wait(said, [task.executor_id], due, "срок задачи" if due else None)
    seats = approvals.asked_seats(work.session, asked.id)
    people = list(dict.fromkeys(
        one for seat in seats for one in approvals.deciders(work.session, seat, asked, work.now)
    ))  # fmt: skip
    late = [seat for seat in seats if seat.due_at is not None and seat.due_at <= work.now]
    for seat in late:
        _remind(step, asked, seat)
    ahead = min((seat.due_at for seat in seats if seat.due_at is not None and seat not in late), default=None)
    titles = ", ".join(seat.title for seat in seats)
    said = f"решение по «{asked.title}»{circle}: {titles}" + ("" if people else " – некому решать, назначьте роль")
    return Wait(said, people, ahead, "срок согласования" if ahead else None)


def _remind(step: StepContext, asked: Approval, seat: ApprovalSeat) -> None:
    """Remind whoever must decide, and tell his head, when the term of a decision has passed (AG-4)."""
    people = approvals.deciders(step.work.session, seat, asked, step.work.now)
    heads = [head for one in people if (head := head_of(step.work.session, one)) is not None]
    key = f"{asked.key}/{seat.round}/{seat.position}/{seat.attempt}/late"
    notify(step.work, people, f"Ждёт вашего решения: «{asked.title}»: {step.case.title}", key=key, case_id=step.case.id)
    text = f"Просрочено решение по «{asked.title}» ({seat.title}): {step.case.title}"
    notify(step.work, [one for one in heads if one not in people], text, key=f"{key}/head", case_id=step.case.id)
