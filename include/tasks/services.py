"""Use cases of tasks: close with a result (guards hold for everybody), answer «not yet», change the term, give away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from textwrap import shorten
from typing import Any

from sqlalchemy import select

from include.deals import services as deals
from include.deals.models import Deal
from include.deals.rules import clean_value
from include.documents import services as documents
from include.process.models import ProcessCase
from include.shared.errors import Conflict, Forbidden, GuardRefused, InvalidInput, NotFound
from include.shared.texts import roubles, storable, visible
from include.shared.work import Work, jsonable
from include.shared.working_time import moment_of
from include.staff.services import Viewer, lock_active, person_of, require_over
from include.tasks import core
from include.tasks.models import Task, TaskObserver, TermChange

LATEST_TERM = timedelta(days=3660)
LONGEST_REASON = 1000
LONGEST_SAID = 300
NOT_YET = "Пока нет"  # how a confirmation is answered «нет» when its process has no words of its own


def close_task(work: Work, watcher: Viewer, task_id: int, values: Mapping[str, Any] | None = None) -> Task:
    """Close a task as done: its executor or whoever stands in for him, his head or an administrator.

    Nobody passes its guard.

    ``values`` are the result fields by code; those bound to a deal field are stored there first, in the same
    transaction. GuardRefused lists what is missing; closing a closed task again with the same result changes nothing,
    Conflict when it was closed with another one.
    """
    task = locked(work, task_id)
    require_over(work.session, watcher, task.executor_id, "закрыть задачу")
    if task.state == "done":
        _require_same_result(work, task, values or {})
        return task
    if task.state != "open":
        msg = f"Задача уже {core.STATE_TITLES[task.state]}: {task.close_reason or 'без причины'}."
        raise Conflict(msg)
    result = _clean_result(work, task, values or {})
    if task.state == "done":  # filling its fields has closed it: its guard came true
        task.result, task.closed_by = jsonable(result), watcher.person_id
        task.closed_for = _absent(watcher, task)
        return task
    missing = core.missing_for(work.session, task, work.now)
    if missing:
        raise GuardRefused(missing)
    core.end(work, task, "done", None, result=result, closed_for=_absent(watcher, task))
    return task


def not_yet(work: Work, watcher: Viewer, task_id: int, reason: str, next_check: Any) -> Task:
    """Answer «нет» to a confirmation: the gate stays shut, the person is asked again at the next check (R001-19)."""
    task = locked(work, task_id)
    require_over(work.session, watcher, task.executor_id, "ответить")
    _require_open(task)
    if task.kind != "confirm":
        msg = "«Пока нет» отвечают только на подтверждение. Эту задачу выполняют или передают."
        raise Conflict(msg)
    reason = clean_reason(reason)
    if not reason:
        msg = "Напишите, почему ещё нет."
        raise InvalidInput(msg, "reason")
    moment = _term(work, task, next_check, "next_check")
    answer = str(task.result_fields.get("no") or NOT_YET)
    before = _aim_at(work, watcher, task, moment, f"{answer}: {reason}")
    work.audit(
        "task.not_yet", f"«{task.title}»: {answer}{for_whom(work, watcher, task)}", entity="task", entity_id=task.id,
        case_id=task.case_id, before={"due_at": before}, after={"due_at": moment}, reason=reason,
    )  # fmt: skip
    work.touch(task.case_id)
    work.session.flush()
    return task


def change_term(work: Work, watcher: Viewer, task_id: int, due: Any, reason: str) -> Task:
    """Give a task a new term with a mandatory reason; the change is kept and its waits re-aim."""
    task = locked(work, task_id)
    require_over(work.session, watcher, task.executor_id, "менять срок")
    _require_open(task)
    reason = clean_reason(reason)
    if not reason:
        msg = "Напишите, почему меняется срок."
        raise InvalidInput(msg, "reason")
    moment = _term(work, task, due)
    before = _aim_at(work, watcher, task, moment, reason)
    said = f"Срок задачи «{task.title}» изменён{for_whom(work, watcher, task)}"
    work.audit(
        "task.term_changed", said, entity="task", entity_id=task.id,
        case_id=task.case_id, before={"due_at": before}, after={"due_at": moment}, reason=reason,
    )  # fmt: skip
    work.touch(task.case_id)
    return task


def reassign(work: Work, watcher: Viewer, task_id: int, person_id: int, reason: str) -> Task:
    """Give an open task to another person; he is told."""
    task = locked(work, task_id)
    require_over(work.session, watcher, task.executor_id, "передать задачу")
    _require_open(task)
    person = person_of(work.session, person_id)
    if not lock_active(work.session, [person.id]):
        msg = "Выберите работающего сотрудника."
        raise InvalidInput(msg, "person_id")
    if task.executor_id == person_id:
        return task
    said = f"Задача «{task.title}» передана: {person.short_name}{for_whom(work, watcher, task)}"
    task.addressed_to = f"person:{person_id}"
    core.move(work, task, person_id, said, f"Вам передана задача «{task.title}»", clean_reason(reason) or None)
    return task


def may_see(work: Work, watcher: Viewer, task: Task) -> bool:
    """Say whether the viewer is the task's executor, creator, observer, their head or an administrator."""
    if watcher.person_id in (task.executor_id, task.creator_id):
        return True
    watches = work.session.get(TaskObserver, (task.id, watcher.person_id))
    if watches is not None:
        return True
    try:
        require_over(work.session, watcher, task.executor_id, "смотреть задачу")
    except Forbidden:
        return False
    return True


def locked(work: Work, task_id: int) -> Task:
    """Return a task as it is once its case is locked for a change; NotFound when there is none."""
    task = work.session.get(Task, task_id)
    if task is None:
        msg = f"Задачи № {task_id} нет."
        raise NotFound(msg)
    work.lock_case(task.case_id)
    work.session.refresh(task)
    return task


def _absent(watcher: Viewer, task: Task) -> int | None:
    """Return the executor when the viewer acts for him because he is away."""
    return task.executor_id if task.executor_id in watcher.acts_for else None


def for_whom(work: Work, watcher: Viewer, task: Task) -> str:
    """Return « (за Иванову А. П.)» when the viewer acts for the task's absent executor, else nothing."""
    absent = _absent(watcher, task)
    return f" ({person_of(work.session, absent).for_whom})" if absent is not None else ""


def clean_reason(value: Any) -> str:
    """Return a reason as it was written, without padding, empty without a sign to see; InvalidInput if unkeepable."""
    reason = value.strip() if isinstance(value, str) else ""
    if len(reason) > LONGEST_REASON or not storable(reason):
        msg = f"Причина – до {LONGEST_REASON} знаков."
        raise InvalidInput(msg, "reason")
    return reason if visible(reason) else ""


def _require_open(task: Task) -> None:
    if task.state != "open":
        msg = f"Задача уже {core.STATE_TITLES[task.state]}."
        raise Conflict(msg)


def _term(work: Work, task: Task, due: Any, field: str = "due") -> datetime:
    zone = work.session.get_one(ProcessCase, task.case_id).time_zone
    stored = clean_value("datetime", "Срок", {}, due, zone)
    moment = moment_of(stored, zone)
    if moment is None:
        msg = "Укажите новый срок."
        raise InvalidInput(msg, field)
    if not work.now < moment < work.now + LATEST_TERM:
        msg = "Новый срок должен быть в будущем, не дальше десяти лет."
        raise InvalidInput(msg, field)
    return moment


def _aim_at(work: Work, watcher: Viewer, task: Task, moment: datetime, reason: str) -> datetime | None:
    """Give the task another term and keep the one before, with the reason; returns the one before."""
    before, task.due_at = task.due_at, moment
    change = TermChange(
        task_id=task.id, old_due_at=before, new_due_at=moment, reason=reason, changed_at=work.now,
        changed_by=watcher.person_id,
    )  # fmt: skip
    work.session.add(change)
    return before


def _require_same_result(work: Work, task: Task, values: Mapping[str, Any]) -> None:
    """Refuse a result other than the one the task was closed with: an answer is never dropped silently.

    Files are no part of it: what lies in a field is what was uploaded, whoever closes the task.
    """
    typed = {code: one for code, one in _result_fields(task, values).items() if one["kind"] != "file"}
    zone = work.session.get_one(ProcessCase, task.case_id).time_zone
    cleaned = {code: _clean_typed(one, values.get(code), zone) for code, one in typed.items()}
    sent = jsonable({code: one for code, one in cleaned.items() if one is not None})
    kept = {code: one for code, one in (task.result or {}).items() if code in typed}
    if not sent or sent == kept:
        return
    if task.evidence is not None and not kept:  # by its guard, and nobody had answered
        msg = f"Задача уже {task.close_reason}. Ваш итог не записан, обновите страницу."
        raise Conflict(msg)
    answers = {one["title"]: _in_words(work, one, kept[code]) for code, one in typed.items() if code in kept}
    said = "; ".join(f"{title} – {answer}" for title, answer in answers.items())
    closer = person_of(work.session, task.closed_by).short_name if task.closed_by is not None else "кто-то другой"
    how = f"с другим итогом: {shorten(said, LONGEST_SAID, placeholder='…').rstrip('.')}" if said else "без итога"
    msg = f"Задачу уже выполнил(а) {closer} {how}. Обновите страницу."
    raise Conflict(msg)


def _in_words(work: Work, field: Mapping[str, Any], value: Any) -> str:
    if field["kind"] == "bool":
        return "да" if value else "нет"
    if field["kind"] == "person":
        return person_of(work.session, value).short_name
    if field["kind"] == "money":
        return roubles(Decimal(value))
    if field["kind"] in ("date", "datetime"):
        moment = datetime.fromisoformat(value)
        return f"{moment:%d.%m.%Y}" if len(value) == len("2026-11-21") else f"{moment:%d.%m.%Y %H:%M}"
    return str(field.get("choices", {}).get(value, value))


def _result_fields(task: Task, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the result fields of a task by code; InvalidInput for a value of none of them."""
    fields = {one["code"]: one for one in task.result_fields.get("fields", [])}
    unknown = set(values) - set(fields)
    if unknown:
        msg = f"У задачи нет поля результата «{sorted(unknown)[0]}»."
        raise InvalidInput(msg, sorted(unknown)[0])
    return fields


def _clean_typed(field: Mapping[str, Any], value: Any, zone: str) -> Any:
    return clean_value(field["kind"], field["title"], {"choices": field.get("choices", {})}, value, zone)


def _clean_result(work: Work, task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    fields = _result_fields(task, values)
    zone = work.session.get_one(ProcessCase, task.case_id).time_zone
    result: dict[str, Any] = {}
    for code, one in fields.items():
        if one["kind"] == "file":  # uploaded while the task is open: what lies there now is the result
            cleaned = documents.result_value(work.session, task, one)
        else:
            cleaned = _clean_typed(one, values.get(code), zone)
        if cleaned is None and one.get("required"):
            msg = f"Заполните «{one['title']}»."
            raise InvalidInput(msg, code)
        if cleaned is not None:
            result[code] = cleaned
    typed = {code: one for code, one in fields.items() if one["kind"] != "file"}
    bound = {one["deal_field"]: result[code] for code, one in typed.items() if one.get("deal_field") and code in result}
    for code, one in typed.items():
        bound |= one.get("sets", {}).get(result.get(code), {})
    if bound:
        deal_id = work.session.scalar(select(Deal.id).where(Deal.case_id == task.case_id))
        if deal_id is None:
            msg = "Результат этой задачи пишется в сделку, а у дела её нет."
            raise Conflict(msg)
        deals.set_fields(work, deal_id, bound)
        work.session.refresh(task)
    return result
