"""What a logged-in person does: every act with its right, in one transaction; pages and the API call these."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.companies.services import create_company
from include.deals import rights
from include.deals import services as deals
from include.deals.models import Deal, Stage, StageVisit
from include.notices.services import mark_read, mark_unread
from include.process import buttons, reopen
from include.process.forms import start_form
from include.process.models import ProcessCase
from include.shared import once, settings
from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.texts import visible
from include.shared.work import Work
from include.staff.services import Viewer
from include.tasks import services as tasks
from include.tasks.models import Task

MOST_FIELDS = 200
LONGEST_NUMBER = 20
TAKEN = "Это обращение уже взял в работу другой сотрудник."


def create_deal(
    work: Work,
    viewer: Viewer,
    *,
    title: str,
    funnel: str,
    company_id: int | None = None,
    company: Mapping[str, Any] | None = None,
    responsible_id: int | None = None,
    fields: Mapping[str, Any] | None = None,
    source: str | None = None,
    request_key: str | None = None,
) -> Deal:
    """Create a deal, with its new counterparty in the same transaction (R003-6); a repeated key joins the first one.

    Without ``responsible_id`` the deal is the viewer's own.
    """
    made = once.joined(work, "deal", request_key)
    if made is not None:
        return work.session.get_one(Deal, made)
    if company is not None and company_id is not None:
        msg = "Выберите контрагента или создайте нового – одно из двух."
        raise InvalidInput(msg, "company_id")
    if company is not None:
        company_id = create_company(work, **company).id
    elif company_id is not None:
        _require_company(work, company_id)
    deal = deals.create_deal(
        work,
        title=title,
        funnel=funnel,
        responsible_id=responsible_id or viewer.person_id,
        company_id=company_id,
        fields=_few(fields),
        source=source,
        request_key=once.own_key(work, request_key),
    )
    once.remember(work, "deal", request_key, deal.id)
    return deal


def move_deal(work: Work, viewer: Viewer, deal_id: int, stage: str, *, seen_stage: str | None = None) -> Deal:
    """Move a deal to a stage of its funnel; Conflict when somebody has moved it since the person saw it."""
    _locked(work, viewer, deal_id)
    if was_taken(work.session, viewer, deal_id, seen_stage):
        raise Conflict(TAKEN)
    rights.require_move(work.session, viewer, deal_id)
    return deals.move_stage(work, deal_id, stage, seen_stage=seen_stage)


def was_taken(session: Session, viewer: Viewer, deal_id: int, seen_stage: str | None) -> bool:
    """Say whether a request that the viewer saw waiting and could take was taken by somebody else meanwhile."""
    if not seen_stage or not rights.takes_leads(viewer) or rights.may_see(session, viewer, deal_id):
        return False
    waited = (
        select(Stage.title, Stage.code)
        .join(StageVisit, StageVisit.from_stage_id == Stage.id)
        .where(StageVisit.deal_id == deal_id, StageVisit.left_at.is_(None))
        .where(Stage.id.in_(rights.first_stages(session)))
    )
    row = session.execute(waited).first()
    return row is not None and seen_stage in tuple(row)


def fill_deal(work: Work, viewer: Viewer, deal_id: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fill fields of a deal; returns what really changed."""
    _editable(work, viewer, deal_id)
    return deals.set_fields(work, deal_id, _few(fields) or {})


def give_deal(work: Work, viewer: Viewer, deal_id: int, person_id: int, reason: str) -> Deal:
    """Give a deal to another responsible with a reason."""
    _editable(work, viewer, deal_id)
    reason = (reason or "").strip()
    if not visible(reason) or len(reason) > 1000 or "\x00" in reason:
        msg = "Напишите, почему меняется ответственный (до 1000 знаков)."
        raise InvalidInput(msg, "reason")
    return deals.change_responsible(work, deal_id, person_id, reason)


def press_button(work: Work, viewer: Viewer, deal_id: int, process: str) -> None:
    """Start a process of a deal by the button on its card (R002-61): whoever may change the deal."""
    _editable(work, viewer, deal_id)
    buttons.press(work, deals.get_deal(work, deal_id), process)


def close_task(work: Work, viewer: Viewer, task_id: int, values: Mapping[str, Any] | None = None) -> Task:
    """Close a task with its result; GuardRefused lists what is missing, for everybody."""
    _seen_task(work, viewer, task_id)
    return tasks.close_task(work, viewer, task_id, values)


def change_term(work: Work, viewer: Viewer, task_id: int, due: Any, reason: str) -> Task:
    """Give a task a new term with its reason."""
    _seen_task(work, viewer, task_id)
    return tasks.change_term(work, viewer, task_id, due, reason)


def not_yet(work: Work, viewer: Viewer, task_id: int, reason: str, next_check: Any) -> Task:
    """Answer «нет» to a confirmation, with the reason and when it is asked again (R001-19)."""
    _seen_task(work, viewer, task_id)
    return tasks.not_yet(work, viewer, task_id, reason, next_check)


def reopen_task(work: Work, viewer: Viewer, task_id: int, reason: str) -> Task:
    """Open a task that was closed by mistake again; Conflict says what cannot be taken back (★11)."""
    _seen_task(work, viewer, task_id)
    return reopen.reopen_task(work, viewer, task_id, reason)


def give_task(work: Work, viewer: Viewer, task_id: int, person_id: int, reason: str) -> Task:
    """Give an open task to another person."""
    _seen_task(work, viewer, task_id)
    return tasks.reassign(work, viewer, task_id, person_id, reason)


def read_notices(work: Work, viewer: Viewer, notice_ids: list[int] | None = None) -> int:
    """Mark the viewer's notices (all, or these) as read; returns how many were unread."""
    return mark_read(work, viewer.person_id, notice_ids)


def unread_notices(work: Work, viewer: Viewer, read_at: datetime) -> int:
    """Take back one act of reading, named by its moment; returns how many are unread again."""
    return mark_unread(work, viewer.person_id, read_at)


def submit_form(
    work: Work, viewer: Viewer, process: str, data: Mapping[str, Any], request_key: str | None = None
) -> ProcessCase:
    """Start a form process; a counterparty or responsible that does not exist is refused here, not days later."""
    company_id, responsible_id = _given_id(data, "company_id"), _given_id(data, "responsible_id")
    if company_id is not None:
        _require_company(work, company_id)
    if responsible_id is not None:
        deals.active_person(work, _bigint(responsible_id, "responsible_id"), "responsible_id")
    return start_form(work, process, viewer, data, request_key)


def change_setting(work: Work, viewer: Viewer, code: str, value: Any) -> None:
    """Change a setting: only an administrator may."""
    if not viewer.is_admin:
        msg = "Настройки меняет администратор."
        raise Forbidden(msg)
    settings.change(work, code, value)


def _editable(work: Work, viewer: Viewer, deal_id: int) -> None:
    _locked(work, viewer, deal_id)
    rights.require_edit(work.session, viewer, deal_id)


def _locked(work: Work, viewer: Viewer, deal_id: int) -> None:
    """Lock the deal's case first, so that rights are checked on what will be changed."""
    if rights.may_see(work.session, viewer, deal_id):
        deals.get_deal(work, deal_id)


def _seen_task(work: Work, viewer: Viewer, task_id: int) -> None:
    task = work.session.get(Task, task_id)
    if task is None or not rights.task_visible(work.session, viewer, task):
        msg = f"Задачи № {task_id} нет."
        raise NotFound(msg)


def _require_company(work: Work, company_id: int) -> None:
    company = work.session.get(Company, _bigint(company_id, "company_id"))
    if company is None or not company.active:
        msg = f"Контрагента № {company_id} нет."
        raise InvalidInput(msg, "company_id")


def _given_id(data: Mapping[str, Any], field: str) -> int | None:
    """Return the number that a form gives, None when it gives none or something else (its model says so)."""
    given = str(data.get(field) or "")
    if not given.isdecimal():
        return None
    return int(given) if len(given) <= LONGEST_NUMBER else _bigint(0, field)


def _bigint(number: int, field: str) -> int:
    if not 0 < number < 2**63:
        msg = "Такого номера не бывает."
        raise InvalidInput(msg, field)
    return number


def _few(fields: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if fields is not None and len(fields) > MOST_FIELDS:
        msg = f"За один раз – до {MOST_FIELDS} полей."
        raise InvalidInput(msg)
    return fields
