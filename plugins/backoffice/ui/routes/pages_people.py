"""Absences, roles given anew, and the page of a person who leaves."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui.routes.pages_common import (
    ROOT,
    Errors,
    Form,
    RowId,
    all_people,
    clean_query,
    done,
    identity,
    page,
    people_choices,
)
from backoffice.ui.security import AdminViewer, StaffViewer
from include.shared import clock
from include.shared.errors import BackofficeError, Forbidden, InvalidInput, NotFound
from include.shared.work import reading, transaction
from include.staff.services import Viewer
from include.workplace import people

router = APIRouter()
PEOPLE = f"{ROOT}/people"
BY_ITEM = ("departments", "roles")  # few of them, and each goes where it belongs
LONG_GROUP = 20  # above it a group has one successor for all its things


@router.get("/people")
def everybody(request: Request, viewer: StaffViewer, q: str = "", gone: str = "") -> Response:
    """Show who is there and how much each of them has to do."""
    query, left = clean_query(q), gone == "yes" and viewer.is_admin
    with reading() as session:
        now = clock.now(session)
        rows = people.people(session, viewer, now, query=query, gone=left)
        unheld = people.unheld_roles(session) if viewer.is_admin else {}
    return page(
        request, viewer, "people.html", active="people", people=rows, q=query, gone=left, unheld=unheld, now=now
    )


@router.get("/people/{person_id}")
def card(request: Request, viewer: StaffViewer, person_id: RowId) -> Response:
    """Show the card of a person."""
    return _card(request, viewer, person_id)


@router.post("/people/{person_id}/absence")
def set_absence(request: Request, viewer: StaffViewer, person_id: RowId, form: Form) -> Response:
    """Record that a person will be away: whole days of his own time zone."""
    try:
        with transaction(viewer.actor) as work:
            zone = ZoneInfo(people.person_card(work.session, viewer, person_id, work.now).time_zone)
            begins = _day(form.get("begins_on", ""), "begins_on", zone)
            ends = _day(form.get("ends_on", ""), "ends_on", zone) + timedelta(days=1)
            substitute = identity(form.get("substitute_id"))
            people.set_absence(work, viewer, person_id, begins, ends, substitute, form.get("reason", ""))
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        if isinstance(error, InvalidInput) and error.field in ("begins_at", "ends_at"):
            error.field = error.field.replace("_at", "_on")
        known = {"begins_on", "ends_on", "substitute_id", "reason"}
        return _card(request, viewer, person_id, Errors.of(error, "absence", known), form)
    return done(request, f"{PEOPLE}/{person_id}#absence", "Отсутствие записано, коллеги предупреждены.")


@router.post("/people/{person_id}/absence/{absence_id}/cancel")
def cancel_absence(request: Request, viewer: StaffViewer, person_id: RowId, absence_id: RowId) -> Response:
    """Cancel an absence, or end it now."""
    try:
        with transaction(viewer.actor) as work:
            people.cancel_absence(work, viewer, absence_id)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _card(request, viewer, person_id, Errors.of(error, "absence"))
    return done(request, f"{PEOPLE}/{person_id}#absence", "Отсутствие снято: работа снова приходит самому сотруднику.")


@router.get("/people/{person_id}/roles/{role_code}")
def role(request: Request, viewer: AdminViewer, person_id: RowId, role_code: str) -> Response:
    """Show a role of a person with the open tasks and approvals that go along when it is given to another."""
    return _role(request, viewer, person_id, role_code)


@router.post("/people/{person_id}/roles/{role_code}")
def give_role(request: Request, viewer: AdminViewer, person_id: RowId, role_code: str, form: Form) -> Response:
    """Give a role to another person; its open tasks go along unless the form says otherwise (R001-17)."""
    move = form.get("move_open", "yes") != "no"
    try:
        to = identity(form.get("to_person_id"))
        if to is None:
            msg = "Выберите, кому передать роль."
            raise InvalidInput(msg, "to_person_id")
        with transaction(viewer.actor) as work:
            result = people.remap(work, viewer, role_code, person_id, to, move_open=move)
    except NotFound:
        raise
    except BackofficeError as error:
        return _role(request, viewer, person_id, role_code, Errors.of(error, "role", {"to_person_id"}), form)
    said = f"Роль передана, открытых задач перешло: {result.moved}."
    if result.kept:
        said = f"Роль передана, прежний сотрудник доделает задачи: {result.kept}."
    if result.approvals:
        said += f" Согласований ждёт решения по роли: {result.approvals}."
    return done(request, f"{PEOPLE}/{person_id}", said)


@router.get("/people/{person_id}/leave")
def leave(request: Request, viewer: AdminViewer, person_id: RowId) -> Response:
    """Show everything that a person holds, and who is proposed to take it over (★48)."""
    return _leave(request, viewer, person_id)


@router.post("/people/{person_id}/leave")
def hand_over(request: Request, viewer: AdminViewer, person_id: RowId, form: Form) -> Response:
    """Hand over everything in one act: asked once more before, shown on the card after."""
    plan, reason = _plan(form), form.get("reason", "")
    stays = form.get("stays") == "yes"
    try:
        if form.get("confirmed") != "yes":
            with transaction(viewer.actor) as work:
                shares = people.preview_hand_over(work, viewer, person_id, plan)
                name = people.person_ref(work.session, person_id).name
            return _confirm(request, viewer, person_id, name, shares, form)
        with transaction(viewer.actor) as work:
            result = people.hand_over(work, viewer, person_id, plan, reason, deactivate=not stays)
    except NotFound:
        raise
    except BackofficeError as error:
        return _leave(request, viewer, person_id, Errors.of(error, "leave", {"reason"}), form)
    return done(request, f"{PEOPLE}/{person_id}", f"Готово: передано дел – {result.count}.")


def _confirm(
    request: Request, viewer: Viewer, person_id: int, name: str, shares: dict[str, dict[str, int]], form: Form
) -> Response:
    if not form.get("reason", "").strip():
        msg = "Напишите, почему передаётся работа."
        raise InvalidInput(msg, "reason")
    stays = form.get("stays") == "yes"
    hidden = {key: value for key, value in form.items() if key.startswith("to.") or key in ("reason", "stays")}
    consequences = [
        f"{to}: " + ", ".join(f"{title.lower()} – {number}" for title, number in counts.items())
        for to, counts in sorted(shares.items())
    ]
    text = "Преемники получат по одному уведомлению, каждая передача останется в истории."
    return page(
        request, viewer, "confirm.html", title=f"Передать всю работу: {name}?",
        text=text if stays else f"{text} Вход сотрудника закроется, новой работы он не получит.",
        consequences=consequences or ["Передавать нечего: сотрудник ничего не держит."], hidden=hidden,
        action=f"{PEOPLE}/{person_id}/leave", back=f"{PEOPLE}/{person_id}/leave",
        button="Передать" if stays else "Передать и отпустить", tone="primary" if stays else "danger",
    )  # fmt: skip


def _plan(form: Form) -> dict[str, int]:
    """Return who takes what: ``to.tasks`` for a group, ``to.roles:lawyer`` for a thing."""
    chosen = {name.removeprefix("to."): identity(value) for name, value in form.items() if name.startswith("to.")}
    return {name: person for name, person in chosen.items() if person is not None}


def _card(
    request: Request, viewer: Viewer, person_id: int, errors: Errors | None = None, typed: Form | None = None
) -> Response:
    errors = errors or Errors()
    with reading() as session:
        now = clock.now(session)
        shown = people.person_card(session, viewer, person_id, now)
    return page(
        request, viewer, "person.html", status=errors.status, active="people", card=shown, errors=errors, now=now,
        zone=shown.time_zone, absence_inputs=_absence_inputs(person_id, typed or {}),
    )  # fmt: skip


def _absence_inputs(person_id: int, kept: Form) -> list[dict[str, Any]]:
    return [
        {"name": "begins_on", "title": "Первый день", "kind": "date", "required": True,
         "value": kept.get("begins_on", "")},
        {"name": "ends_on", "title": "Последний день", "kind": "date", "required": True,
         "value": kept.get("ends_on", "")},
        {"name": "substitute_id", "title": "Кто замещает", "kind": "choice", "choices": _others(person_id),
         "blank": "никто", "value": kept.get("substitute_id", "")},
        {"name": "reason", "title": "Причина", "kind": "text", "longest": 300, "value": kept.get("reason", "")},
    ]  # fmt: skip


def _role(
    request: Request, viewer: Viewer, person_id: int, role_code: str, errors: Errors | None = None,
    typed: Form | None = None,
) -> Response:  # fmt: skip
    errors, kept = errors or Errors(), typed or {}
    with reading() as session:
        shown, now = people.remap_preview(session, viewer, role_code, person_id), clock.now(session)
    inputs = [
        {"name": "to_person_id", "title": "Кому передать", "kind": "choice", "choices": _others(person_id),
         "required": True, "value": kept.get("to_person_id", "")},
        {"name": "move_open", "title": "Открытые задачи", "kind": "choice", "blank": "передать вместе с ролью",
         "choices": {"no": "оставить прежнему сотруднику"}, "value": kept.get("move_open", "")},
    ]  # fmt: skip
    return page(
        request, viewer, "person_role.html", status=errors.status, active="people", role=shown, inputs=inputs,
        errors=errors, now=now,
    )  # fmt: skip


def _leave(
    request: Request, viewer: Viewer, person_id: int, errors: Errors | None = None, typed: Form | None = None
) -> Response:
    errors = errors or Errors()
    with reading() as session:
        held, now = people.held_by(session, viewer, person_id, clock.now(session)), clock.now(session)
    return page(
        request, viewer, "leaver.html", status=errors.status, active="people", held=held, errors=errors,
        typed=typed or {}, people=_others(person_id), by_item=BY_ITEM, long_group=LONG_GROUP, now=now,
    )  # fmt: skip


def _others(person_id: int) -> dict[str, str]:
    return {code: name for code, name in people_choices(all_people()).items() if code != str(person_id)}


def _day(typed: str, field: str, zone: ZoneInfo) -> datetime:
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError as error:
        msg = "Выберите день."
        raise InvalidInput(msg, field) from error
    if not 2000 <= day.year <= 2100:
        msg = "Выберите день: год от 2000 до 2100."
        raise InvalidInput(msg, field)
    return datetime.combine(day, time.min, zone)
