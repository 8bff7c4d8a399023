"""My settings: the theme, «Мой день», the time zone, the password, my absences."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.auth_manager import address_of
from backoffice.ui import security
from backoffice.ui.routes.pages_common import (
    ROOT,
    Errors,
    Form,
    RowId,
    all_people,
    done,
    identity,
    local_address,
    page,
    people_choices,
)
from backoffice.ui.security import StaffViewer
from include.shared import clock
from include.shared.errors import BackofficeError, Forbidden, InvalidInput, NotFound
from include.shared.work import reading, transaction
from include.staff import absence, attempts, me
from include.staff.services import Viewer
from include.workplace import directory

router = APIRouter()
HERE = f"{ROOT}/me"


@router.get("/me")
def my_settings(request: Request, viewer: StaffViewer) -> Response:
    """Show what a person may set for himself."""
    return _show(request, viewer)


@router.post("/me/preferences")
def preferences(request: Request, viewer: StaffViewer, form: Form) -> Response:
    """Store the theme, the look of «Мой день» and the time zone; what was not sent stays."""
    try:
        with transaction(viewer.actor) as work:
            for code in me.CHOICES:
                if code in form:
                    me.prefer(work, code, form[code])
            if "time_zone" in form:
                me.set_time_zone(work, form["time_zone"])
    except BackofficeError as error:
        return _show(request, viewer, Errors.of(error, "preferences", {*me.CHOICES, "time_zone"}), form)
    return done(request, local_address(form.get("back"), HERE), "Сохранено.")


@router.post("/me/password")
def password(request: Request, viewer: StaffViewer, form: Form) -> Response:
    """Change the password and end the other sessions; guessing the present one is slowed down as at the login."""
    counted = attempts.try_login(viewer.login, address_of(request))
    try:
        with transaction(viewer.actor) as work:
            me.change_password(
                work, form.get("old_password", ""), form.get("new_password", ""), form.get("repeated", "")
            )
    except BackofficeError as error:
        if not isinstance(error, me.WrongPassword):
            attempts.take_back(counted)
        known = {"old_password", "new_password", "repeated"}
        return _show(request, viewer, Errors.of(error, "password", known))
    attempts.right(counted)
    answered = done(request, HERE, "Пароль изменён. На других устройствах войдите заново.")
    security.renew_session(request, answered, viewer)
    return answered


@router.post("/me/absence")
def away(request: Request, viewer: StaffViewer, form: Form) -> Response:
    """Record that the person will be away, whole days of his own time zone, and who stands in for him."""
    fields = {"begins_on", "ends_on", "substitute_id", "reason"}
    try:
        with transaction(viewer.actor) as work:
            zone = ZoneInfo(directory.frame(work.session, viewer.person_id, "").time_zone)
            begins = _day_begins(form.get("begins_on", ""), "begins_on", zone)
            ends = _day_begins(form.get("ends_on", ""), "ends_on", zone) + timedelta(days=1)
            absence.set_absence(
                work, viewer.person_id, begins, ends, identity(form.get("substitute_id")), form.get("reason", "")
            )
    except BackofficeError as error:
        if isinstance(error, InvalidInput) and error.field in ("begins_at", "ends_at"):
            error.field = error.field.replace("_at", "_on")
        return _show(request, viewer, Errors.of(error, "absence", fields), form)
    return done(request, f"{HERE}#absence", "Отсутствие записано, коллеги предупреждены.")


@router.post("/me/absence/{absence_id}/cancel")
def back_again(request: Request, viewer: StaffViewer, absence_id: RowId) -> Response:
    """Cancel one's own absence, or end it now."""
    try:
        with transaction(viewer.actor) as work:
            if absence.absence_of(work.session, absence_id).person_id != viewer.person_id:
                msg = f"Отсутствия № {absence_id} нет."
                raise NotFound(msg)
            absence.cancel_absence(work, absence_id)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _show(request, viewer, Errors.of(error, "absence"))
    return done(request, f"{HERE}#absence", "Отсутствие снято: работа снова приходит вам.")


def _day_begins(typed: str, field: str, zone: ZoneInfo) -> datetime:
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError as error:
        msg = "Выберите день."
        raise InvalidInput(msg, field) from error
    if not 2000 <= day.year <= 2100:
        msg = "Выберите день: год от 2000 до 2100."
        raise InvalidInput(msg, field)
    return datetime.combine(day, time.min, zone)


def _show(request: Request, viewer: Viewer, errors: Errors | None = None, typed: Form | None = None) -> Response:
    errors, kept = errors or Errors(), typed or {}
    with reading() as session:
        now = clock.now(session)
        around = directory.frame(session, viewer.person_id, "")
        mine = directory.absences(session, viewer.person_id, now)
    return page(
        request, viewer, "me.html", status=errors.status, active="me", errors=errors, mine=mine, zone=around.time_zone,
        now=now, preference_inputs=_preference_inputs(around, kept), password_inputs=_password_inputs(),
        absence_inputs=_absence_inputs(viewer, kept),
    )  # fmt: skip


def _preference_inputs(around: directory.Frame, kept: Form) -> list[dict[str, Any]]:
    inputs: list[dict[str, Any]] = [
        {"name": code, "title": title, "kind": "choice", "choices": choices, "required": True,
         "value": kept.get(code, getattr(around.preferences, code))}
        for code, (title, choices) in me.CHOICES.items()
    ]  # fmt: skip
    zones = {around.time_zone: around.time_zone} | me.ZONES
    return [
        *inputs,
        {"name": "time_zone", "title": "Часовой пояс", "kind": "choice", "choices": zones, "required": True,
         "value": kept.get("time_zone", around.time_zone), "hint": "По нему «Мой день» показывает сроки"},
    ]  # fmt: skip


def _password_inputs() -> list[dict[str, Any]]:
    return [
        {"name": "old_password", "title": "Нынешний пароль", "kind": "password", "required": True, "value": "",
         "autocomplete": "current-password"},
        {"name": "new_password", "title": "Новый пароль", "kind": "password", "required": True, "value": "",
         "autocomplete": "new-password", "hint": "От 8 знаков"},
        {"name": "repeated", "title": "Новый пароль ещё раз", "kind": "password", "required": True, "value": "",
         "autocomplete": "new-password"},
    ]  # fmt: skip


def _absence_inputs(viewer: Viewer, kept: Form) -> list[dict[str, Any]]:
    others = {code: name for code, name in people_choices(all_people()).items() if code != str(viewer.person_id)}
    return [
        {"name": "begins_on", "title": "Первый день", "kind": "date", "required": True,
         "value": kept.get("begins_on", "")},
        {"name": "ends_on", "title": "Последний день", "kind": "date", "required": True,
         "value": kept.get("ends_on", "")},
        {"name": "substitute_id", "title": "Кто замещает", "kind": "choice", "choices": others, "blank": "никто",
         "value": kept.get("substitute_id", "")},
        {"name": "reason", "title": "Причина", "kind": "text", "longest": 300, "value": kept.get("reason", "")},
    ]  # fmt: skip
