"""What each word of a process does in the database: open once, then answer every look at its fact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select

from include.deals import services as deals
from include.deals.models import Deal, Stage, StageVisit
from include.notices.services import notify
from include.process import lifecycle, rules
from include.process.approval_words import approval
from include.process.models import ProcessInstance, StepState
from include.process.scheme import repeat_setting
from include.process.step import Answer, Done, Fail, NobodyToAsk, Skip, StepContext, Stop, Wait
from include.shared import settings
from include.shared.errors import BackofficeError
from include.staff.models import Person
from include.tasks import core as task_core
from include.tasks.models import Task, TermChange

LOOK_FOR_PEOPLE_EVERY = timedelta(days=1)  # a safety net: whatever brings a person (role, field) tells the case
TASK_KINDS = {"EmployeeTask": "task", "Confirm": "confirm", "FormRequest": "form"}
DOES = {"task": "выполнит", "confirm": "подтвердит", "form": "заполнит", "fix": "устранит замечания"}
JOINS = "joins"  # in an instance's payload: tasks of this very visit that are done and are not given anew (★11)
NOT_NEEDED = "не понадобилось: задача закрыта или снята"


@dataclass(frozen=True)
class Word:
    """How a word answers: ``look`` is called again and again and must repeat no effect.

    ``acts`` says that it calls services: what they refuse fails the step, and nothing of the attempt stays.
    ``irrevocable`` is what it has done once it is done, in words: no task before it is opened again then (★11).
    """

    look: Callable[[StepContext], Answer]
    acts: bool = False
    irrevocable: str | None = None


def employee_task(step: StepContext) -> Answer:
    """Give a person a task once per visit (AG-6), then wait until it is closed; overdue tells the head (AG-4)."""
    task, executor = _given(step)
    if task is None:
        found = _join_or_give(step)
        if not isinstance(found, Task):
            return found
        task, executor = found, step.work.session.get_one(Person, found.executor_id)
    if task.state == "open" and task.closes_itself and task.guard:
        task_core.close_by_guard(step.work, task, f"шаг «{step.row.title}»", step.facts)
    if task.state == "done":
        return Done({**(task.result or {}), "task": task.id})
    if task.state in ("withdrawn", "replaced"):
        return Stop(f"задача {task_core.STATE_TITLES[task.state]}: {task.close_reason or ''}".rstrip(": "))
    _follow_field(step, task)
    due = task.due_at
    if due is not None and due <= step.work.now:
        _tell_overdue(step, task, due)
        due = None
    who = executor.short_name if executor is not None else ""
    said = f"{who} {DOES[task.kind]} «{task.title}»" + (f" (круг {task.round})" if task.round > 1 else "")
    return Wait(said, [task.executor_id], due, "срок задачи" if due else None)


def _follow_field(step: StepContext, task: Task) -> None:
    """Move a term that is or depends on a field of the case with it (AG-3), unless somebody has changed it by hand."""
    ref = step.spec.get("due")
    if not ref or ref.get("fixed"):
        return
    if "by" in ref["offset"] and ref["base"] == "opened":
        ref = {**ref, "base": "task"}  # it counts from the giving, whatever the field chooses now
    elif not str(ref["base"]).startswith("field:"):
        return
    due = step.moment(ref, task)
    if due is None or due == task.due_at:
        return
    by_hand = select(TermChange.id).where(TermChange.task_id == task.id).limit(1)
    if step.work.session.scalar(by_hand) is not None:
        return
    before, task.due_at = task.due_at, due
    step.work.audit(
        "task.term_changed",
        f"Срок задачи «{task.title}» изменён вслед за полем",
        entity="task",
        entity_id=task.id,
        case_id=task.case_id,
        before={"due_at": before},
        after={"due_at": due},
    )
    step.work.touch(task.case_id)


def _given(step: StepContext) -> tuple[Task, Person] | tuple[None, None]:
    if step.row.task_id is None:
        return None, None
    row = step.work.session.execute(
        select(Task, Person).join(Person, Person.id == Task.executor_id).where(Task.id == step.row.task_id)
    ).one()
    return row[0], row[1]


def _join_or_give(step: StepContext) -> Task | Stop | Wait:
    spec, work = step.spec, step.work
    topic = f"{step.instance.process}/{spec['topic']}" if not spec.get("shared_topic") else str(spec["topic"])
    earlier = _earlier_tasks(step, topic)
    origin = f"{step.instance.process}/{step.case.key}/"
    own = (task for task in earlier if task.step == step.row.step and task.key.startswith(origin))
    open_one = next((task for task in own if task.state == "open"), None)
    if open_one is not None and spec["reentry"] != "replace":
        return _join_open(step, open_one)
    done_one = next((task for task in earlier if task.state == "done"), None)
    if done_one is not None and (done_one.id in step.instance.payload.get(JOINS, []) or _stays_done(step, earlier)):
        step.row.task_id = done_one.id
        return done_one
    try:
        executor = step.person(spec["to"])
    except NobodyToAsk as nobody:
        return Wait(str(nobody), [], work.now + LOOK_FOR_PEOPLE_EVERY)
    same_topic = work.session.scalars(
        select(Task).where(Task.case_id == step.case.id, Task.topic == topic, Task.state == "open")
    ).first()
    if same_topic is not None:
        task_core.end(work, same_topic, "replaced", f"поставлена новая задача «{step.row.title}»")
    attempt = sum(1 for task in earlier if task.key.startswith(f"{step.key}/")) + 1
    head = step.head
    guard = spec.get("guard")
    task = Task(
        key=f"{step.key}/{attempt}",
        kind=TASK_KINDS[spec["word"]],
        case_id=step.case.id,
        instance_id=step.instance.id,
        step=step.row.step,
        topic=topic,
        round=step.rounds(topic) + 1 if spec.get("shared_topic") else attempt,
        title=step.row.title,
        description=spec.get("description", ""),
        addressed_to=spec["to"],
        executor_id=executor,
        creator_id=head,
        due_at=step.moment(spec["due"]) if spec.get("due") else None,
        state="open",
        on_leave=spec.get("on_leave", "cancel"),
        stage_id=step.instance.stage_id or step.instance.payload.get("on_stage_id"),
        guard=rules.bound(guard, step.facts) if guard else None,
        closes_itself=bool(spec.get("closes_itself")),
        result_fields={"fields": spec.get("result", []), **spec.get("answers", {})},
        created_at=work.now,
    )
    task_core.give(work, task, [head] if head else [])
    notify(
        work,
        [executor],
        f"Вам поставлена задача «{task.title}»: {step.case.title}",
        key=f"{task.key}/given",
        case_id=step.case.id,
        task_id=task.id,
    )
    step.row.task_id = task.id
    return task


def _earlier_tasks(step: StepContext, topic: str) -> Sequence[Task]:
    """Return what this step gave in earlier visits, and any task of a topic that processes share; newest first."""
    origin = f"{step.instance.process}/{step.case.key}/"
    same = and_(Task.step == step.row.step, Task.key.startswith(origin, autoescape=True))
    if step.spec.get("shared_topic"):
        same = or_(same, Task.topic == topic)
    found = select(Task).where(Task.case_id == step.case.id, same).order_by(Task.id.desc())
    return step.work.session.scalars(found).all()


def _stays_done(step: StepContext, earlier: Sequence[Task]) -> bool:
    """Say whether what was done need not be given again: by the policy, and while nothing has undone it.

    A later round may have been withdrawn, or what had closed the task itself may hold no more (an emptied field).
    """
    later_round_withdrawn = bool(step.spec.get("shared_topic")) and earlier[0].state == "withdrawn"
    undone_since = bool(step.spec.get("closes_itself")) and not step.holds(step.spec.get("guard"))
    return not later_round_withdrawn and not undone_since and not _repeats(step)


def _repeats(step: StepContext) -> bool:
    if step.spec["reentry"] == "replace":  # each event asks anew, whatever was done before (AG-7)
        return True
    code = repeat_setting(step.instance.process, step.row.step)
    return bool(settings.value_of(step.work.session, code, step.spec["reentry"] == "repeat"))


def _join_open(step: StepContext, task: Task) -> Task | Stop:
    """Go on with an open task of an earlier visit; the instance that conducted it so far stops at it."""
    rivals = step.work.session.scalars(
        select(StepState).where(
            StepState.task_id == task.id, StepState.instance_id != step.instance.id, StepState.state == "waiting"
        )
    ).all()
    if any(one.instance_id > step.instance.id for one in rivals):
        return Stop(lifecycle.NEW_VISIT)
    lifecycle.stop(step.work, list(rivals), lifecycle.NEW_VISIT)
    task.instance_id, step.row.task_id = step.instance.id, task.id
    step.work.session.flush()
    for one in rivals:
        lifecycle.give_way(step.work, step.work.session.get_one(ProcessInstance, one.instance_id))
    task_core.lead(step.work, task, step.head)
    step.work.touch(step.case.id)
    return task


def form_request(step: StepContext) -> Answer:
    """Ask a person for data; what he fills becomes facts of the case (R002-69)."""
    answer = employee_task(step)
    task = step.task_of(step.row.step) if isinstance(answer, Done) else None
    if task is not None and task.result:
        step.instance.payload = {**step.instance.payload, **task.result}
    return answer


def _tell_overdue(step: StepContext, task: Task, due: datetime) -> None:
    if task.kind == "confirm":  # the next check has come: the gate stays shut, and he is asked again (R001-19)
        text = f"Пора проверить и ответить: «{task.title}»: {step.case.title}"
        key = f"{task.key}/check/{due.isoformat()}"
        notify(step.work, [task.executor_id], text, key=key, case_id=step.case.id, task_id=task.id)
    if not _alarm_tells_head_at(step, task, due):
        step.tell_head_overdue(task, due)


def _alarm_tells_head_at(step: StepContext, task: Task, due: datetime) -> bool:
    return any(
        step.moment(ref, task) == due
        for alarm in step.spec.get("alarms", [])
        if "head" in alarm["tell"]
        for ref in _series(alarm["at"])
    )


def alarm(step: StepContext) -> Answer:
    """Tell people at a moment of a task that is still open; ends with its task (AG-1).

    ``at`` may be a series of moments: each fires once; of several that are past only the latest fires (AG-3).
    """
    outlives = step.spec.get("lives") == "stage"
    watched = sorted(lifecycle.watched(step.spec))
    rows = [step.sibling(one) for one in watched]
    over = all(row is not None and row.state in lifecycle.FINAL_STATES for row in rows)
    if over and not outlives:
        return Skip(NOT_NEEDED)
    given = [task for task in (step.task_of(one) for one in watched) if task is not None]
    opened = [task for task in given if task.state == "open"]
    if len(given) == len(watched) and not opened and not outlives:
        return Skip(NOT_NEEDED)
    task = next(iter(opened or (given if outlives else [])), None)
    if task is None and not (outlives and over):
        return Wait("постановка задачи, за которой следит предупреждение")
    aims = sorted(moment for ref in _series(step.spec["at"]) if (moment := step.moment(ref, task)) is not None)
    if not aims:
        return Wait("взведено, даты нет", [], None, "дата не заполнена")
    people = step.people(*step.spec["tell"])
    past = [moment for moment in aims if moment <= step.work.now]
    if past:
        _fire(step, task, past[-1], people)
    ahead = aims[len(past) :]
    if not ahead:
        return Done({"told": people})
    return Wait("наступит момент предупреждения", people, ahead[0], step.spec.get("why", "момент предупреждения"))


def _fire(step: StepContext, task: Task | None, moment: datetime, people: list[int]) -> None:
    """Fire once per moment: the key is the task's, so that a task joined by a new visit is not warned of again."""
    already = (step.row.result or {}).get("fired")
    if already is not None and datetime.fromisoformat(already) >= moment:
        return
    step.row.result = {"fired": moment.isoformat()}
    text = step.spec["says"].format_map(_Said(task=task.title if task else "", case=step.case.title))
    owner = f"{task.key}/{step.row.step}" if task is not None else step.key
    key = f"{owner}/fired/{moment.isoformat()}"
    told = notify(step.work, people, text, key=key, case_id=step.case.id, task_id=task.id if task else None)
    if told or not people:
        step.work.audit(
            "alarm.fired", text, entity="step", entity_id=step.row.id, case_id=step.case.id,
            after={"told": told, "moment": moment},
        )  # fmt: skip


def _series(at: dict[str, Any] | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return at if isinstance(at, list) else [at]


class _Said(dict[str, str]):
    """An unknown name in a text stays as it is written: a slip of the author must not stop a case."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


def notify_people(step: StepContext) -> Answer:
    """Tell people something once."""
    people = step.people(*step.spec["tell"])
    text = step.spec["says"].format_map(_Said(case=step.case.title))
    stay = step.instance.payload.get("visit_id") if step.spec.get("once") == "stage" else None
    owner = step.key if stay is None else f"{step.instance.process}/{step.case.key}/visit-{stay}/{step.row.step}"
    notify(step.work, people, text, key=f"{owner}/told", case_id=step.case.id)
    return Done({"told": people})


def set_field(step: StepContext) -> Answer:
    """Set a field of the deal to a value, or to a person found by address."""
    deal = _deal(step)
    value: Any = step.spec.get("value")
    if step.spec.get("address"):
        found = step.people(step.spec["address"])
        if not found:
            return Skip(f"не изменено: {step.address_in_words(step.spec['address'])} не найден")
        value = found[0]
    if step.spec["field"] == "responsible":
        deals.change_responsible(step.work, deal.id, int(value), step.row.title)
    else:
        deals.set_fields(step.work, deal.id, {step.spec["field"]: value})
    return Done({"field": step.spec["field"]})


def move_stage(step: StepContext) -> Answer:
    """Move the deal to another stage, unless it has left the stage of this process meanwhile."""
    deal = _deal(step)
    begun_on = step.instance.stage_id or step.instance.payload.get("on_stage_id")
    if step.instance.left_at is not None or begun_on not in (None, deal.stage_id):
        return Skip("сделка уже на другой стадии")
    deals.move_stage(step.work, deal.id, step.spec["stage"])
    return Done({"stage": step.spec["stage"]})


def stage_sensor(step: StepContext) -> Answer:
    """Wait until the deal arrives at a stage, leaves the present one, or has stayed on it for a term."""
    deal = _deal(step)
    if step.spec.get("arrives"):
        wanted = step.spec["arrives"]
        if _has_been_on(step, deal, wanted):
            return Done()
        return Wait(f"сделка придёт на стадию «{wanted}»", step.people("responsible"))
    visit, stage = _visit_watched(step, deal)
    if step.spec.get("leaves"):
        if visit.left_at is not None:
            return Done()
        return Wait(f"сделка уйдёт со стадии «{stage.title}»", step.people("responsible"))
    if visit.left_at is not None:
        return Stop(lifecycle.LEFT_STAGE)
    successor = _newer_of_topic(step) if step.spec.get("gives_way_to") else None
    if successor is not None:
        return Stop(f"поставлена новая задача «{successor.title}»")
    moment = step.term_after(step.spec["stays_for"])
    if moment is not None and moment <= step.work.now:
        return Done()
    return Wait("сделка всё ещё на стадии", [], moment, "срок пребывания на стадии")


def _newer_of_topic(step: StepContext) -> Task | None:
    """Return a task of the topic that was given after those of this process."""
    last = max([row.task_id or 0 for row in step.steps.values()], default=0)
    newer = select(Task).where(
        Task.case_id == step.case.id,
        Task.topic == step.spec["gives_way_to"],
        Task.id > last,
        Task.state != "withdrawn",
    )
    return step.work.session.scalars(newer.limit(1)).first()


def _has_been_on(step: StepContext, deal: Deal, wanted: str) -> bool:
    """Say whether the deal is on a stage, or was since the step began: a visit may be shorter than a look."""
    return (
        step.work.session.scalar(
            select(StageVisit.id)
            .join(Stage, Stage.id == StageVisit.stage_id)
            .where(
                StageVisit.deal_id == deal.id,
                Stage.title == wanted,
                StageVisit.left_at.is_(None) | (StageVisit.entered_at > step.row.opened_at),
            )
            .limit(1)
        )
        is not None
    )


def _visit_watched(step: StepContext, deal: Deal) -> tuple[StageVisit, Stage]:
    """Return the stay that the process was begun by, else the one in which the step began."""
    known = step.instance.payload.get("visit_id") or (step.row.result or {}).get("visit_id")
    which = StageVisit.id == known if known else StageVisit.left_at.is_(None)
    visit, stage = step.work.session.execute(
        select(StageVisit, Stage)
        .join(Stage, Stage.id == StageVisit.stage_id)
        .where(StageVisit.deal_id == deal.id, which)
    ).one()
    if not known:
        step.row.result = {"visit_id": visit.id}
    return visit, stage


def repeat(step: StepContext) -> Answer:
    """Tell people something every so often while a condition holds, up to a cap (AG-2: counted from the due moment).

    After downtime the missed ones are told once. The result says how many times and why it stopped.
    """
    told = int((step.row.result or {}).get("times", 0))
    if not step.holds(step.spec["holds"]):
        return Done({"times": told, "stopped": "condition"})
    every = step.spec["every"]
    last = (step.row.result or {}).get("due")
    due = step.term_after(every) if last is None else step.add(datetime.fromisoformat(last), every)
    if due <= step.work.now:
        if told >= step.number(step.spec["at_most"]):
            return Done({"times": told, "stopped": "cap"})
        told += 1
        following = step.add(due, every)
        while following <= step.work.now:
            due, following = following, step.add(following, every)
        step.row.result = {"times": told, "due": due.isoformat()}
        people = step.people(*step.spec["tell"])
        text = step.spec["says"].format_map(_Said(case=step.case.title, times=str(told)))
        notify(step.work, people, text, key=f"{step.key}/{told}", case_id=step.case.id)
        due = following
    return Wait(f"повтор № {told + 1}: {step.row.title}", step.people(*step.spec["tell"]), due, "следующий повтор")


def task_sensor(step: StepContext) -> Answer:
    """Wait until the case's newest task of a topic is closed as done."""
    topic = step.spec["topic"]
    task = step.work.session.scalars(
        select(Task)
        .where(Task.case_id == step.case.id, Task.topic.in_((topic, f"{step.instance.process}/{topic}")))
        .order_by(Task.id.desc())
        .limit(1)
    ).first()
    if task is None:
        return Wait("задача будет поставлена")
    if task.state == "done":
        return Done({"task": task.id})
    if task.state == "open":
        due = task.due_at if task.due_at is not None and task.due_at > step.work.now else None
        return Wait(f"выполнение задачи «{task.title}»", [task.executor_id], due, "срок задачи" if due else None)
    return Wait("задача будет поставлена заново")


def date_sensor(step: StepContext) -> Answer:
    """Wait for a moment that re-aims with its field (★13)."""
    moment = step.moment(step.spec["at"])
    if moment is None:
        return Wait("взведено, даты нет", [], None, "дата не заполнена")
    if moment <= step.work.now:
        return Done({"moment": moment.isoformat()})
    return Wait("наступит дата", [], moment, "дата из поля")


def field_sensor(step: StepContext) -> Answer:
    """Wait until a condition over the fields of the case holds."""
    if step.holds(step.spec["until"]):
        return Done()
    return Wait(step.row.title, step.people("responsible"))


def create_deal(step: StepContext) -> Answer:
    """Make a registered request a deal on «Не обработан» (R002-9a); repeated, it joins the deal made first."""
    data = step.instance.payload["form"]
    deal = deals.create_deal(
        step.work,
        title=data["subject"],
        funnel=data["direction"],
        responsible_id=data["responsible_id"],
        company_id=data.get("company_id"),
        source=data.get("source"),
        request_key=step.key,
        created_by=step.instance.payload.get("started_by"),
    )
    link = f"/backoffice/deals/{deal.id}"
    made = {"deal_id": deal.id, "responsible": deal.responsible_id, "link": link}
    step.instance.payload = {**step.instance.payload, **made}
    return Done({"deal": deal.id})


def check_starter(step: StepContext) -> Answer:
    """Check again that whoever started a form process had the right to (design.md §5)."""
    from include.process.forms import may_start  # noqa: PLC0415 - forms and words know each other

    refused = step.instance.payload.get("refused")
    if refused:
        return Fail(str(refused))
    starter = step.instance.payload.get("started_by")
    if may_start(step.work.session, step.instance.process, starter):
        return Done({"started_by": starter})
    return Fail("у того, кто запустил процесс, нет на это права")


def _deal(step: StepContext) -> Deal:
    deal = step.work.session.scalars(select(Deal).where(Deal.case_id == step.case.id)).first()
    if deal is None:
        msg = "шаг работает только со сделкой"
        raise BackofficeError(msg)
    return deal


WORDS: dict[str, Word] = {
    "EmployeeTask": Word(employee_task),
    "Confirm": Word(employee_task),
    "FormRequest": Word(form_request),
    "Approval": Word(approval),
    "Rework": Word(approval),
    "Repeat": Word(repeat),
    "Alarm": Word(alarm),
    "Notify": Word(notify_people),
    "SetField": Word(set_field, acts=True, irrevocable="изменил поле сделки"),
    "MoveStage": Word(move_stage, acts=True, irrevocable="перевёл сделку на другую стадию"),
    "StageSensor": Word(stage_sensor),
    "TaskSensor": Word(task_sensor),
    "DateSensor": Word(date_sensor),
    "FieldSensor": Word(field_sensor),
    "CreateDeal": Word(create_deal, acts=True, irrevocable="завёл сделку"),
    "CheckStarter": Word(check_starter),
}
