"""Accounts with which 1C comes to the HTTP exchange: opened, limited to addresses, closed by an administrator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui.routes.pages_common import ROOT, Errors, Form, RowId, done, page
from backoffice.ui.security import AdminViewer
from include.shared.errors import BackofficeError, InvalidInput, NotFound
from include.shared.work import reading
from include.staff.services import Viewer
from include.workplace import one_c
from include.workplace.one_c import NewPassword, OneCAccessRow

router = APIRouter(prefix="/1c/access")
HERE = f"{ROOT}/1c/access"
FIELDS = {"login", "title", "addresses"}


@router.get("")
def accesses(request: Request, viewer: AdminViewer) -> Response:
    """Show the accounts of 1C and the address that 1C is pointed at."""
    return _show(request, viewer)


@router.post("")
def add(request: Request, viewer: AdminViewer, form: Form) -> Response:
    """Open an account; its password is shown on this answer alone."""
    try:
        made = one_c.add(viewer, form.get("login", ""), form.get("title", ""), form.get("addresses", ""))
    except BackofficeError as error:
        return _show(request, viewer, Errors.of(error, "add", FIELDS), form)
    return _show(request, viewer, made=made)


@router.get("/{access_id}")
def one(request: Request, viewer: AdminViewer, access_id: RowId) -> Response:
    """Show one account to be changed."""
    return _one(request, viewer, access_id)


@router.post("/{access_id}")
def change(request: Request, viewer: AdminViewer, access_id: RowId, form: Form) -> Response:
    """Change what an account is called and where it may come from."""
    try:
        row = one_c.change(viewer, access_id, title=form.get("title", ""), addresses=form.get("addresses", ""))
    except InvalidInput as error:
        return _one(request, viewer, access_id, Errors.of(error, "edit", FIELDS), form)
    return done(request, HERE, f"Доступ «{row.title}» сохранён.")


@router.post("/{access_id}/password")
def renew(request: Request, viewer: AdminViewer, access_id: RowId, form: Form) -> Response:
    """Give an account a new password, after a question: 1C cannot come in until it has it."""
    if form.get("confirmed") != "yes":
        row = _row(viewer, access_id)
        return page(
            request, viewer, "confirm.html", active="one_c", title=f"Сменить пароль доступа «{row.title}»?",
            text=f"Логин останется прежним: {row.login}.",
            consequences=["Прежний пароль и идущий обмен перестанут действовать сразу.",
                          "Новый пароль нужно внести в настройки обмена в 1С: показан он будет один раз."],
            action=f"{HERE}/{access_id}/password", back=HERE, tone="primary", hidden={}, button="Сменить пароль",
        )  # fmt: skip
    return _show(request, viewer, made=one_c.renew(viewer, access_id))


@router.post("/{access_id}/state")
def switch(request: Request, viewer: AdminViewer, access_id: RowId, form: Form) -> Response:
    """Close an account, after a question, or open it again."""
    row = _row(viewer, access_id)
    opens = form.get("active") == "yes"
    if not opens and form.get("confirmed") != "yes":
        return page(
            request, viewer, "confirm.html", active="one_c", title=f"Закрыть доступ «{row.title}»?",
            text=f"1С с логином {row.login} больше не сможет обмениваться.",
            consequences=["Идущий обмен прервётся; уже принятые файлы загрузятся.", "Доступ можно открыть снова."],
            action=f"{HERE}/{access_id}/state", back=HERE, hidden={"active": "no"}, button="Закрыть доступ",
        )  # fmt: skip
    one_c.change(viewer, access_id, active=opens)
    return done(request, HERE, f"Доступ «{row.title}» {'открыт' if opens else 'закрыт'}.")


def _show(
    request: Request, viewer: Viewer, errors: Errors | None = None, typed: Mapping[str, str] | None = None,
    *, made: NewPassword | None = None,
) -> Response:  # fmt: skip
    errors = errors or Errors()
    with reading() as session:
        rows = one_c.accesses(session, viewer)
    return page(
        request, viewer, "one_c.html", status=errors.status, active="one_c", rows=rows, errors=errors, made=made,
        exchange_address=f"{request.url.scheme}://{request.url.netloc}{ROOT}/1c/exchange",
        inputs=_inputs(typed or {}),
    )  # fmt: skip


def _one(
    request: Request, viewer: Viewer, access_id: int, errors: Errors | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    errors, row = errors or Errors(), _row(viewer, access_id)
    kept = {"title": row.title, "addresses": "\n".join(row.addresses), **(typed or {})}
    return page(
        request, viewer, "one_c_access.html", status=errors.status, active="one_c", row=row, errors=errors,
        inputs=[one for one in _inputs(kept) if one["name"] != "login"],
    )  # fmt: skip


def _row(viewer: Viewer, access_id: int) -> OneCAccessRow:
    try:
        with reading() as session:
            return one_c.one(session, viewer, access_id)
    except NotFound as error:
        msg = "Такого доступа 1С нет. Откройте список заново."
        raise NotFound(msg) from error


def _inputs(kept: Mapping[str, str]) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = [
        {"name": "title", "title": "Какая это 1С", "kind": "text", "longest": 100, "required": True,
         "hint": "Например: УТ 11, основная база."},
        {"name": "login", "title": "Логин", "kind": "text", "longest": 60, "required": True,
         "hint": "Латинские буквы и цифры. Пароль система придумает сама."},
        {"name": "addresses", "title": "С каких адресов", "kind": "long", "rows": 3, "wide": True,
         "hint": "По одному в строке, например 192.168.1.10 или 192.168.1.0/24. Пусто – с любых."},
    ]  # fmt: skip
    return [{**one, "value": kept.get(one["name"], "")} for one in fields]
