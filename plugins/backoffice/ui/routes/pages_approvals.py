"""The pages of approvals: the list, one approval on a phone, the decision by a letter's link."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask

from backoffice.auth_manager import address_of
from backoffice.ui.addresses import decide_address
from backoffice.ui.routes.pages_common import (
    ROOT,
    Errors,
    Form,
    PageNumber,
    RowId,
    address,
    done,
    identity,
    page,
    page_number,
)
from backoffice.ui.security import StaffViewer, public
from include.approvals import services
from include.shared import clock
from include.shared.errors import BackofficeError, Conflict, InvalidInput, NotFound
from include.shared.work import reading, transaction
from include.staff import attempts
from include.staff.services import Viewer
from include.workplace import approvals
from include.workplace.approval_shapes import LinkPage

router = APIRouter()
SCOPES: dict[approvals.Scope, str] = {"mine": "Ждут меня", "initiated": "Мои запросы", "decided": "Решённые"}
EMPTY = {
    "mine": ("Решать нечего", "Когда понадобится ваше согласие, вопрос появится здесь и в уведомлениях."),
    "initiated": ("Вы ничего не отправляли на согласование", "Согласование начинается на карточке сделки."),
    "decided": ("Вы ещё ничего не решали", "Здесь будет всё, что вы согласовали или отклонили."),
}
SAID = {"approve": "Согласовано", "reject": "Отклонено"}
CHUNK = 64 * 1024


@router.get("/approvals")
def approvals_list(request: Request, viewer: StaffViewer, view: str = "mine", page_: PageNumber = "1") -> Response:
    """Show the approvals that wait for a person, that he asked for, that he decided."""
    scope: approvals.Scope = next((one for one in SCOPES if one == view), "mine")
    with reading() as session:
        now = clock.now(session)
        shown = approvals.approvals_list(session, viewer, now, scope=scope, page=page_number(page_))
        counts = approvals.counts(session, viewer)
    return page(
        request, viewer, "approvals.html", active="approvals", shown=shown, scope=scope, scopes=SCOPES.items(),
        counts=counts, empty_words=EMPTY[scope], now=now,
        page_address=lambda at: address("/approvals", view="" if scope == "mine" else scope, page=at),
    )  # fmt: skip


@router.get("/approvals/{approval_id}")
def approval(request: Request, viewer: StaffViewer, approval_id: RowId) -> Response:
    """Show one approval so that it can be decided on a phone."""
    return _show(request, viewer, approval_id)


@router.post("/approvals/{approval_id}/decision")
def decide(request: Request, viewer: StaffViewer, approval_id: RowId, form: Form) -> Response:
    """Approve or reject; a rejection without its remark comes back with the error beside the field."""
    answer = form.get("answer", "")
    try:
        with transaction(viewer.actor) as work:
            decided = services.decide(
                work, viewer, approval_id, answer, form.get("remark", ""),
                seen_version=identity(form.get("seen_version")), seat_id=identity(form.get("seat_id")),
            )  # fmt: skip
            said = f"{SAID[answer]}: «{decided.title}»."
    except NotFound:
        raise
    except BackofficeError as error:
        return _show(request, viewer, approval_id, Errors.of(error, "decide", {"remark"}), form)
    return done(request, f"{ROOT}/approvals/{approval_id}", said)


@router.post("/approvals/{approval_id}/link")
def link(request: Request, viewer: StaffViewer, approval_id: RowId) -> Response:
    """Make a link for a letter and show it once."""
    try:
        with transaction(viewer.actor) as work:
            token = services.make_link(work, viewer, approval_id)
            view = services.read_link(work.session, token, work.now)
    except NotFound:
        raise
    except BackofficeError as error:
        return _show(request, viewer, approval_id, Errors.of(error, "link"))
    made = {"url": decide_address(request, token), "expires_at": view.expires_at}
    return _show(request, viewer, approval_id, made=made)


@router.api_route("/decide/{token}", methods=["GET", "HEAD"], dependencies=[Depends(public)])
def decide_page(request: Request, token: str) -> Response:
    """Show what a letter's link is about; looking decides nothing, whoever looks."""
    shown = _read(request, token)
    return _decide_page(request, token, shown, status=200 if shown.state == "ready" else 410)


@router.post("/decide/{token}", dependencies=[Depends(public)])
def decide_by_link(request: Request, token: str, form: Form) -> Response:
    """Decide by a letter's link; it works once."""
    _read(request, token)
    answer, remark = form.get("answer", ""), form.get("remark", "")
    try:
        with transaction() as work:
            view = services.decide_by_link(work, token, answer, remark, identity(form.get("seen_version")))
            shown = approvals.link_shown(work.session, view, work.now)
    except InvalidInput as error:
        errors = Errors.of(error, "decide", {"remark"})
        return _decide_page(request, token, _read(request, token), status=422, errors=errors, remark=remark)
    except Conflict as error:
        shown = _read(request, token)
        errors = Errors.of(error, "decide") if shown.state == "ready" else Errors()
        return _decide_page(request, token, shown, status=409, errors=errors, remark=remark)
    return _decide_page(request, token, shown, answered=SAID[answer])


@router.get("/decide/{token}/file", dependencies=[Depends(public)])
def decide_file(request: Request, token: str) -> Response:
    """Give the file that a working link is about, and no other."""
    shown = _read(request, token)
    if shown.version_id is None:
        raise NotFound(shown.words or "У этого согласования нет файла.")
    content, name, media_type = approvals.file_of_link(shown.version_id)
    chunks = iter(lambda: content.read(CHUNK), b"")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return StreamingResponse(chunks, media_type=media_type, headers=headers, background=BackgroundTask(content.close))


def _read(request: Request, token: str) -> LinkPage:
    """Read a link; whoever guesses at links from one address is made to wait."""
    sender = address_of(request)
    attempts.check_links(sender)
    try:
        with reading() as session:
            return approvals.link_page(session, token, clock.now(session))
    except NotFound:
        attempts.wrong_link(sender)
        raise


def _decide_page(
    request: Request,
    token: str,
    shown: LinkPage,
    *,
    status: int = 200,
    errors: Errors | None = None,
    remark: str = "",
    answered: str = "",
) -> Response:
    return page(
        request, None, "decide.html", status=status, link=shown, token=token, errors=errors or Errors(), remark=remark,
        answered=answered,
    )  # fmt: skip


def _show(
    request: Request,
    viewer: Viewer,
    approval_id: int,
    errors: Errors | None = None,
    typed: Form | None = None,
    made: dict[str, Any] | None = None,
) -> Response:
    errors = errors or Errors()
    with reading() as session:
        now = clock.now(session)
        shown = approvals.approval_page(session, viewer, approval_id, now)
    return page(
        request, viewer, "approval.html", status=errors.status, active="approvals", shown=shown,
        approval=shown.approval, errors=errors, remark=(typed or {}).get("remark", ""), made=made, now=now,
    )  # fmt: skip
