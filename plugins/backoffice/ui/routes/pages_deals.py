"""The list of deals and the card of a deal."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from backoffice.ui import format as written
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
    local_address,
    page,
    page_number,
    people_choices,
)
from backoffice.ui.routes.pages_deal_money import invoice_forms
from backoffice.ui.security import StaffViewer
from include.deals import rights
from include.shared import clock
from include.shared.errors import BackofficeError, Forbidden, InvalidInput, NotFound
from include.shared.work import reading, transaction
from include.staff.services import Viewer
from include.workplace import approvals, directory, files, money, moves, services, talk
from include.workplace import board as boards
from include.workplace import card as cards
from include.workplace.shapes import DealCard, FieldValue, HistoryRow, MoveRow, StageRow, StepRow
from include.workplace.surroundings import surroundings

router = APIRouter()
SCOPES = {"mine": "Мои", "all": "Все"}


@router.get("/deals")
def deals(
    request: Request, viewer: StaffViewer, q: str = "", who: str = "all", funnel: str = "", stage: str = "",
    company: str = "", page_: PageNumber = "1",
) -> Response:  # fmt: skip
    """Show the deals that the person may see, newest first."""
    who, query, number = who if who in SCOPES else "all", clean_query(q), page_number(page_)
    with reading() as session:
        now = clock.now(session)
        lines = directory.funnels(session)
        funnel = funnel if funnel in {one.code for one in lines} else ""
        titles = {one.code: one.title for line in lines for one in line.stages}
        stage = stage if stage in titles else ""
        of_company = identity(company)
        filters = boards.DealFilter(query=query, mine=who == "mine", company_id=of_company)
        found = boards.deals_list(
            session, viewer, now, filters=filters, funnel=funnel or None, stage=stage or None, page=number
        )
        company_name = directory.company(session, of_company).name if of_company else ""
    kept = {"q": query, "who": who, "funnel": funnel, "stage": stage, "company": of_company, "page": number}

    def here(**new: Any) -> str:
        return address("/deals", **{**kept, **new})

    return page(
        request, viewer, "deals.html", active="deals", deals=found, q=query, who=who, funnel=funnel, stage=stage,
        stage_title=titles.get(stage), company=of_company, client=company_name, funnels=lines,
        scopes=SCOPES.items(), now=now, address=here, page_address=lambda at: here(page=at),
    )  # fmt: skip


@router.get("/deals/{deal_id}")
def deal(
    request: Request,
    viewer: StaffViewer,
    deal_id: RowId,
    before: str = "",
    said: Annotated[str, Query(alias="talk")] = "",
) -> Response:
    """Show the card of a deal."""
    return show(request, viewer, deal_id, before=identity(before), talk_before=identity(said))


@router.post("/deals/{deal_id}/stage")
def move(request: Request, viewer: StaffViewer, deal_id: RowId, form: Form) -> Response:
    """Move a deal to another stage; a final stage is confirmed first, a stale page is told so."""
    target, seen = form.get("stage", ""), form.get("seen_stage", "")
    back = local_address(form.get("back"), f"{ROOT}/deals/{deal_id}")
    with reading() as session:
        if services.was_taken(session, viewer, deal_id, seen):
            board_again = back if back.startswith(f"{ROOT}/board") else f"{ROOT}/board"
            return done(request, board_again, services.TAKEN, kind="warning")
        shown = cards.deal_card(session, viewer, deal_id, clock.now(session))
        move = next((one for one in moves.moves_of(session, viewer, deal_id) if one.stage.code == target), None)
    stage = next((one.stage for one in shown.stages if one.stage.code == target), None)
    if move is not None and _asks_first(move) and form.get("confirmed") != "yes":
        if not shown.may_move:
            msg = "Нет прав: менять сделку может её ответственный, его руководитель или администратор."
            raise Forbidden(msg)
        return _confirm(request, viewer, shown, move, seen, back)
    try:
        with transaction(viewer.actor) as work:
            services.move_deal(work, viewer, deal_id, target, seen_stage=seen or None)
    except NotFound:
        raise
    except BackofficeError as error:
        return show(request, viewer, deal_id, Errors.of(error, "move"))
    if stage is not None and stage.id == shown.stage.id:
        return done(request, back, f"Сделка и так на стадии «{stage.title}».", kind="warning")
    title = stage.title if stage is not None else target
    return done(request, back, f"Сделка «{shown.title}» переведена на стадию «{title}».")


@router.post("/deals/{deal_id}/fields")
def fields(request: Request, viewer: StaffViewer, deal_id: RowId, form: Form) -> Response:
    """Store the fields that the person changed; those he left alone are not written back over newer ones."""
    changed = {
        name: value
        for name, value in form.items()
        if f"was.{name}" in form and _same_lines(value) != _same_lines(form[f"was.{name}"])
    }
    try:
        with transaction(viewer.actor) as work:
            stored = services.fill_deal(work, viewer, deal_id, changed)
    except NotFound:
        raise
    except BackofficeError as error:
        return show(request, viewer, deal_id, Errors.of(error, "fields_error", set(changed)), form)
    said = f"Сохранено полей: {len(stored)}." if stored else "Изменений не было."
    return done(request, f"{ROOT}/deals/{deal_id}", said, kind="ok" if stored else "warning")


@router.post("/deals/{deal_id}/processes/{process}")
def press(request: Request, viewer: StaffViewer, deal_id: RowId, process: str) -> Response:
    """Start a process by the button on the card; a refusal stands beside the button."""
    try:
        with transaction(viewer.actor) as work:
            services.press_button(work, viewer, deal_id, process)
    except NotFound:
        raise
    except BackofficeError as error:
        return show(request, viewer, deal_id, Errors.of(error, "button", set()))
    return done(request, f"{ROOT}/deals/{deal_id}", "Процесс запущен.")


@router.post("/deals/{deal_id}/responsible")
def responsible(request: Request, viewer: StaffViewer, deal_id: RowId, form: Form) -> Response:
    """Give the deal to another person with a reason."""
    try:
        person_id = identity(form.get("person_id"))
        if person_id is None:
            msg = "Выберите нового ответственного."
            raise InvalidInput(msg, "person_id")
        with transaction(viewer.actor) as work:
            services.give_deal(work, viewer, deal_id, person_id, form.get("reason", ""))
    except NotFound:
        raise
    except BackofficeError as error:
        errors = Errors.of(error, "responsible", {"person_id", "reason", "responsible_id"})
        if "responsible_id" in errors.fields:
            errors.fields["person_id"] = errors.fields.pop("responsible_id")
        return show(request, viewer, deal_id, errors, form)
    with reading() as session:
        still_seen = rights.may_see(session, viewer, deal_id)
    return done(request, f"{ROOT}/deals/{deal_id}" if still_seen else f"{ROOT}/deals", "Ответственный изменён.")


def _asks_first(move: MoveRow) -> bool:
    """Say whether a move is confirmed first; one that is forbidden is refused instead."""
    return not move.blocks and (move.closes or bool(move.warnings))


def _confirm(request: Request, viewer: Viewer, shown: DealCard, move: MoveRow, seen: str, back: str) -> Response:
    stage = move.stage
    tone = {"lost": "danger", "won": "success"}.get(stage.kind, "primary")
    said = {"lost": "закончится: проиграна", "won": "закончится: выиграна"}.get(stage.kind, "пойдёт дальше")
    return page(
        request, viewer, "confirm.html", active="board", title=f"Перевести на «{stage.title}»?",
        text=f"Сделка «{shown.title}» {said}.", warnings=move.warnings, consequences=_consequences(shown, stage),
        action=f"{ROOT}/deals/{shown.id}/stage", back=back, tone=tone,
        hidden={"stage": stage.code, "seen_stage": seen, "back": back}, button=f"Да, «{stage.title}»",
    )  # fmt: skip


def _consequences(shown: DealCard, stage: StageRow) -> list[str]:
    if stage.kind == "open":
        return []
    open_tasks = sum(1 for one in shown.tasks if one.state == "open")
    said = written.count(open_tasks, "открытая задача", "открытые задачи", "открытых задач")
    return [
        *([f"У сделки сейчас {said}."] if open_tasks else []),
        "Все её процессы остановятся, открытые задачи будут сняты."
        if stage.kind == "lost"
        else "Задачи текущей стадии будут сняты; обязательства с отметкой «сохранять» останутся.",
    ]


def show(
    request: Request,
    viewer: Viewer,
    deal_id: int,
    errors: Errors | None = None,
    typed: Mapping[str, str] | None = None,
    before: int | None = None,
    talk_before: int | None = None,
) -> Response:
    """Show the card of a deal, with what went wrong beside its form."""
    errors, kept = errors or Errors(), typed or {}
    with reading() as session:
        now = clock.now(session)
        shown = cards.deal_card(session, viewer, deal_id, now)
        if before is not None:
            rows, older = cards.deal_history(session, viewer, deal_id, before_id=before)
            shown = shown.model_copy(update={"history": rows, "history_before": older})
        people = directory.person_names(session)
        asked = approvals.approvals_of_case(session, viewer, shown.case_id, now)
        uploaded, limit = files.deal_files(session, viewer, deal_id), files.limit_mb(session)
        said = talk.deal_talk(session, viewer, deal_id, now, before=talk_before)
        sums = money.deal_money(session, viewer, deal_id)
        around = surroundings(session, viewer)
    choices = people_choices(people)
    names = {str(one.id): one.name for one in people}
    zone = shown.time_zone
    processes = _processes(shown)
    visits = [one for place in shown.stages if place.state == "current" for one in place.visits]
    return page(
        request, viewer, "deal.html", status=errors.status, active="deals", around=around, card=shown, errors=errors,
        now=now, zone=zone, processes=[one for one in processes if one["row"].state == "live"],
        ended=[one for one in processes if one["row"].state != "live"],
        inputs=[_field_input(one, kept, choices, zone) for one in shown.fields if one.editable],
        filled=[one for one in shown.fields if one.words],
        unfilled=[one for one in shown.fields if not one.words and one.editable],
        offered_stage=_offered(shown), older=before is not None,
        card_stage_since=visits[-1].entered_at if visits else shown.created_at,
        history=[{"row": one, "change": _change(one, shown, names)} for one in shown.history],
        responsible_inputs=_responsible_inputs(shown, kept, choices), approvals=asked, files=uploaded, limit_mb=limit,
        talk=said, talk_older=talk_before is not None, talk_typed=kept.get("comment", ""), talk_key=token_urlsafe(12),
        money=sums, invoice_forms=invoice_forms(sums, kept),
    )  # fmt: skip


def _responsible_inputs(shown: DealCard, kept: Mapping[str, str], people: dict[str, str]) -> list[dict[str, Any]]:
    others = {code: name for code, name in people.items() if code != str(shown.responsible.id)}
    return [
        {"name": "person_id", "title": "Новый ответственный", "kind": "choice", "required": True, "choices": others,
         "value": kept.get("person_id", "")},
        {"name": "reason", "title": "Почему", "kind": "long", "rows": 2, "required": True,
         "value": kept.get("reason", "")},
    ]  # fmt: skip


def _field_input(one: FieldValue, kept: Mapping[str, str], people: dict[str, str], zone: str) -> dict[str, Any]:
    was = written.input_value(one.value, one.kind, zone)
    text_is_long = one.kind == "text" and (len(was) > 80 or "\n" in was)
    return {
        "name": one.code, "title": one.title, "was": was, "value": kept.get(one.code, was),
        "kind": "choice" if one.kind == "person" else "long" if text_is_long else one.kind,
        "choices": people if one.kind == "person" else one.choices, "wide": text_is_long,
    }  # fmt: skip


def _processes(shown: DealCard) -> list[dict[str, Any]]:
    def of(steps: list[StepRow], process: str, visit: str) -> list[StepRow]:
        return [one for one in steps if (one.process, one.visit) == (process, visit)]

    return [
        {
            "row": row,
            "done": of(shown.done, row.process, row.visit),
            "now": of(shown.now, row.process, row.visit),
            "next": of(shown.next, row.process, row.visit),
        }
        for row in reversed(shown.processes)
    ]


def _offered(shown: DealCard) -> int | None:
    """Return the stage that a hand move most likely means: the next one."""
    later = [one.stage for one in shown.stages if one.stage.position > shown.stage.position]
    return later[0].id if later else None


def _change(row: HistoryRow, shown: DealCard, names: Mapping[str, str]) -> str:
    """Return «было → стало» of a changed field."""
    if not isinstance(row.before, dict) or not isinstance(row.after, dict):
        return ""
    if row.action == "deal.responsible_changed":
        was, now = (names.get(str(one.get("responsible")), "—") for one in (row.before, row.after))
        return f"{was} → {now}"
    if row.action != "deal.field_changed":
        return ""
    kinds = {one.code: one for one in shown.fields}
    parts = []
    for code, after in row.after.items():
        known = kinds.get(code)
        kind, choices = (known.kind, known.choices) if known else ("text", {})
        if kind == "person":
            kind, choices = "choice", dict(names)
        was = written.field_value(row.before.get(code), kind, choices, shown.time_zone)
        parts.append(f"{was} → {written.field_value(after, kind, choices, shown.time_zone)}")
    return "; ".join(parts)


def _same_lines(text: str) -> str:
    return text.replace("\r\n", "\n").strip()
