"""API: what is wrong, failed steps and dead letters, for operations and administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backoffice import ops
from backoffice.ui.routes.api_common import Body, Line, RowId, failures
from backoffice.ui.security import OpsViewer
from include.ops import services
from include.ops.shapes import OpsState, OpsSummary
from include.ops.state import ops_state, rows_of
from include.shared import clock
from include.shared.work import reading, transaction

router = APIRouter(prefix="/ops", tags=["Обслуживание"])


class Retried(BaseModel):
    """A step that is repeated since this moment."""

    id: int
    title: str
    retried_at: datetime


class EventState(BaseModel):
    """An event that was put aside, and what it is now."""

    id: int
    state: str


class Why(Body):
    """Why a dead letter is given up."""

    reason: Annotated[Line, Field(min_length=1)]


@router.get("", summary="Страница обслуживания: находки, застрявшее, программы, диски", responses=failures(403))
def state(_viewer: OpsViewer) -> OpsState:
    """Return everything that the ops page shows."""
    with reading() as session:
        now = clock.now(session)
    return ops_state(ops.patient(), ops.findings(), now)


@router.get("/findings", summary="Что не так и что делать", responses=failures(403))
def found(_viewer: OpsViewer) -> OpsSummary:
    """Return the findings of ``make doctor``."""
    found_now = ops.findings()
    return OpsSummary(ok=not found_now, findings=rows_of(found_now))


@router.post("/steps/{step_id}/retry", summary="Повторить не выполненный шаг", responses=failures(403, 404, 409))
def retry(viewer: OpsViewer, step_id: RowId) -> Retried:
    """Have a stuck step looked at anew; what it did before is joined."""
    with transaction(viewer.actor) as work:
        step = services.retry_step(work, viewer, step_id, ops.clear)
        ops.forget()
        return Retried(id=step.id, title=step.title, retried_at=step.retried_at or work.now)


@router.post("/events/{event_id}/repeat", summary="Повторить отложенное событие", responses=failures(403, 404, 409))
def repeat(viewer: OpsViewer, event_id: RowId) -> EventState:
    """Give a dead letter to the relay again."""
    with transaction(viewer.actor) as work:
        event = services.repeat_event(work, viewer, event_id)
        ops.forget()
        return EventState(id=event.id, state=event.state)


@router.post("/events/{event_id}/drop", summary="Снять отложенное событие", responses=failures(403, 404, 409))
def drop(viewer: OpsViewer, event_id: RowId, body: Why) -> EventState:
    """Give a dead letter up for good."""
    with transaction(viewer.actor) as work:
        event = services.drop_event(work, viewer, event_id, body.reason)
        ops.forget()
        return EventState(id=event.id, state=event.state)
