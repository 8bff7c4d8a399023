"""What each word of a process does in the database: open once, then answer every look at its fact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from include.deals import services as deals
from include.deals.models import Deal, Stage, StageVisit
from include.notices.services import notify
from include.process.models import ProcessInstance
from include.process.step import Answer, Done, Fail, NobodyToAsk, Skip, StepContext, Stop, Wait
from include.shared import settings
from include.shared.errors import BackofficeError, InvalidInput
from include.staff.services import names
from include.tasks import core as task_core
from include.tasks.models import Task

LOOK_FOR_PEOPLE_EVERY = timedelta(minutes=10)


@dataclass(frozen=True)
class Word:
    """How a word answers: ``look`` is called again and again and must repeat no effect."""

    look: Callable[[StepContext], Answer]


def employee_task(step: StepContext) -> Answer:
    """Give a person a task once per visit (AG-6), then wait until it is closed; overdue tells the head (AG-4)."""
    task = step.work.session.get(Task, step.row.task_id) if step.row.task_id else _join_or_give(step)
    if isinstance(task, Wait):
        return task
    if task.state == "done":
        return Done({"task": task.id})
    if task.state in ("withdrawn", "replaced"):
        return Stop(f"задача {task_core.STATE_TITLES[task.state]}: {task.close_reason or ''}".rstrip(": "))
    if task.closes_itself and task.guard and not task_core.missing_for(step.work.session, task, step.work.now):
        task_core.end(step.work, task, "done", "закрыта сама: условие выполнено", evidence={"facts": step.facts})
        return Done({"task": task.id})
    due = task.due_at
    if due is not None and due <= step.work.now:
        _tell_overdue(step, task, due)
        due = None
    who = names(step.work.session, {task.executor_id}).get(task.executor_id, "")
    return Wait(f"{who} выполнит «{task.title}»", [task.executor_id], due, "срок задачи" if due else None)


def _join_or_give(step: StepContext) -> Task | Wait:
    spec, work = step.spec, step.work
    origin = f"{step.instance.process}/{step.case.key}/"
    earlier = work.session.scalars(
        select(Task)
        .where(Task.case_id == step.case.id, Task.step == step.row.step, Task.key.startswith(origin, autoescape=True))
        .order_by(Task.id.desc())
    ).all()
    topic = f"{step.instance.process}/{spec['topic']}" if not spec.get("shared_topic") else str(spec["topic"])
    open_one = next((task for task in earlier if task.state == "open"), None)
    done_one = next((task for task in earlier if task.state == "done"), None)
    repeats = settings.value_of(work.session, f"repeat:{step.instance.process}.{step.row.step}", spec["reentry"] == "repeat")
    joined = open_one or (done_one if done_one is not None and not repeats else None)
    if joined is not None:
        joined.instance_id, step.row.task_id = step.instance.id, joined.id
        work.touch(step.case.id)
        return joined
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
    due = step.moment(spec["due"]) if spec.get("due") else None
    task = Task(
        key=f"{step.key}/{attempt}",
        case_id=step.case.id,
        instance_id=step.instance.id,
        step=step.row.step,
        topic=topic,
        round=attempt,
        title=step.row.title,
        description=spec.get("description", ""),
        addressed_to=spec["to"],
        executor_id=executor,
        creator_id=step.instance.head_id,
        due_at=due,
        state="open",
        on_leave=spec.get("on_leave", "cancel"),
        stage_id=step.instance.stage_id,
        guard=spec.get("guard"),
        closes_itself=bool(spec.get("closes_itself")),
        result_fields={"fields": spec.get("result", [])},
        created_at=work.now,
    )
    observers = [step.instance.head_id] if step.instance.head_id else []
    task_core.give(work, task, observers)
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


def _tell_overdue(step: StepContext, task: Task, due: datetime) -> None:
    head = step.instance.head_id
    if head is None or _alarm_tells_head_at(step, task, due):
        return
    text = f"Просрочена задача «{task.title}»: {step.case.title}"
    notify(
        step.work, [head], text, key=f"{task.key}/overdue/{due.isoformat()}", case_id=step.case.id, task_id=task.id
    )


def _alarm_tells_head_at(step: StepContext, task: Task, due: datetime) -> bool:
    return any(
        "head" in alarm["tell"] and step.moment(alarm["at"], task) == due for alarm in step.spec.get("alarms", [])
    )


def alarm(step: StepContext) -> Answer:
    """Tell people at a moment of a task that is still open; fires once, ends with its task (AG-1, AG-3)."""
    of = step.sibling(step.spec["of"])
    task = step.task_of(step.spec["of"])
    outlives = step.spec.get("lives") == "stage"
    if of is not None and of.state in ("done", "skipped", "stopped") and not outlives:
        return Skip("не понадобилось: задача закрыта или снята")
    if task is None:
        return Wait("постановка задачи, за которой следит предупреждение")
    if task.state != "open" and not outlives:
        return Skip("не понадобилось: задача закрыта или снята")
    moment = step.moment(step.spec["at"], task)
    if moment is None:
        return Wait("взведено, даты нет", [], None, "дата не заполнена")
    people = list(dict.fromkeys(one for address in step.spec["tell"] for one in step.people(address)))
    if moment <= step.work.now:
        text = step.spec["says"].format(task=task.title, case=step.case.title)
        told = notify(
            step.work, people, text, key=f"{step.key}/fired", case_id=step.case.id, task_id=task.id
        )
        step.work.audit(
            "alarm.fired", text, entity="step", entity_id=step.row.id, case_id=step.case.id,
            after={"told": told, "moment": moment},
        )  # fmt: skip
        return Done({"told": people})
    return Wait("наступит момент предупреждения", people, moment, step.spec.get("why", "момент предупреждения"))


def notify_people(step: StepContext) -> Answer:
    """Tell people something once."""
    people = list(dict.fromkeys(one for address in step.spec["tell"] for one in step.people(address)))
    text = step.spec["says"].format(case=step.case.title)
    notify(step.work, people, text, key=f"{step.key}/told", case_id=step.case.id)
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
    if step.instance.stage_id is not None and deal.stage_id != step.instance.stage_id:
        return Skip("сделка уже на другой стадии")
    deals.move_stage(step.work, deal.id, step.spec["stage"])
    return Done({"stage": step.spec["stage"]})


def stage_sensor(step: StepContext) -> Answer:
    """Wait until the deal arrives at a stage, leaves the present one, or has stayed on it for a term."""
    deal = _deal(step)
    stage = step.work.session.get_one(Stage, deal.stage_id)
    if step.spec.get("arrives"):
        if stage.title == step.spec["arrives"]:
            return Done()
        return Wait(f"сделка придёт на стадию «{step.spec['arrives']}»", step.people("responsible"))
    home = step.instance.stage_id or step.instance.payload.get("stage_id")
    visit_id = step.instance.payload.get("visit_id")
    visit = step.work.session.get(StageVisit, visit_id) if visit_id else None
    left = deal.stage_id != home or (visit is not None and visit.left_at is not None)
    if step.spec.get("leaves"):
        return Done() if left else Wait(f"сделка уйдёт со стадии «{stage.title}»", step.people("responsible"))
    if left:
        return Stop("сделка ушла со стадии")
    moment = step.moment({"base": "opened", "offset": step.spec["stays_for"], "sign": 1})
    if moment is not None and moment <= step.work.now:
        return Done()
    return Wait("сделка всё ещё на стадии", [], moment, "срок пребывания на стадии")


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
        return Wait(f"выполнение задачи «{task.title}»", [task.executor_id], task.due_at, "срок задачи")
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
    try:
        deal = deals.create_deal(
            step.work,
            title=data["subject"],
            funnel=data["direction"],
            responsible_id=data["responsible_id"],
            company_id=data.get("company_id"),
            source=data.get("source"),
            request_key=step.key,
        )
    except InvalidInput as error:
        return Fail(str(error))
    facts = {**step.instance.payload, "deal_id": deal.id, "responsible": deal.responsible_id, "link": f"/backoffice/deals/{deal.id}"}
    step.instance.payload = facts
    return Done({"deal": deal.id})


def check_starter(step: StepContext) -> Answer:
    """Check again that whoever started a form process had the right to (design.md §5)."""
    from include.process.forms import may_start

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
    "Alarm": Word(alarm),
    "Notify": Word(notify_people),
    "SetField": Word(set_field),
    "MoveStage": Word(move_stage),
    "StageSensor": Word(stage_sensor),
    "TaskSensor": Word(task_sensor),
    "DateSensor": Word(date_sensor),
    "FieldSensor": Word(field_sensor),
    "CreateDeal": Word(create_deal),
    "CheckStarter": Word(check_starter),
}

HUMAN_WORDS = frozenset({"EmployeeTask"})
__all__ = ["HUMAN_WORDS", "WORDS", "ProcessInstance", "Word"]
