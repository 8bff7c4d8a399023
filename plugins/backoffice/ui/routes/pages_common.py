"""What every page needs: the frame around it, typed input, answers after an act, errors beside the form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlencode

from fastapi import Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from pydantic import BeforeValidator

from backoffice.ui import format as written
from backoffice.ui import security
from include.exchange_1c.rights import may_handle as handles_exchange
from include.money.rights import may_handle as handles_money
from include.shared.errors import BackofficeError, Conflict, Forbidden, GuardRefused, InvalidInput, NotFound
from include.shared.work import reading
from include.staff.services import Viewer
from include.workplace import directory
from include.workplace.directory import PersonName
from include.workplace.surroundings import COMPANY_NAME, Surroundings, surroundings

ROOT = "/backoffice"
FLASH_COOKIE = "backoffice_flash"
FLASH_SECONDS = 60
LONGEST_FLASH = 600
LONGEST_QUERY = 200
LARGEST_PAGE = 100_000
TEMPLATES = FilePath(__file__).resolve().parents[1] / "templates"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates with everything escaped by default; a changed one is read at the next start."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )
    made.filters.update(written.FILTERS)
    made.globals.update(root=ROOT, static=f"{ROOT}/static", vendor=f"{ROOT}/vendor", office_zone=written.OFFICE_ZONE)
    return made


@dataclass
class Errors:
    """What could not be done: a sentence per form, a sentence per field, and what a guard misses."""

    where: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    missing: list[Any] = field(default_factory=list)
    status: int = 200

    def __getattr__(self, name: str) -> str | None:
        """Return the sentence of one form of the page (``errors.close``)."""
        return self.where.get(name)

    @classmethod
    def of(cls, error: BackofficeError, form: str, fields: set[str] | None = None) -> Errors:
        """Put an expected failure beside its form, or beside its field when the form has it."""
        known = fields or set()
        name = error.field if isinstance(error, InvalidInput) else None
        if name and name in known:
            return cls({form: "Проверьте поля формы."}, {name: str(error)}, [], 422)
        missing = error.missing if isinstance(error, GuardRefused) else []
        said = error.what if isinstance(error, GuardRefused) else str(error)
        return cls({form: said}, {}, list(missing), status_of(error))


def status_of(error: BackofficeError) -> int:
    """Return the HTTP status of an expected failure."""
    known = {NotFound: 404, Forbidden: 403, InvalidInput: 422, Conflict: 409, GuardRefused: 409}
    return next((status for kind, status in known.items() if isinstance(error, kind)), 422)


def page(
    request: Request,
    viewer: Viewer | None,
    template: str,
    *,
    status: int = 200,
    active: str = "",
    quick: bool = False,
    around: Surroundings | None = None,
    **context: Any,
) -> HTMLResponse:
    """Return a page in its frame; a flash message is shown once; ``quick`` keeps off the database.

    ``around`` is what a page with much to read has read in the same transaction.
    """
    flash = _flash_of(request)
    frame: dict[str, Any] = {
        "viewer": viewer, "active": active, "nav": _navigation(viewer), "flash": flash, "here": _here(request),
        "csrf_input": _csrf_input(request), "company_name": COMPANY_NAME, "unread": 0, "bell": [], "theme": "",
        "waiting": {},
        "my_zone": written.OFFICE_ZONE,
    }  # fmt: skip
    if around is None and not quick:
        with reading() as session:
            around = surroundings(session, viewer)
    if around is not None:
        of = around.frame
        frame |= {"now": around.now, "company_name": of.company_name, "unread": of.unread}
        if viewer is not None:
            frame |= {"theme": of.preferences.theme, "my_zone": of.time_zone}
            frame |= {"bell": around.bell, "waiting": {"approvals": around.asked}}
    taken = frame.keys() & context.keys() - {"now"}
    if taken:  # the frame would break only for those who have what it shows, such as a new notice
        msg = f"{template}: {', '.join(sorted(taken))} – имена рамки страницы"
        raise TypeError(msg)
    html = environment().get_template(template).render({**frame, **context})
    response = HTMLResponse(html, status_code=status)
    if flash is not None:
        response.delete_cookie(FLASH_COOKIE, path=ROOT)
    return response


def done(request: Request, address: str, text: str | None = None, *, kind: str = "ok") -> RedirectResponse:
    """Send the person on after an act (POST → redirect → GET) with a message that is shown once."""
    response = RedirectResponse(address, status_code=303)
    if text:
        value = quote(json.dumps({"kind": kind, "text": text[:LONGEST_FLASH]}, ensure_ascii=False))
        response.set_cookie(
            FLASH_COOKIE, value, max_age=FLASH_SECONDS, path=ROOT, httponly=True, samesite="lax",
            secure=request.url.scheme == "https",
        )  # fmt: skip
    return response


def local_address(value: str | None, otherwise: str = f"{ROOT}/") -> str:
    """Return an address inside the back office, or the other one: nobody is sent to a foreign site."""
    address = (value or "").strip()
    if not address.startswith(f"{ROOT}/") or any(one in address for one in "\\\r\n\t\x00") or "//" in address:
        return otherwise
    return address


def address(path: str, **query: Any) -> str:
    """Return an address of the back office; empty values are left out."""
    kept = {name: value for name, value in query.items() if value not in (None, "", 0)}
    return f"{ROOT}{path}" + (f"?{urlencode(kept)}" if kept else "")


async def _form(request: Request) -> dict[str, str]:
    sent = await request.form(max_files=0, max_fields=500)
    return {name: value for name, value in sent.items() if isinstance(value, str)}


def _row_id(written_id: object) -> int:
    number = identity(written_id if isinstance(written_id, str) else None)
    if number is None:
        msg = "Такой страницы нет."
        raise NotFound(msg)
    return number


Form = Annotated[dict[str, str], Depends(_form)]
RowId = Annotated[int, Path(), BeforeValidator(_row_id)]
PageNumber = Annotated[str, Query(alias="page")]
NextAddress = Annotated[str, Query(alias="next")]


def clean_query(text: str) -> str:
    """Return what was typed into a search box, without signs that no name has."""
    return "".join(one for one in text if one.isprintable() and not 0xD800 <= ord(one) <= 0xDFFF)[
        :LONGEST_QUERY
    ].strip()


def page_number(text: str | None) -> int:
    """Return a page number from an address; anything strange is the first page."""
    written_number = (text or "").strip()
    if not (written_number.isascii() and written_number.isdigit() and len(written_number) <= 6):
        return 1
    return min(max(int(written_number), 1), LARGEST_PAGE)


def identity(text: str | None) -> int | None:
    """Return an id that a form sent, or None when it is not one."""
    typed = (text or "").strip()
    if not (typed.isascii() and typed.isdigit() and len(typed) <= 18):
        return None
    return int(typed) or None


def people_choices(people: Iterable[PersonName]) -> dict[str, str]:
    """Return people as the choices of a select."""
    return {str(one.id): f"{one.full_name}{f' – {one.post}' if one.post else ''}" for one in people}


def all_people() -> list[PersonName]:
    """Return the active people for selects."""
    with reading() as session:
        return directory.person_names(session)


def _csrf_input(request: Request) -> Markup:
    return Markup('<input type="hidden" name="{}" value="{}">').format(
        security.CSRF_FIELD, security.csrf_token(request)
    )


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _flash_of(request: Request) -> Mapping[str, Any] | None:
    sent = request.cookies.get(FLASH_COOKIE)
    if not sent or len(sent) > 10 * LONGEST_FLASH:
        return None
    try:
        read = json.loads(unquote(sent))
    except ValueError:
        return None
    if not isinstance(read, dict) or not isinstance(read.get("text"), str):
        return None
    return {"kind": "ok" if read.get("kind") == "ok" else "warning", "text": read["text"][:LONGEST_FLASH]}


def _navigation(viewer: Viewer | None) -> list[dict[str, Any]]:
    if viewer is None:
        return []
    items: list[dict[str, Any]] = [
        {"code": "day", "title": "Мой день", "href": f"{ROOT}/", "icon": "sun"},
        {"code": "board", "title": "Доска", "href": f"{ROOT}/board", "icon": "board"},
        {"code": "deals", "title": "Сделки", "href": f"{ROOT}/deals", "icon": "list"},
        {"code": "approvals", "title": "Согласования", "short": "Решить", "href": f"{ROOT}/approvals", "icon": "stamp"},
        {
            "code": "forms",
            "title": "Запустить процесс",
            "short": "Запустить",
            "href": f"{ROOT}/forms",
            "icon": "play",
        },
    ]
    money = (
        {"code": "money", "title": "Деньги", "href": f"{ROOT}/money", "icon": "money", "extra": True}
        if handles_money(viewer)
        else {
            "code": "reconciliation",
            "title": "Сверка",
            "href": f"{ROOT}/reconciliation",
            "icon": "swap",
            "extra": True,
        }
    )
    items.append(money)
    items.append(
        {"code": "nomenclature", "title": "Номенклатура", "href": f"{ROOT}/nomenclature", "icon": "list", "extra": True}
    )
    if handles_exchange(viewer):
        items.append(
            {"code": "exchange", "title": "Обмен с 1С", "href": f"{ROOT}/exchange", "icon": "swap", "extra": True}
        )
        items.append(
            {"code": "twins", "title": "Похожие контрагенты", "href": f"{ROOT}/twins", "icon": "users", "extra": True}
        )
        items.append(
            {"code": "orders", "title": "Заказы в 1С", "href": f"{ROOT}/orders", "icon": "upload", "extra": True}
        )
    if viewer.is_admin or viewer.led_departments:
        items.append(
            {"code": "people", "title": "Сотрудники", "href": f"{ROOT}/people", "icon": "users", "extra": True}
        )
    if viewer.is_admin:
        items.append(
            {"code": "one_c", "title": "Доступы 1С", "href": f"{ROOT}/1c/access", "icon": "user", "extra": True}
        )
        items.append(
            {
                "code": "settings",
                "title": "Настройки",
                "href": f"{ROOT}/admin/",
                "icon": "settings",
                "extra": True,
            }
        )
    if viewer.access in ("ops", "admin"):
        items.append({"code": "ops", "title": "Обслуживание", "href": f"{ROOT}/ops", "icon": "pulse", "extra": True})
        items.append({"code": "airflow", "title": "Airflow", "href": "/", "icon": "external", "extra": True})
    return items
