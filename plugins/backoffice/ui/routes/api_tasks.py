"""API: tasks."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from backoffice.ui.routes.api_common import (
    Body,
    FilterId,
    Line,
    Number,
    PageNumber,
    PerPage,
    RowId,
    Text,
    Values,
    failures,
)
from backoffice.ui.security import StaffViewer
from include.shared import clock
from include.shared.work import reading, transaction
from include.workplace import day, services
from include.workplace.shapes import MyDay, Page, TaskPage, TaskRow
from include.workplace.task_view import task_page

router = APIRouter(prefix="/tasks", tags=["Задачи"])


class Closing(Body):
    """The result fields of a task by code."""

    result: Values = Field(default_factory=dict)


class NewTerm(Body):
    """A new term (21.11.2026 14:05, or ISO) and why."""

    due: Annotated[Text, Field(max_length=50)]
    reason: Line


class NotYet(Body):
    """Why a confirmation is answered «нет», and when it is asked again."""

    reason: Line
    next_check: Annotated[Text, Field(max_length=50)]


class Reopening(Body):
    """Why a closed task is opened again."""

    reason: Line


class NewExecutor(Body):
    """To whom a task is given, and why."""

    person_id: Number
    reason: Line = ""


@router.get("", summary="Задачи", responses=failures(404))
def tasks(
    viewer: StaffViewer,
    scope: Literal["mine", "department", "watched", "case"] = "mine",
    state: Annotated[Literal["open", "done", "withdrawn", "replaced", "any"], Query(description="Состояние")] = "open",
    case_id: FilterId = None,
    page: PageNumber = 1,
    per_page: PerPage = 50,
) -> Page[TaskRow]:
    """Return a page of tasks, overdue first, then by term."""
    with reading() as session:
        return day.tasks_list(
            session, viewer, clock.now(session), scope=scope, state=None if state == "any" else state,
            case_id=case_id, page=page, per_page=per_page,
        )  # fmt: skip


@router.get("/my-day", summary="Мой день", responses=failures())
def my_day(viewer: StaffViewer, scope: Literal["mine", "department"] = "mine", page: PageNumber = 1) -> MyDay:
    """Return open tasks, armed alarms and newest notices."""
    with reading() as session:
        return day.my_day(session, viewer, clock.now(session), scope=scope, page=page)


@router.get("/{task_id}", summary="Задача", responses=failures(404))
def task(viewer: StaffViewer, task_id: RowId) -> TaskPage:
    """Return everything about a task, with what its guard still wants."""
    with reading() as session:
        return task_page(session, viewer, task_id, clock.now(session))


@router.post("/{task_id}/close", summary="Закрыть задачу", responses=failures(403, 404, 409))
def close(viewer: StaffViewer, task_id: RowId, body: Closing) -> TaskPage:
    """Close a task; 409 with ``missing`` when its guard holds."""
    with transaction(viewer.actor) as work:
        services.close_task(work, viewer, task_id, body.result)
        return task_page(work.session, viewer, task_id, work.now)


@router.post("/{task_id}/not-yet", summary="Ответить «пока нет»", responses=failures(403, 404, 409))
def not_yet(viewer: StaffViewer, task_id: RowId, body: NotYet) -> TaskPage:
    """Answer a confirmation «нет»: it stays open, the gate stays shut, the next check is the new term."""
    with transaction(viewer.actor) as work:
        services.not_yet(work, viewer, task_id, body.reason, body.next_check)
        return task_page(work.session, viewer, task_id, work.now)


@router.post("/{task_id}/reopen", summary="Открыть задачу снова", responses=failures(403, 404, 409))
def reopen(viewer: StaffViewer, task_id: RowId, body: Reopening) -> TaskPage:
    """Open a task that was closed by mistake again; ``reopen`` of the task says before what that takes back."""
    with transaction(viewer.actor) as work:
        services.reopen_task(work, viewer, task_id, body.reason)
        return task_page(work.session, viewer, task_id, work.now)


@router.post("/{task_id}/term", summary="Изменить срок", responses=failures(403, 404, 409))
def term(viewer: StaffViewer, task_id: RowId, body: NewTerm) -> TaskPage:
    """Give a task a new term; the reason is kept."""
    with transaction(viewer.actor) as work:
        services.change_term(work, viewer, task_id, body.due, body.reason)
        work.session.flush()
        return task_page(work.session, viewer, task_id, work.now)


@router.post("/{task_id}/executor", summary="Передать задачу", responses=failures(403, 404, 409))
def executor(viewer: StaffViewer, task_id: RowId, body: NewExecutor) -> TaskRow:
    """Give a task to another person; he is told."""
    with transaction(viewer.actor) as work:
        services.give_task(work, viewer, task_id, body.person_id, body.reason)
        work.session.flush()
        return day.one_task(work.session, task_id, work.now)
