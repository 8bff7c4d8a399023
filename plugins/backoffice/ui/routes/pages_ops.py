"""The ops page: what is wrong, in words, and what can be done about it here."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice import ops
from backoffice.ui.routes.pages_common import ROOT, Form, RowId, done, local_address, page
from backoffice.ui.security import OpsViewer
from include.ops import services
from include.ops.state import ops_state
from include.shared import clock
from include.shared.errors import BackofficeError, InvalidInput, NotFound
from include.shared.work import reading, transaction

router = APIRouter(prefix="/ops")
HERE = f"{ROOT}/ops"


@router.get("")
def show(request: Request, viewer: OpsViewer) -> Response:
    """Show what is wrong, what stands still, and every program, disk and nightly run."""
    with reading() as session:
        now = clock.now(session)
    return page(request, viewer, "ops.html", active="ops", state=ops_state(ops.patient(), ops.findings(), now))


@router.post("/steps/{step_id}/retry")
def retry(request: Request, viewer: OpsViewer, step_id: RowId, form: Form) -> Response:
    """Repeat a stuck step; back to where the button was."""
    back = local_address(form.get("back"), HERE)
    try:
        with transaction(viewer.actor) as work:
            title = services.retry_step(work, viewer, step_id, ops.clear).title
    except NotFound:
        raise
    except BackofficeError as refused:
        return done(request, back, str(refused), kind="warning")
    ops.forget()
    return done(request, back, f"Шаг «{title}» повторяется: через несколько секунд он посмотрит на дело заново.")


@router.post("/events/{event_id}/repeat")
def repeat(request: Request, viewer: OpsViewer, event_id: RowId) -> Response:
    """Give a dead letter to the relay again."""
    try:
        with transaction(viewer.actor) as work:
            services.repeat_event(work, viewer, event_id)
    except NotFound:
        raise
    except BackofficeError as refused:
        return done(request, HERE, str(refused), kind="warning")
    ops.forget()
    return done(request, HERE, f"Событие № {event_id} передаётся снова.")


@router.post("/events/{event_id}/drop")
def drop(request: Request, viewer: OpsViewer, event_id: RowId, form: Form) -> Response:
    """Ask why and whether a dead letter is really given up, then do it."""
    error = None
    if form.get("confirmed") == "yes":
        try:
            with transaction(viewer.actor) as work:
                services.drop_event(work, viewer, event_id, form.get("reason", ""))
        except NotFound:
            raise
        except InvalidInput as refused:
            error = str(refused)
        except BackofficeError as refused:
            return done(request, HERE, str(refused), kind="warning")
        else:
            ops.forget()
            return done(request, HERE, f"Событие № {event_id} снято: процесс по нему не начнётся.")
    return page(
        request, viewer, "ops_drop.html", status=422 if error else 200, active="ops", event_id=event_id,
        error=error, reason=form.get("reason", ""), back=HERE,
    )  # fmt: skip
