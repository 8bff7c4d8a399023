"""«Обмен с 1С»: what has come, what waits for a person, what each exchange brought and changed (issue 5, line 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice import exchange_runs
from backoffice.ui import format as said
from backoffice.ui.routes.pages_common import (
    ROOT,
    Errors,
    Form,
    PageNumber,
    RowId,
    address,
    clean_query,
    done,
    page,
    page_number,
)
from backoffice.ui.security import StaffViewer
from include.exchange_1c.rights import require_exchange
from include.shared import clock
from include.shared.errors import BackofficeError, Forbidden, NotFound
from include.shared.work import reading
from include.staff.services import Viewer
from include.workplace import exchange, exchange_acts, exchange_words
from include.workplace.exchange_shapes import ExchangeCard

router = APIRouter(prefix="/exchange")
HERE = f"{ROOT}/exchange"
STATES = {"": "Все", "applied": "Загружены", "failed": "Не загружены", "repeated": "Повторы", "replaced": "Заменены"}
GOODS = ("товар", "товара", "товаров")


@router.get("")
def exchanges(
    request: Request, viewer: StaffViewer, state: str = "", source: str = "", page_: PageNumber = "1"
) -> Response:
    """Show what waits, and the exchanges that a filter finds, the newest first."""
    state, source = state if state in STATES else "", source if source in exchange_words.SOURCES else ""
    with reading() as session:
        now = clock.now(session)
        found = exchange.exchanges(session, viewer, state=state, source=source, page=page_number(page_))

    def here(**new: Any) -> str:
        return address("/exchange", **{"state": state, "source": source, **new})

    return page(
        request, viewer, "exchange.html", active="exchange", found=found, now=now, state=state, source=source,
        states=STATES, sources=exchange_words.SOURCES, folder=exchange.incoming_folder(), at=here,
        http_address=f"{request.url.scheme}://{request.url.netloc}{ROOT}/1c/exchange",
        is_filtered=bool(state or source), page_address=lambda at: here(page=at),
    )  # fmt: skip


@router.post("/take")
def take(request: Request, viewer: StaffViewer) -> Response:
    """Begin a loading of what lies in the folder and waits in the queue."""
    require_exchange(viewer)
    return _begun(request, viewer, HERE, "take", "Файлы 1С будут взяты.")


@router.get("/{exchange_id}")
def one(request: Request, viewer: StaffViewer, exchange_id: RowId) -> Response:
    """Show one exchange."""
    return _show(request, viewer, exchange_id)


@router.get("/{exchange_id}/rejects")
def rejects(
    request: Request, viewer: StaffViewer, exchange_id: RowId, state: str = "", page_: PageNumber = "1"
) -> Response:
    """Show the quarantine of an exchange."""
    state = state if state == "open" else ""
    with reading() as session:
        row = exchange.row(session, viewer, exchange_id)
        found = exchange.rejects(session, viewer, exchange_id, only_open=bool(state), page=page_number(page_))
    return page(
        request, viewer, "exchange_rejects.html", active="exchange", row=row, found=found, state=state,
        page_address=lambda at: address(f"/exchange/{exchange_id}/rejects", state=state, page=at),
    )  # fmt: skip


@router.get("/{exchange_id}/changes")
def changes(
    request: Request, viewer: StaffViewer, exchange_id: RowId, entity: str = "", page_: PageNumber = "1"
) -> Response:
    """Show what an exchange changed, kind by kind: before and after."""
    with reading() as session:
        row = exchange.row(session, viewer, exchange_id)
        found = exchange.changes(session, viewer, exchange_id, entity=clean_query(entity), page=page_number(page_))
    here = f"/exchange/{exchange_id}/changes"
    return page(
        request, viewer, "exchange_changes.html", active="exchange", row=row, found=found,
        of_kind=lambda kind: address(here, entity=kind),
        page_address=lambda at: address(here, entity=found.entity, page=at),
    )  # fmt: skip


@router.get("/{exchange_id}/report")
def report(_request: Request, viewer: StaffViewer, exchange_id: RowId) -> Response:
    """Send the report as the text that lies beside the files on the server."""
    with reading() as session:
        text = exchange.report_text(session, viewer, exchange_id)
    headers = {"Content-Disposition": f'attachment; filename="exchange-{exchange_id}.txt"'}
    return Response(text, media_type="text/plain; charset=utf-8", headers=headers)


@router.post("/{exchange_id}/decide")
def decide(request: Request, viewer: StaffViewer, exchange_id: RowId, form: Form) -> Response:
    """Record what becomes of a held exchange, with a reason, after a question."""
    decision, reason = form.get("decision", ""), form.get("reason", "")
    if decision not in exchange_words.DECISIONS:
        return _show(request, viewer, exchange_id, Errors({"decide": "Выберите, что сделать с обменом."}, status=422))

    def ask() -> Response | None:
        shown = exchange_acts.held_card(viewer, exchange_id)
        exchange_acts.require_reason(reason)
        return _ask_decision(request, viewer, shown, decision, reason) if form.get("confirmed") != "yes" else None

    def act() -> Response:
        text = exchange_acts.decide(viewer, exchange_id, decision, reason)
        return _begun(request, viewer, f"{HERE}/{exchange_id}", f"decided-{exchange_id}", text)

    return _acted(request, viewer, exchange_id, form, "decide", ask, act)


@router.post("/{exchange_id}/replace")
def replace(request: Request, viewer: StaffViewer, exchange_id: RowId, form: Form) -> Response:
    """Give up the held exchange and the queued ones for the newest of them, with a reason, after a question."""
    reason = form.get("reason", "")

    def ask() -> Response | None:
        shown = exchange_acts.held_card(viewer, exchange_id)
        exchange_acts.require_reason(reason)
        return _ask_replacing(request, viewer, shown, reason) if form.get("confirmed") != "yes" else None

    def act() -> Response:
        newest, text = exchange_acts.replace(viewer, exchange_id, reason)
        return _begun(request, viewer, f"{HERE}/{newest}", f"replaced-{exchange_id}", text)

    return _acted(request, viewer, exchange_id, form, "replace", ask, act)


@router.post("/{exchange_id}/again")
def again(request: Request, viewer: StaffViewer, exchange_id: RowId, form: Form) -> Response:
    """Ask for the records in quarantine to be taken once more."""

    def act() -> Response:
        made, text = exchange_acts.take_again(viewer, exchange_id)
        return _begun(request, viewer, f"{HERE}/{made}", f"again-{made}", text)

    return _acted(request, viewer, exchange_id, form, "again", lambda: None, act)


def _acted(
    request: Request, viewer: Viewer, exchange_id: int, form: Mapping[str, str], name: str,
    ask: Callable[[], Response | None], act: Callable[[], Response],
) -> Response:  # fmt: skip
    """Ask first where there is a question, then act; what cannot be done stands beside its form."""
    require_exchange(viewer)
    try:
        return ask() or act()
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _show(request, viewer, exchange_id, Errors.of(error, name, {"reason"}), form)


def _begun(request: Request, viewer: Viewer, back: str, why: str, text: str) -> Response:
    begun = exchange_runs.start(why, viewer)
    return done(request, back, f"{text} {exchange_runs.said(begun)}", kind="ok" if begun else "warning")


def _ask_decision(request: Request, viewer: Viewer, shown: ExchangeCard, decision: str, reason: str) -> Response:
    here, row = f"{HERE}/{shown.row.id}", shown.row
    number = said.count(shown.held.would_deactivate, *GOODS) if shown.held else "Часть товаров"
    title, button, consequences, tone = {
        "confirm": (
            f"Снять {number} и загрузить обмен № {row.id}?", "Снять и загрузить",
            [f"{number}: перестанут действовать, в новых сделках их не выбрать. Записи останутся: следующий обмен, "
             "в котором они есть, вернёт их."], "danger",
        ),
        "keep": (
            f"Загрузить обмен № {row.id}, ничего не снимая?", "Загрузить",
            ["Всё, что есть в файлах, загрузится. Товары, которых в них нет, останутся действующими."], "primary",
        ),
        "refuse": (
            f"Отказаться от обмена № {row.id}?", "Отказаться",
            ["Ничего из него не загрузится, файлы уйдут в папку failed. Чтобы загрузить их потом, положите их снова."],
            "danger",
        ),
    }[decision]  # fmt: skip
    waiting = "Обмены, которые ждут за ним, пойдут дальше по очереди."
    return page(
        request, viewer, "confirm.html", active="exchange", title=title, text=f"Причина: {reason.strip()}",
        consequences=[*consequences, waiting], action=f"{here}/decide", back=here, tone=tone,
        hidden={"decision": decision, "reason": reason}, button=button,
    )  # fmt: skip


def _ask_replacing(request: Request, viewer: Viewer, shown: ExchangeCard, reason: str) -> Response:
    here, row = f"{HERE}/{shown.row.id}", shown.row
    given_up = [
        f"Не загрузится обмен № {one.id} от {said.moment(one.started_at)} ({one.source_title}, "
        f"{said.count(one.files, 'файл', 'файла', 'файлов')})."
        for one in shown.given_up
    ]
    if shown.newest is not None:
        given_up.append(f"Загрузится новейший, № {shown.newest}. Если он снимает слишком много, он тоже спросит.")
    return page(
        request, viewer, "confirm.html", active="exchange", title=f"Заменить обмен № {row.id} новейшим?",
        text=f"Причина: {reason.strip()}", consequences=given_up, action=f"{here}/replace", back=here,
        hidden={"reason": reason}, button="Заменить новейшим",
    )  # fmt: skip


def _show(
    request: Request, viewer: Viewer, exchange_id: int, errors: Errors | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    errors = errors or Errors()
    with reading() as session:
        now = clock.now(session)
        shown = exchange.card(session, viewer, exchange_id)
    return page(
        request, viewer, "exchange_card.html", status=errors.status, active="exchange", shown=shown, now=now,
        errors=errors, typed=typed or {},
    )  # fmt: skip
