"""«Похожие контрагенты»: cards that may be one counterparty are joined or told apart, and that can be undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from backoffice.ui.routes.pages_common import (
    ROOT,
    Errors,
    Form,
    PageNumber,
    RowId,
    address,
    clean_query,
    done,
    identity,
    page,
    page_number,
)
from backoffice.ui.security import StaffViewer
from include.companies.services import find_companies
from include.exchange_1c.rights import require_exchange
from include.shared.errors import BackofficeError, Forbidden, InvalidInput, NotFound
from include.shared.work import reading
from include.staff.services import Viewer
from include.workplace import twins
from include.workplace.twins_shapes import TwinCard

router = APIRouter(prefix="/twins")
HERE = f"{ROOT}/twins"
TABS = {"open": "Ждут решения", "joined": "Соединены", "separated": "Разные"}
Search = Annotated[str, Query(max_length=500)]


@router.get("")
def pairs(
    request: Request, viewer: StaffViewer, state: str = "open", one: Search = "", other: Search = "",
    page_: PageNumber = "1",
) -> Response:  # fmt: skip
    """Show the pairs of a state, and what a search for two cards finds."""
    return _list(request, viewer, state, one, other, page_)


@router.post("")
def ask(request: Request, viewer: StaffViewer, form: Form) -> Response:
    """Put two cards that a person has chosen side by side."""
    require_exchange(viewer)
    try:
        kept, other = identity(form.get("kept_id")), identity(form.get("other_id"))
        if kept is None or other is None:
            msg = "Найдите и выберите обе карточки."
            raise InvalidInput(msg, "other_id")
        made = twins.ask(viewer, kept, other)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _list(request, viewer, "open", form.get("one", ""), form.get("other", ""), "1", Errors.of(error, "ask"))
    return done(request, made.row.link)


@router.get("/{twin_id}")
def one(request: Request, viewer: StaffViewer, twin_id: RowId) -> Response:
    """Show a pair side by side."""
    return _show(request, viewer, twin_id)


@router.post("/{twin_id}/join")
def join(request: Request, viewer: StaffViewer, twin_id: RowId, form: Form) -> Response:
    """Make two cards one, after a question that says what will happen."""
    if form.get("confirmed") != "yes":
        with reading() as session:
            shown = twins.pair(session, viewer, twin_id)
        return page(
            request, viewer, "confirm.html", active="twins", title="Соединить карточки?", tone="primary",
            text=f"«{shown.kept.name}» и «{shown.other.name}» станут одним контрагентом.", consequences=shown.preview,
            action=f"{HERE}/{twin_id}/join", back=f"{HERE}/{twin_id}", hidden={}, button="Соединить",
        )  # fmt: skip
    return _act(request, viewer, twin_id, twins.join, "Карточки соединены.")


@router.post("/{twin_id}/separate")
def separate(request: Request, viewer: StaffViewer, twin_id: RowId) -> Response:
    """Note that two cards are different counterparties."""
    return _act(request, viewer, twin_id, twins.separate, "Записано: это разные контрагенты.")


@router.post("/{twin_id}/undo")
def undo(request: Request, viewer: StaffViewer, twin_id: RowId) -> Response:
    """Take a decision back."""
    return _act(request, viewer, twin_id, twins.undo, "Решение отменено: пара снова ждёт.")


def _act(request: Request, viewer: Viewer, twin_id: int, act: Callable[[Viewer, int], TwinCard], said: str) -> Response:
    try:
        made = act(viewer, twin_id)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _show(request, viewer, twin_id, Errors.of(error, "decide"))
    return done(request, made.row.link, said)


def _show(request: Request, viewer: Viewer, twin_id: int, errors: Errors | None = None) -> Response:
    errors = errors or Errors()
    with reading() as session:
        shown = twins.pair(session, viewer, twin_id)
    return page(
        request, viewer, "twins_pair.html", status=errors.status, active="twins", shown=shown, errors=errors
    )  # fmt: skip


def _list(
    request: Request, viewer: Viewer, state: str, one: str, other: str, page_: str, errors: Errors | None = None
) -> Response:
    errors = errors or Errors()
    state, one, other = state if state in TABS else "open", clean_query(one), clean_query(other)
    with reading() as session:
        found = twins.pairs(session, viewer, state, page=page_number(page_))
        cards = [find_companies(session, words) if words else [] for words in (one, other)]
        choices = [{str(card.id): twins.named(card) for card in some} for some in cards]
    return page(
        request, viewer, "twins.html", status=errors.status, active="twins", found=found, state=state, tabs=TABS,
        one=one, other=other, kept_choices=choices[0], other_choices=choices[1], errors=errors,
        at=lambda code: address("/twins", state=code),
        page_address=lambda at: address("/twins", state=state, page=at),
    )  # fmt: skip
