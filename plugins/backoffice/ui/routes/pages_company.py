"""A counterparty found by typing or created inside another form, with that form's input kept (R003-5, R003-6)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from backoffice.ui.routes.pages_common import Form, clean_query, identity
from include.companies import services as companies
from include.companies.rules import KINDS
from include.shared.errors import BackofficeError, InvalidInput, NotFound
from include.shared.work import reading, transaction
from include.staff.services import Viewer
from include.workplace import directory
from include.workplace.shapes import CompanyRow

ACTS = {"find", "open", "make", "make_anyway", "cancel", "drop"}
NAMES = ("name", "kind", "inn", "kpp", "phone", "email")


@dataclass
class Choice:
    """What the form shows in place of its counterparty: one chosen, some found, or a new one being written."""

    name: str
    chosen: CompanyRow | None = None
    query: str = ""
    found: list[CompanyRow] | None = None
    creating: bool = False
    similar: list[CompanyRow] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    input_errors: dict[str, str] = field(default_factory=dict)
    create_error: str | None = None
    handled: bool = False
    status: int = 200
    company_key: str = ""
    unknown: bool = False

    @property
    def unresolved(self) -> bool:
        """Say whether something was typed or sent but nothing is chosen: nobody's choice is dropped in silence."""
        return self.chosen is None and (bool(self.query) or self.unknown)


def choice(viewer: Viewer, form: Form, name: str = "company_id") -> Choice:
    """Do what the counterparty's buttons of the form asked for; ``handled`` when it was one of them."""
    act = form.get("act", "")
    made = Choice(name, query=clean_query(form.get("company_q", "")))
    picked = identity(form.get("pick"))
    if picked is not None:
        made.handled = True
    made.chosen = None if act == "drop" else _company(picked or identity(form.get(name)))
    made.unknown = bool(form.get(name, "").strip()) and made.chosen is None
    if act not in ACTS or picked is not None:
        return made
    made.handled = True
    made.company_key = form.get("company_key") or secrets.token_hex(16)
    if act == "find":
        made.found = _find(made.query)
    elif act in ("open", "make", "make_anyway"):
        made.creating = True
        made.inputs = _inputs(form, made.query)
        if act != "open":
            _make(viewer, form, made, sure=act == "make_anyway")
    return made


def find_for(made: Choice) -> None:
    """Look for what was typed when the form was sent without choosing."""
    made.found = _find(made.query)


def _make(viewer: Viewer, form: Form, made: Choice, *, sure: bool) -> None:
    values = {name: form.get(f"c.{name}", "").strip() for name in NAMES}
    if not sure:
        with reading() as session:
            alike = companies.similar(session, values["name"], values["inn"] or None)
            made.similar = [directory.company_row(one) for one in alike]
        if made.similar:
            return
    try:
        with transaction(viewer.actor) as work:
            company = companies.create_company(
                work, values["name"], inn=values["inn"] or None, kpp=values["kpp"] or None,
                kind=values["kind"] or "legal", email=values["email"] or None, phone=values["phone"] or None,
                request_key=made.company_key,
            )  # fmt: skip
            made.chosen, made.creating = directory.company_row(company), False
    except BackofficeError as error:
        made.status = 422
        if isinstance(error, InvalidInput) and error.field in NAMES:
            made.input_errors = {f"c.{error.field}": str(error)}
        else:
            made.create_error = str(error)


def _inputs(form: Form, query: str) -> list[dict[str, Any]]:
    as_inn = query if query.isascii() and query.isdigit() else ""
    first = {"name": "" if as_inn else query, "inn": as_inn, "kind": "legal"}
    titles = {
        "name": "Название", "kind": "Вид", "inn": "ИНН", "kpp": "КПП", "phone": "Телефон", "email": "Почта",
    }  # fmt: skip
    return [
        {
            "name": f"c.{name}", "title": titles[name], "value": form.get(f"c.{name}", first.get(name, "")),
            "kind": "choice" if name == "kind" else "text", "choices": KINDS, "required": name == "name",
            "wide": name == "name", "longest": 300 if name == "name" else 200,
            "hint": "10 цифр у организации, 12 у предпринимателя" if name == "inn" else "",
        }
        for name in NAMES
    ]  # fmt: skip


def _company(company_id: int | None) -> CompanyRow | None:
    if company_id is None:
        return None
    try:
        with reading() as session:
            return directory.company(session, company_id)
    except NotFound:
        return None


def _find(query: str) -> list[CompanyRow]:
    if not query:
        return []
    with reading() as session:
        return directory.companies(session, query, 10)
