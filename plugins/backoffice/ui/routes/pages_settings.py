"""Settings that the business changes without code; only an administrator sees them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui import format as written
from backoffice.ui.routes.pages_common import ROOT, Form, done, page, status_of
from backoffice.ui.security import AdminViewer
from include.shared.errors import BackofficeError, InvalidInput, NotFound
from include.shared.work import reading, transaction
from include.staff.services import Viewer
from include.workplace import directory, services
from include.workplace.shapes import SettingRow

router = APIRouter()
GROUPS = {"term": "Сроки", "switch": "Переключатели", "role": "Роли", "number": "Числа", "text": "Тексты"}


@router.get("/settings")
def settings(request: Request, viewer: AdminViewer) -> Response:
    """Show all settings with their values, defaults and who changed them."""
    return _show(request, viewer)


@router.post("/settings")
def change(request: Request, viewer: AdminViewer, form: Form) -> Response:
    """Change one setting; the change is audited."""
    code = form.get("code", "")
    row = next((one for one in _rows() if one.code == code), None)
    try:
        if row is None:
            msg = "Такой настройки нет."
            raise NotFound(msg)
        value = _typed_value(row, form)
        with transaction(viewer.actor) as work:
            services.change_setting(work, viewer, code, value)
    except BackofficeError as error:
        typed = {"code": code, **{name: form.get(name, "") for name in ("number", "unit", "value")}}
        return _show(request, viewer, str(error), typed, status_of(error))
    return done(request, f"{ROOT}/settings", f"«{row.title}»: {written.setting_value(value, row.kind)}.")


def _show(
    request: Request,
    viewer: Viewer,
    error: str | None = None,
    typed: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    rows = _rows()
    groups = [
        {
            "code": kind, "title": title,
            "rows": [{**one.model_dump(), "typed": _as_typed(one)} for one in rows if one.kind == kind],
        }
        for kind, title in GROUPS.items()
        if any(one.kind == kind for one in rows)
    ]  # fmt: skip
    return page(
        request, viewer, "settings.html", status=status, active="settings", groups=groups, error=error, typed=typed,
        units=written.UNIT_TITLES,
    )  # fmt: skip


def _rows() -> list[SettingRow]:
    with reading() as session:
        return directory.settings(session)


def _as_typed(row: SettingRow) -> dict[str, Any]:
    if row.kind == "term" and isinstance(row.value, dict) and len(row.value) == 1:
        ((unit, number),) = row.value.items()
        return {"unit": unit, "number": number}
    return {"value": row.value}


def _typed_value(row: SettingRow, form: Form) -> Any:
    if row.kind == "term":
        return {form.get("unit", ""): _whole(form.get("number", ""))}
    typed = form.get("value", "").strip()
    if row.kind == "switch":
        if typed not in ("yes", "no"):
            msg = "Выберите «включено» или «выключено»."
            raise InvalidInput(msg, "value")
        return typed == "yes"
    if row.kind == "number":
        return _whole(typed)
    if "\x00" in typed or len(typed) > 1000:
        msg = "Текст – до 1000 знаков."
        raise InvalidInput(msg, "value")
    return typed


def _whole(text: str) -> int:
    typed = text.strip()
    if not (typed.removeprefix("-").isascii() and typed.removeprefix("-").isdigit() and len(typed) <= 9):
        msg = "Введите целое число."
        raise InvalidInput(msg, "value")
    return int(typed)
