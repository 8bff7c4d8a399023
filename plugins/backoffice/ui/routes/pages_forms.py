"""Start things by a form: a new deal, the processes that a person may start, what became of a request."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui.routes import pages_company
from backoffice.ui.routes.pages_common import (
    ROOT,
    Errors,
    Form,
    RowId,
    all_people,
    done,
    identity,
    page,
    people_choices,
)
from backoffice.ui.security import StaffViewer
from include.process import forms
from include.shared import clock
from include.shared.errors import BackofficeError, Forbidden, NotFound
from include.shared.work import reading, transaction
from include.staff.services import Viewer
from include.workplace import directory, services
from include.workplace.card import request_page

router = APIRouter()
CHOOSE_COMPANY = "Выберите компанию из найденных или создайте новую."
SHORT_TEXT = 300


@router.get("/deals/new")
def new_deal(request: Request, viewer: StaffViewer, funnel: str = "") -> Response:
    """Show the empty form of a deal."""
    first = {"funnel": funnel, "responsible_id": str(viewer.person_id)}
    return _deal_form(request, viewer, first, pages_company.Choice("company_id"), Errors())


@router.post("/deals/new")
def create_deal(request: Request, viewer: StaffViewer, form: Form) -> Response:
    """Create a deal once, however often the button was pressed; its company is found or created on the way."""
    company = pages_company.choice(viewer, form)
    if company.handled:
        return _deal_form(request, viewer, form, company, Errors(status=company.status))
    if company.unresolved:
        pages_company.find_for(company)
        errors = Errors({}, {"company_id": CHOOSE_COMPANY}, [], 422)
        return _deal_form(request, viewer, form, company, errors)
    inputs = _deal_inputs(form, company, [], [])
    missing = _missing(inputs, form)
    if missing:
        return _deal_form(request, viewer, form, company, Errors({}, missing, [], 422))
    try:
        with transaction(viewer.actor) as work:
            deal = services.create_deal(
                work, viewer, title=form.get("title", ""), funnel=form.get("funnel", ""),
                company_id=company.chosen.id if company.chosen else None,
                responsible_id=identity(form.get("responsible_id")),
                fields={"amount": form["amount"]} if form.get("amount", "").strip() else None,
                source=form.get("source", "").strip()[:200] or None, request_key=form.get("request_key") or None,
            )  # fmt: skip
            deal_id, title = deal.id, deal.title
    except BackofficeError as error:
        errors = Errors.of(error, "form", {one["name"] for one in inputs})
        return _deal_form(request, viewer, form, company, errors)
    return done(request, f"{ROOT}/deals/{deal_id}", f"Сделка «{title}» создана.")


@router.get("/forms")
def form_list(request: Request, viewer: StaffViewer) -> Response:
    """List the processes that the person may start."""
    with reading() as session:
        mine = [code for code in forms.FORMS if forms.may_start(session, code, viewer.person_id)]
    tiles = [
        {"process": code, "title": forms.FORMS[code].title, "about": "Понадобится: " + _asked_for(code) + "."}
        for code in mine
    ]
    return page(request, viewer, "forms.html", active="forms", forms=tiles)


@router.get("/forms/{process}")
def form(request: Request, viewer: StaffViewer, process: str) -> Response:
    """Show the form of a process, made from its model."""
    _allowed(viewer, process)
    return _process_form(
        request,
        viewer,
        process,
        {"responsible_id": str(viewer.person_id)},
        pages_company.Choice("company_id"),
        Errors(),
    )


@router.post("/forms/{process}")
def start(request: Request, viewer: StaffViewer, process: str, form: Form) -> Response:
    """Start a process once with what was filled in."""
    _allowed(viewer, process)
    company = pages_company.choice(viewer, form)
    if company.handled:
        return _process_form(request, viewer, process, form, company, Errors(status=company.status))
    if company.unresolved:
        pages_company.find_for(company)
        errors = Errors({}, {"company_id": CHOOSE_COMPANY}, [], 422)
        return _process_form(request, viewer, process, form, company, errors)
    inputs = _process_inputs(process, form, company, [])
    missing = _missing(inputs, form)
    if missing:
        return _process_form(request, viewer, process, form, company, Errors({}, missing, [], 422))
    sent = {one["name"]: form.get(one["name"], "") for one in inputs}
    if "company_id" in sent:
        sent["company_id"] = str(company.chosen.id) if company.chosen else ""
    try:
        with transaction(viewer.actor) as work:
            case = services.submit_form(work, viewer, process, sent, form.get("request_key") or None)
            case_id = case.id
    except BackofficeError as error:
        errors = Errors.of(error, "form", set(sent))
        return _process_form(request, viewer, process, form, company, errors)
    return done(request, f"{ROOT}/requests/{case_id}", f"Процесс «{forms.FORMS[process].title}» запущен.")


@router.get("/requests/{case_id}")
def request_(request: Request, viewer: StaffViewer, case_id: RowId) -> Response:
    """Show what became of a submitted form."""
    with reading() as session:
        now = clock.now(session)
        shown = request_page(session, viewer, case_id, now)
    return page(request, viewer, "request.html", active="forms", page=shown, now=now)


def _allowed(viewer: Viewer, process: str) -> None:
    if process not in forms.FORMS:
        msg = "Такого процесса нет."
        raise NotFound(msg)
    with reading() as session:
        if not forms.may_start(session, process, viewer.person_id):
            msg = f"Нет права запускать процесс «{forms.FORMS[process].title}»."
            raise Forbidden(msg)


def _deal_form(
    request: Request, viewer: Viewer, kept: dict[str, str], company: pages_company.Choice, errors: Errors
) -> Response:
    with reading() as session:
        lines = directory.funnels(session)
    inputs = _deal_inputs(kept, company, [(one.code, one.title) for one in lines], all_people())
    return page(
        request, viewer, "form.html", status=errors.status, active="deals", heading="Новая сделка",
        lead="Сделка появится на первой стадии направления.", up={"href": f"{ROOT}/deals", "title": "Сделки"},
        inputs=inputs, errors=errors.fields, error=errors.form, action=f"{ROOT}/deals/new", button="Создать сделку",
        cancel=f"{ROOT}/deals", request_key=_key(kept),
    )  # fmt: skip


def _deal_inputs(
    kept: dict[str, str], company: pages_company.Choice, funnels: list[tuple[str, str]], people: list[Any]
) -> list[dict[str, Any]]:
    return [
        {"name": "title", "title": "Название", "kind": "text", "required": True, "wide": True, "longest": 300,
         "value": kept.get("title", ""), "hint": "Что нужно клиенту, например «Подшипники 6205, 40 шт.»"},
        {"name": "funnel", "title": "Направление", "kind": "choice", "required": True, "choices": dict(funnels),
         "value": kept.get("funnel", "")},
        {"name": "responsible_id", "title": "Ответственный", "kind": "choice", "required": True,
         "choices": people_choices(people), "value": kept.get("responsible_id", "")},
        _company_input("Компания", company, required=False),
        {"name": "amount", "title": "Сумма сделки", "kind": "money", "value": kept.get("amount", "")},
        {"name": "source", "title": "Откуда пришло", "kind": "text", "longest": 200, "value": kept.get("source", "")},
    ]  # fmt: skip


def _company_input(title: str, company: pages_company.Choice, *, required: bool) -> dict[str, Any]:
    return {
        "name": company.name, "title": title, "kind": "company", "required": required, "chosen": company.chosen,
        "query": company.query, "found": company.found, "creating": company.creating, "similar": company.similar,
        "inputs": company.inputs, "input_errors": company.input_errors, "create_error": company.create_error,
        "company_key": company.company_key, "value": str(company.chosen.id) if company.chosen else "",
    }  # fmt: skip


def _process_form(
    request: Request,
    viewer: Viewer,
    process: str,
    kept: dict[str, str],
    company: pages_company.Choice,
    errors: Errors,
) -> Response:
    return page(
        request, viewer, "form.html", status=errors.status, active="forms", heading=forms.FORMS[process].title,
        lead="", up={"href": f"{ROOT}/forms", "title": "Запустить процесс"},
        inputs=_process_inputs(process, kept, company, all_people()), errors=errors.fields, error=errors.form,
        action=f"{ROOT}/forms/{process}", button="Запустить", cancel=f"{ROOT}/forms", request_key=_key(kept),
    )  # fmt: skip


def _process_inputs(
    process: str, kept: dict[str, str], company: pages_company.Choice, people: list[Any]
) -> list[dict[str, Any]]:
    schema = forms.FORMS[process].model.model_json_schema()
    required = set(schema.get("required", []))
    return [
        _schema_input(name, body, name in required, kept.get(name, _default(body)), company, people)
        for name, body in schema.get("properties", {}).items()
    ]


def _schema_input(
    name: str,
    body: dict[str, Any],
    required: bool,
    value: str,
    company: pages_company.Choice,
    people: list[Any],
) -> dict[str, Any]:
    title = str(body.get("title") or name)
    if body.get("look_up") == "companies":
        return _company_input(title, company, required=required)
    variants = [one for one in body.get("anyOf", [body]) if one.get("type") != "null"]
    core = {**body, **(variants[0] if variants else {})}
    made: dict[str, Any] = {
        "name": name, "title": title, "required": required, "value": value, "kind": "text",
        "hint": body.get("description", ""), "choices": {},
    }  # fmt: skip
    if body.get("look_up") == "people":
        made |= {"kind": "choice", "choices": people_choices(people)}
    elif core.get("enum") or "const" in core:
        made |= {
            "kind": "choice",
            "choices": {str(one): str(one) for one in core.get("enum") or [core["const"]]},
        }
    elif core.get("type") == "boolean":
        made["kind"] = "bool"
    elif core.get("type") in ("integer", "number"):
        made["kind"] = "number"
    elif core.get("format") in ("date", "date-time"):
        made["kind"] = "date" if core["format"] == "date" else "datetime"
    elif core.get("type") == "string":
        longest = int(core.get("maxLength") or SHORT_TEXT)
        is_long = longest > SHORT_TEXT
        made |= {"kind": "long" if is_long else "text", "longest": longest, "wide": longest >= SHORT_TEXT}
    return made


def _default(body: dict[str, Any]) -> str:
    value = body.get("default")
    return "" if value is None else str(value)


def _missing(inputs: list[dict[str, Any]], form: dict[str, str]) -> dict[str, str]:
    return {
        one["name"]: f"Заполните «{one['title']}»."
        for one in inputs
        if one.get("required") and not (one["value"] if one["kind"] == "company" else form.get(one["name"], "")).strip()
    }


def _asked_for(process: str) -> str:
    schema = forms.FORMS[process].model.model_json_schema()
    titles = [str(schema["properties"][name].get("title") or name) for name in schema.get("required", [])]
    return ", ".join(one[:1].lower() + one[1:] for one in titles)


def _key(kept: dict[str, str]) -> str:
    return kept.get("request_key") or secrets.token_hex(16)
