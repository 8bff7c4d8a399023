"""Forms that start processes: one pydantic model gives our page, the JSON API and Airflow's own trigger form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from include.deals.forms import ClientRequest
from include.process.models import ProcessCase
from include.shared import once
from include.shared.errors import Forbidden, InvalidInput, NotFound
from include.shared.texts import storable
from include.shared.work import Work
from include.staff.models import Account, Person
from include.staff.services import Viewer, holders

ANYBODY = "any"


@dataclass(frozen=True)
class Form:
    """A form process: its title, its model and the roles that may start it."""

    title: str
    model: type[BaseModel]
    starters: frozenset[str] = frozenset({ANYBODY})


FORMS: dict[str, Form] = {"client_request": Form("Входящее обращение", ClientRequest)}


def may_start(session: Session, process: str, person_id: int | None) -> bool:
    """Say whether an active person may start a form process by his roles; administrators may start all."""
    form = FORMS.get(process)
    if form is None or person_id is None:
        return False
    person = session.get(Person, person_id)
    if person is None or not person.active:
        return False
    account = session.get(Account, person_id)
    if ANYBODY in form.starters or (account is not None and account.access == "admin"):
        return True
    return any(person_id in holders(session, role) for role in form.starters)


def start_form(
    work: Work, process: str, viewer: Viewer, data: Mapping[str, Any], request_key: str | None = None
) -> ProcessCase:
    """Start a form process by a person; the same ``request_key`` joins the first start.

    Forbidden without the right, InvalidInput names the first field that does not fit.
    """
    if process not in FORMS:
        msg = f"Процесса «{process}» нет."
        raise NotFound(msg)
    if not may_start(work.session, process, viewer.person_id):
        msg = f"Нет права запускать процесс «{FORMS[process].title}»."
        raise Forbidden(msg)
    made = once.joined(work, process, request_key)
    if made is not None:
        return work.session.get_one(ProcessCase, made)
    case, payload = open_request(work, process, viewer.login, data)
    work.emit(
        "form_submitted", f"on:form:{process}", visit="start-1", case_id=case.id,
        payload=payload,
    )  # fmt: skip
    once.remember(work, process, request_key, case.id)
    return case


def open_request(
    work: Work, process: str, login: str | None, data: Mapping[str, Any]
) -> tuple[ProcessCase, dict[str, Any]]:
    """Make a filled form a case; returns it with what its process knows. InvalidInput says what does not fit."""
    form = FORMS[process]
    filled = _validated(form.model, data)
    case = _new_case(work, str(filled.get("subject") or form.title), f"Запущен процесс «{form.title}»")
    known = {"form": filled, "started_by": _person(work, login), "responsible": filled.get("responsible_id")}
    return case, {**known, "link": None}


def refused_request(work: Work, process: str, login: str | None, reason: str) -> tuple[ProcessCase, dict[str, Any]]:
    """Make a form that does not fit a case all the same: its first step fails and says why."""
    title = f"{FORMS[process].title}: не принято"
    case = _new_case(work, title, f"Форма процесса «{FORMS[process].title}» не принята: {reason}")
    return case, {"refused": reason, "started_by": _person(work, login), "link": None}


def _new_case(work: Work, title: str, said: str) -> ProcessCase:
    case = ProcessCase(key=f"new-{uuid4()}", kind="request", title=title)
    work.session.add(case)
    work.session.flush()
    case.key = f"request-{case.id}"
    work.audit("form.submitted", said, entity="process_case", entity_id=case.id, case_id=case.id)
    return case


def _person(work: Work, login: str | None) -> int | None:
    return work.session.scalar(select(Account.person_id).where(Account.login == login)) if login else None


def _validated(model: type[BaseModel], data: Mapping[str, Any]) -> dict[str, Any]:
    if not storable(dict(data)):
        msg = "В форме есть недопустимые знаки."
        raise InvalidInput(msg)
    try:
        return model.model_validate({name: value for name, value in data.items() if value != ""}).model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        field = model.model_fields.get(name)
        title = field.title if field is not None and field.title else name
        said = {
            "missing": "заполните поле",
            "string_too_short": "заполните поле",
            "string_too_long": "слишком длинный текст",
            "literal_error": "выберите одно из предложенных значений",
            "extra_forbidden": "такого поля в форме нет",
        }.get(first["type"], "значение не подходит")
        msg = f"«{title}»: {said}."
        raise InvalidInput(msg, name) from error
