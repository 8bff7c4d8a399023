"""The page of a task: close it, answer «not yet», open it again, change its term, give it to another person."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui import format as written
from backoffice.ui.routes.pages_common import (
    ROOT,
    Errors,
    Form,
    RowId,
    done,
    identity,
    page,
    people_choices,
)
from backoffice.ui.security import StaffViewer
from include.shared import clock
from include.shared.errors import BackofficeError, InvalidInput, NotFound
from include.shared.work import reading, transaction
from include.staff.services import Viewer
from include.workplace import directory, files, services
from include.workplace.shapes import TaskPage
from include.workplace.surroundings import surroundings
from include.workplace.task_view import task_page

router = APIRouter()
DOING = {"task": "Выполнить", "confirm": "Подтвердите", "form": "Заполните данные", "fix": "Устранить замечания"}


@router.get("/tasks/{task_id}")
def task(request: Request, viewer: StaffViewer, task_id: RowId) -> Response:
    """Show a task: what, for which case, why, until when."""
    return show(request, viewer, task_id)


@router.post("/tasks/{task_id}/close")
def close(request: Request, viewer: StaffViewer, task_id: RowId, form: Form) -> Response:
    """Close the task with its result; a guard answers with what is missing."""
    values = {name.removeprefix("r."): value for name, value in form.items() if name.startswith("r.")}
    try:
        with transaction(viewer.actor) as work:
            closed = services.close_task(work, viewer, task_id, values)
            title = closed.title
    except NotFound:
        raise
    except BackofficeError as error:
        errors = Errors.of(error, "close", set(values))
        errors.fields = {f"r.{name}": text for name, text in errors.fields.items()}
        return show(request, viewer, task_id, errors, form)
    return done(request, f"{ROOT}/", f"Задача «{title}» выполнена.")


@router.post("/tasks/{task_id}/not-yet")
def not_yet(request: Request, viewer: StaffViewer, task_id: RowId, form: Form) -> Response:
    """Answer a confirmation «нет»: why, and when to ask again."""
    try:
        with transaction(viewer.actor) as work:
            answered = services.not_yet(work, viewer, task_id, form.get("no_reason", ""), form.get("next_check", ""))
            said = written.moment(answered.due_at)
    except NotFound:
        raise
    except BackofficeError as error:
        errors = Errors.of(error, "not_yet", {"reason", "next_check"})
        if "reason" in errors.fields:
            errors.fields["no_reason"] = errors.fields.pop("reason")
        return show(request, viewer, task_id, errors, form)
    return done(request, f"{ROOT}/tasks/{task_id}", f"Ответ записан. Следующая проверка: {said}.")


@router.post("/tasks/{task_id}/reopen")
def reopen(request: Request, viewer: StaffViewer, task_id: RowId, form: Form) -> Response:
    """Open a task that was closed by mistake again; what cannot be taken back is said."""
    try:
        with transaction(viewer.actor) as work:
            opened = services.reopen_task(work, viewer, task_id, form.get("reopen_reason", ""))
            title = opened.title
    except NotFound:
        raise
    except BackofficeError as error:
        errors = Errors.of(error, "reopen", {"reason"})
        if "reason" in errors.fields:
            errors.fields["reopen_reason"] = errors.fields.pop("reason")
        return show(request, viewer, task_id, errors, form)
    return done(request, f"{ROOT}/tasks/{task_id}", f"Задача «{title}» открыта снова.")


@router.post("/tasks/{task_id}/term")
def term(request: Request, viewer: StaffViewer, task_id: RowId, form: Form) -> Response:
    """Give the task another term with its reason."""
    try:
        with transaction(viewer.actor) as work:
            changed = services.change_term(work, viewer, task_id, form.get("due", ""), form.get("reason", ""))
            said = written.moment(changed.due_at)
    except NotFound:
        raise
    except BackofficeError as error:
        return show(request, viewer, task_id, Errors.of(error, "term", {"due", "reason"}), form)
    return done(request, f"{ROOT}/tasks/{task_id}", f"Новый срок: {said}.")


@router.post("/tasks/{task_id}/give")
def give(request: Request, viewer: StaffViewer, task_id: RowId, form: Form) -> Response:
    """Give the task to another person with the reason."""
    try:
        person_id = identity(form.get("person_id"))
        if person_id is None:
            msg = "Выберите, кому передать задачу."
            raise InvalidInput(msg, "person_id")
        reason = form.get("give_reason", "").strip()
        if not reason or len(reason) > 1000:
            msg = "Напишите, почему передаёте задачу (до 1000 знаков)."
            raise InvalidInput(msg, "give_reason")
        with transaction(viewer.actor) as work:
            services.give_task(work, viewer, task_id, person_id, reason)
    except NotFound:
        raise
    except BackofficeError as error:
        return show(request, viewer, task_id, Errors.of(error, "give", {"person_id", "give_reason"}), form)
    return done(request, f"{ROOT}/", "Задача передана, новый исполнитель уведомлён.")


def show(
    request: Request, viewer: Viewer, task_id: int, errors: Errors | None = None, typed: Form | None = None
) -> Response:
    """Show a task, with what went wrong beside its form."""
    errors, kept = errors or Errors(), typed or {}
    with reading() as session:
        now = clock.now(session)
        shown = task_page(session, viewer, task_id, now)
        wanted, limit = files.task_files(session, viewer, task_id), files.limit_mb(session)
        chosen = directory.person_names(session) if shown.may_change or shown.result_fields else []
        around = surroundings(session, viewer)
    people = people_choices(chosen)
    zone = shown.task.case.time_zone
    term_inputs = [
        {
            "name": "due", "title": "Новый срок", "kind": "datetime", "required": True,
            "value": kept.get("due", written.input_value(shown.task.due_at, "datetime", zone)),
            "hint": f"по времени {zone}" if zone != written.OFFICE_ZONE else "",
        },
        {"name": "reason", "title": "Почему меняется срок", "kind": "long", "required": True, "wide": True,
         "value": kept.get("reason", "")},
    ]  # fmt: skip
    give_inputs = [
        {"name": "person_id", "title": "Кому", "kind": "choice", "required": True, "value": kept.get("person_id", ""),
         "choices": {code: name for code, name in people.items() if code != str(shown.task.executor.id)}},
        {"name": "give_reason", "title": "Почему", "kind": "long", "required": True, "wide": True, "rows": 2,
         "value": kept.get("give_reason", "")},
    ]  # fmt: skip
    no_inputs = [
        {"name": "no_reason", "title": "Почему ещё нет", "kind": "long", "required": True, "wide": True, "rows": 2,
         "value": kept.get("no_reason", "")},
        {
            "name": "next_check", "title": "Когда проверить снова", "kind": "datetime", "required": True,
            "value": kept.get("next_check", ""), "hint": f"по времени {zone}" if zone != written.OFFICE_ZONE else "",
        },
    ]  # fmt: skip
    reopen_inputs = [
        {"name": "reopen_reason", "title": "Почему открываете снова", "kind": "long", "required": True, "wide": True,
         "rows": 2, "value": kept.get("reopen_reason", "")},
    ]  # fmt: skip
    return page(
        request, viewer, "task.html", status=errors.status, active="day", around=around, page=shown, task=shown.task,
        errors=errors, inputs=_result_inputs(shown, kept, people), term_inputs=term_inputs, give_inputs=give_inputs,
        no_inputs=no_inputs, reopen_inputs=reopen_inputs, evidence=_evidence(shown), doing=DOING, now=now, files=wanted,
        limit_mb=limit,
    )  # fmt: skip


def _result_inputs(shown: TaskPage, kept: Form, people: dict[str, str]) -> list[dict[str, Any]]:
    zone = shown.task.case.time_zone
    return [
        {
            "name": f"r.{one.code}", "title": one.title, "kind": _input_kind(one.kind, one.value),
            "required": one.required, "choices": people if one.kind == "person" else one.choices,
            "value": kept.get(f"r.{one.code}", written.input_value(one.value, one.kind, zone)),
        }
        for one in shown.result_fields
        if one.kind != "file"  # a file is uploaded beside the form
    ]  # fmt: skip


def _input_kind(kind: str, value: Any) -> str:
    if kind == "person":
        return "choice"
    return "long" if kind == "text" and (len(str(value or "")) > 80 or "\n" in str(value or "")) else kind


def _evidence(shown: TaskPage) -> dict[str, str]:
    """Return in words on what grounds a task closed itself."""
    proof = shown.evidence or {}
    said = {"Что произошло": str(proof["because"])} if proof.get("because") else {}
    titles = {one.deal_field or one.code: one.title for one in shown.result_fields}
    facts = proof.get("facts")
    if isinstance(facts, dict):
        said |= {
            titles.get(name, "Значение"): written.field_value(value, _kind_of(value))
            for name, value in facts.items()
            if name in titles and value is not None
        }
    return said


def _kind_of(value: Any) -> str:
    return "datetime" if isinstance(value, str) and "T" in value else "text"
