"""Use cases of deals: create, move along stages, fill fields, change the responsible."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select, text

from include.companies.models import Company, Contact
from include.deals.debt import nightly_check, recalculate
from include.deals.facts import current_visit, deal_facts, field_titles
from include.deals.models import Deal, DealField, Funnel, Stage, StageVisit
from include.deals.moves import unmet_for_move
from include.deals.rules import clean_value, parse_sum, takes_into_work
from include.process import lifecycle
from include.process.models import ProcessCase
from include.shared.errors import Conflict, GuardRefused, InvalidInput, NotFound
from include.shared.names import search_key
from include.shared.texts import storable, visible
from include.shared.work import Work, jsonable
from include.staff.models import Person
from include.staff.services import lock_active
from include.tasks import core as task_core

PLAIN_FIELDS = {"amount": "Сумма сделки", "paid": "Сумма оплаты", "title": "Название"}
LONGEST_TITLE, LONGEST_KEY, LONGEST_REASON = 300, 500, 1000


def create_deal(
    work: Work,
    *,
    title: str,
    funnel: str,
    responsible_id: int,
    company_id: int | None = None,
    contact_id: int | None = None,
    fields: Mapping[str, Any] | None = None,
    source: str | None = None,
    request_key: str | None = None,
    time_zone: str | None = None,
    created_by: int | None = None,
) -> Deal:
    """Make a request a deal on «Не обработан» of its funnel (R002-9a); the same ``request_key`` joins the first deal.

    ``funnel`` is its code or title, ``created_by`` who registered it when a process acts for him. InvalidInput says
    what is wrong.
    """
    if request_key:
        if len(request_key) > LONGEST_KEY or not storable(request_key):
            msg = "Ключ повтора слишком длинный или содержит недопустимые знаки."
            raise InvalidInput(msg, "request_key")
        work.session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"deal/{request_key}"}
        )
        made = work.session.scalars(select(Deal).where(Deal.request_key == request_key)).first()
        if made is not None:
            return made
    title = _title(title)
    line = funnel_of(work, funnel)
    first = work.session.scalars(
        select(Stage).where(Stage.funnel_code == line.code).order_by(Stage.position).limit(1)
    ).one()
    active_person(work, responsible_id, "responsible_id")
    _known(work, Company, company_id, "company_id", "Такой компании нет.")
    _known(work, Contact, contact_id, "contact_id", "Такого контакта нет.")
    if source is not None and (len(source) > LONGEST_TITLE or not storable(source)):
        msg = f"Откуда пришло обращение – до {LONGEST_TITLE} знаков."
        raise InvalidInput(msg, "source")
    case = ProcessCase(key=f"new-{uuid4()}", kind="deal", title=title)
    if time_zone is not None:
        case.time_zone = _time_zone(time_zone)
    work.session.add(case)
    work.session.flush()
    deal = Deal(
        case_id=case.id,
        title=title,
        search_key=search_key(title),
        funnel_code=line.code,
        stage_id=first.id,
        company_id=company_id,
        contact_id=contact_id,
        responsible_id=responsible_id,
        paid=Decimal(0),
        debt=Decimal(0),
        overpaid=Decimal(0),
        fields={},
        source=source,
        request_key=request_key,
        created_at=work.now,
        created_by=created_by or work.actor.person_id,
    )
    work.session.add(deal)
    work.session.flush()
    case.key = f"deal-{deal.id}"
    work.audit(
        "deal.created", f"Создана сделка «{title}»", entity="deal", entity_id=deal.id, case_id=case.id,
        after={"funnel": line.title, "responsible": responsible_id, "source": source},
    )  # fmt: skip
    _enter(work, deal, line, first, from_stage=None)
    if fields:
        set_fields(work, deal.id, fields)
    return deal


def get_deal(work: Work, deal_id: int) -> Deal:
    """Return a deal with its case locked for a change; NotFound when there is none."""
    deal = work.session.get(Deal, deal_id)
    if deal is None:
        msg = f"Сделки № {deal_id} нет."
        raise NotFound(msg)
    work.lock_case(deal.case_id)
    work.session.refresh(deal)
    return deal


def move_stage(work: Work, deal_id: int, stage: str, *, seen_stage: str | None = None) -> Deal:
    """Move a deal to a stage of its funnel (title or code); R002-9b, AG-6.

    Conflict when ``seen_stage`` (what the person saw) is no longer the present one; a move to the present stage
    changes nothing. GuardRefused lists what forbids the move, whoever makes it (R002-32).
    """
    deal = get_deal(work, deal_id)
    line = work.session.get_one(Funnel, deal.funnel_code)
    target = stage_of(work, line, stage)
    present = work.session.get_one(Stage, deal.stage_id)
    if seen_stage is not None and seen_stage not in (present.title, present.code):
        msg = f"Сделку уже перевели на стадию «{present.title}». Обновите страницу."
        raise Conflict(msg)
    if target.id == present.id:
        return deal
    blocking = [one for one in unmet_for_move(work.session, deal, target) if one.kind == "block"]
    if blocking:
        raise GuardRefused(blocking, f"Сделку нельзя перевести на «{target.title}»")
    visit = current_visit(work.session, deal.id)
    visit.left_at, visit.left_by = work.now, work.actor.person_id
    work.session.flush()
    lifecycle.leave_stage(work, deal.case_id, present.id)
    if target.kind == "lost":
        lifecycle.cancel_everything(work, deal.case_id, "сделка проиграна")
    deal.stage_id = target.id
    deal.closed_at = work.now if target.kind != "open" else None
    work.audit(
        "deal.moved", f"Стадия: «{present.title}» → «{target.title}»", entity="deal", entity_id=deal.id,
        case_id=deal.case_id, before={"stage": present.title}, after={"stage": target.title},
    )  # fmt: skip
    # at once, not in the process: the next move may come before it has begun, and the mover must be allowed it
    if takes_into_work(present.title, target.title, work.actor.is_person) and work.actor.person_id is not None:
        work.session.flush()
        change_responsible(work, deal_id, work.actor.person_id, "принял обращение в работу")
    _enter(work, deal, line, target, from_stage=present)
    return deal


def set_fields(work: Work, deal_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """Fill fields of a deal; checks every value first, then stores all; returns what really changed.

    Each change is audited, emits ``field_changed`` and lets guarded tasks close themselves (★26).
    """
    deal = get_deal(work, deal_id)
    case = work.session.get_one(ProcessCase, deal.case_id)
    definitions = {one.code: one for one in work.session.scalars(select(DealField))}
    cleaned = {code: _clean(work, deal, definitions, code, value, case.time_zone) for code, value in values.items()}
    return _change(work, deal, case, definitions, cleaned)


def set_file_field(work: Work, deal_id: int, code: str, version: Mapping[str, Any], said: str) -> dict[str, Any]:
    """Make an uploaded version the value of a file field, as ``set_fields`` does with what is filled by hand (R002-5).

    ``said`` is the line of the history. InvalidInput when the deal has no such file field.
    """
    deal = get_deal(work, deal_id)
    case = work.session.get_one(ProcessCase, deal.case_id)
    definition = work.session.get(DealField, code)
    if definition is None or definition.kind != "file" or definition.funnel_code not in (None, deal.funnel_code):
        msg = f"У этой сделки нет поля «{code}» для файла."
        raise InvalidInput(msg, code)
    return _change(work, deal, case, {code: definition}, {code: dict(version)}, said)


def _change(
    work: Work,
    deal: Deal,
    case: ProcessCase,
    definitions: Mapping[str, DealField],
    cleaned: Mapping[str, Any],
    said: str | None = None,
) -> dict[str, Any]:
    before = {code: _present(deal, case, code) for code in cleaned}
    changed = {code: value for code, value in cleaned.items() if value != before[code]}
    if not changed:
        return {}
    given, still_open = task_core.topics(work.session, deal.case_id)
    for code, value in changed.items():
        _store(deal, case, code, value)
    work.session.flush()
    recalculate(work, deal)
    titles = field_titles(work.session)
    for code, value in changed.items():
        work.audit(
            "deal.field_changed", said or f"Поле «{titles.get(code, PLAIN_FIELDS.get(code, code))}» изменено",
            entity="deal", entity_id=deal.id, case_id=deal.case_id, before={code: before[code]}, after={code: value},
        )  # fmt: skip
    visit = current_visit(work.session, deal.id)
    for code in changed:
        work.emit(
            "field_changed", f"on:field:{code}", case_id=deal.case_id, visit=f"field-{code}-{case.seq}",
            payload={
                "field": code, "visit_id": visit.id, "on_stage_id": deal.stage_id, "before": before[code],
                "after": changed[code], "topics_given": given, "topics_open": still_open,
            },
        )  # fmt: skip
        definition = definitions.get(code)
        if definition is not None and definition.kind == "person" and changed[code] is not None:
            lifecycle.field_person_changed(work, deal.case_id, code, int(changed[code]))
    work.touch(deal.case_id)
    task_core.close_satisfied(work, deal.case_id, "изменены поля: " + ", ".join(titles.get(c, c) for c in changed))
    return changed


def change_responsible(work: Work, deal_id: int, person_id: int, reason: str) -> Deal:
    """Give a deal to another person: heads are resolved anew and his open work moves (AG-4)."""
    deal = get_deal(work, deal_id)
    active_person(work, person_id, "responsible_id")
    if deal.responsible_id == person_id:
        return deal
    before, deal.responsible_id = deal.responsible_id, person_id
    reason = (reason or "").strip()
    if len(reason) > LONGEST_REASON or not storable(reason):
        msg = f"Причина – до {LONGEST_REASON} знаков."
        raise InvalidInput(msg, "reason")
    work.audit(
        "deal.responsible_changed", "Ответственный изменён", entity="deal", entity_id=deal.id, case_id=deal.case_id,
        before={"responsible": before}, after={"responsible": person_id}, reason=reason or None,
    )  # fmt: skip
    lifecycle.responsible_changed(work, deal.case_id, person_id)
    return deal


def funnel_of(work: Work, funnel: str) -> Funnel:
    """Return a funnel by code or title; InvalidInput names those that exist."""
    known = work.session.scalars(select(Funnel).order_by(Funnel.position)).all()
    for one in known:
        if funnel in (one.code, one.title):
            return one
    msg = f"Направления «{funnel}» нет. Есть: {', '.join(one.title for one in known)}."
    raise InvalidInput(msg, "funnel")


def stage_of(work: Work, line: Funnel, stage: str) -> Stage:
    """Return a stage of the funnel by title or code, kept in use meanwhile; InvalidInput names those that exist."""
    known = work.session.scalars(
        select(Stage).where(Stage.funnel_code == line.code, Stage.active).order_by(Stage.position)
    ).all()
    for one in known:
        if stage in (one.title, one.code):
            work.session.refresh(one, with_for_update={"read": True, "key_share": True})
            if one.active:
                return one
    names = ", ".join(one.title for one in known if one.active)
    msg = f"В направлении «{line.title}» нет стадии «{stage}». Есть: {names}."
    raise InvalidInput(msg, "stage")


def active_person(work: Work, person_id: int, field: str) -> Person:
    """Return an active person; InvalidInput when nobody such works here."""
    person = work.session.get(Person, person_id)
    if person is None or not lock_active(work.session, [person.id]):
        msg = "Выберите работающего сотрудника."
        raise InvalidInput(msg, field)
    return person


def _enter(work: Work, deal: Deal, line: Funnel, stage: Stage, *, from_stage: Stage | None) -> None:
    visit = StageVisit(
        deal_id=deal.id,
        stage_id=stage.id,
        from_stage_id=from_stage.id if from_stage else None,
        entered_at=work.now,
        entered_by=work.actor.person_id,
    )
    work.session.add(visit)
    work.session.flush()
    work.emit(
        "stage_entered", f"on:stage:{line.title}/{stage.title}", case_id=deal.case_id, visit=f"visit-{visit.id}",
        payload={"deal_id": deal.id, "visit_id": visit.id, "stage_id": stage.id},
    )  # fmt: skip
    work.touch(deal.case_id)


def _clean(work: Work, deal: Deal, definitions: Mapping[str, DealField], code: str, value: Any, time_zone: str) -> Any:
    if code == "title":
        return _title(value)
    if code == "time_zone":
        return _time_zone(value)
    if code in ("amount", "paid"):
        if value in (None, ""):
            return Decimal(0) if code == "paid" else None
        try:
            return parse_sum(PLAIN_FIELDS[code], value)
        except InvalidInput as error:
            raise InvalidInput(str(error), code) from error
    definition = definitions.get(code)
    if definition is None or definition.funnel_code not in (None, deal.funnel_code):
        msg = f"У этой сделки нет поля «{code}»."
        raise InvalidInput(msg, code)
    try:
        cleaned = clean_value(definition.kind, definition.title, definition.options, value, time_zone)
    except InvalidInput as error:
        raise InvalidInput(str(error), code) from error
    if definition.kind == "person" and cleaned is not None:
        active_person(work, cleaned, code)
    return cleaned


def _title(value: Any) -> str:
    title = value.strip() if isinstance(value, str) else ""
    if not visible(title) or len(title) > LONGEST_TITLE or not storable(title):
        msg = f"Назовите сделку (до {LONGEST_TITLE} знаков)."
        raise InvalidInput(msg, "title")
    return title


def _time_zone(value: Any) -> str:
    try:
        return ZoneInfo(value).key
    except (ValueError, TypeError, OSError, ZoneInfoNotFoundError) as error:
        msg = "Часовой пояс пишется так: Europe/Samara."
        raise InvalidInput(msg, "time_zone") from error


def _known(work: Work, table: type[Company | Contact], one_id: int | None, field: str, said: str) -> None:
    if one_id is not None and work.session.get(table, one_id) is None:
        raise InvalidInput(said, field)


def _present(deal: Deal, case: ProcessCase, code: str) -> Any:
    if code == "time_zone":
        return case.time_zone
    return getattr(deal, code) if code in PLAIN_FIELDS else deal.fields.get(code)


def _store(deal: Deal, case: ProcessCase, code: str, value: Any) -> None:
    if code == "time_zone":
        case.time_zone = value
    elif code in PLAIN_FIELDS:
        setattr(deal, code, value)
        if code == "title":
            deal.search_key, case.title = search_key(value), value
    else:
        deal.fields = {**deal.fields, code: jsonable(value)}


__all__ = ["change_responsible", "create_deal", "deal_facts", "get_deal", "move_stage", "nightly_check", "set_fields"]
