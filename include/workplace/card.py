"""The card of a deal and the page of a submitted form."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.companies.models import Company, Contact
from include.deals import rights
from include.deals.facts import deal_link
from include.deals.models import Deal, DealField, Funnel, Stage, StageVisit
from include.ops.failures import is_being_retried
from include.process import buttons
from include.process.models import ProcessCase, ProcessInstance, ProcessScheme, StepAim, StepState
from include.shared.errors import NotFound
from include.shared.models import Audit
from include.staff.services import Viewer, head_of, names
from include.workplace import day, history
from include.workplace.directory import company_row, stage_row
from include.workplace.lines import waits_of
from include.workplace.shapes import (
    AimRow,
    ButtonRow,
    DealCard,
    FieldValue,
    HistoryRow,
    MapStage,
    PersonRef,
    ProcessRow,
    RequestPage,
    StepRow,
    VisitRow,
    WaitLine,
)
from include.workplace.words import STEP_STATES, money, value_in_words

RUNS_SHOWN = 100
AIMS_SHOWN = 100
NOT_ON_CARD = frozenset({"title", "amount", "paid", "debt"})


def deal_card(session: Session, viewer: Viewer, deal_id: int, now: datetime) -> DealCard:
    """Return the card of a deal that the viewer may see; NotFound otherwise."""
    deal = rights.require_seen(session, viewer, deal_id)
    case = session.get_one(ProcessCase, deal.case_id)
    stages, funnel = _line(session, deal)
    stage = next(one for one in stages if one.id == deal.stage_id)
    waits = waits_of(session, [case.id], now)[case.id]
    visits = session.scalars(select(StageVisit).where(StageVisit.deal_id == deal.id).order_by(StageVisit.id)).all()
    definitions = _definitions(session, deal)
    runs = _runs(session, case.id)
    states = _states(session, runs)
    head = head_of(session, deal.responsible_id)
    people = names(session, _people(deal, head, visits, definitions, states))
    company = session.get(Company, deal.company_id) if deal.company_id else None
    contact = session.get(Contact, deal.contact_id) if deal.contact_id else None
    lines, before = history.of_case(session, case.id)
    steps = _steps(runs, states, people, may_retry=viewer.access in ("ops", "admin"))
    return DealCard(
        id=deal.id,
        case_id=case.id,
        case_key=case.key,
        title=deal.title,
        time_zone=case.time_zone,
        funnel=funnel,
        funnel_code=deal.funnel_code,
        stage=stage_row(stage),
        company=company_row(company) if company else None,
        contact=contact.name if contact else None,
        responsible=PersonRef(id=deal.responsible_id, name=people.get(deal.responsible_id, "")),
        head=PersonRef(id=head, name=people.get(head, "")) if head else None,
        source=deal.source,
        created_at=deal.created_at,
        created_by=PersonRef(id=deal.created_by, name=people.get(deal.created_by, "")) if deal.created_by else None,
        closed_at=deal.closed_at,
        amount=deal.amount,
        paid=deal.paid,
        debt=deal.debt,
        overpaid=deal.overpaid,
        line=waits[0],
        waits=waits,
        fields=_fields(deal, definitions, people, case.time_zone),
        stages=_map(stages, stage, visits, people, now),
        done=[one for one in steps if one.state in ("done", "skipped", "stopped")],
        now=[one for one in steps if one.state in ("waiting", "marked", "failed")],
        next=[one for one in steps if one.state == "ahead"],
        tasks=day.tasks_of_case(session, case.id, now),
        processes=[_process(instance, scheme, viewer) for instance, scheme in runs],
        history=lines,
        history_before=before,
        aims=_aims(session, case.id),
        may_edit=rights.may_edit(session, viewer, deal),
        may_move=rights.may_move(session, viewer, deal),
        buttons=[
            ButtonRow(process=one.process, title=one.button.title, explains=one.button.explains, why_not=one.why_not)
            for one in buttons.offers(session, deal, stage.title)
        ],
    )


def deal_waits(session: Session, viewer: Viewer, deal_id: int, now: datetime) -> list[WaitLine]:
    """Return why a deal waits: all its lines, the most telling first."""
    deal = rights.require_seen(session, viewer, deal_id)
    return waits_of(session, [deal.case_id], now)[deal.case_id]


def deal_history(
    session: Session,
    viewer: Viewer,
    deal_id: int,
    *,
    before_id: int | None = None,
    limit: int = history.PER_PAGE,
) -> tuple[list[HistoryRow], int | None]:
    """Return a page of a deal's history, newest first, and where the next page begins."""
    deal = rights.require_seen(session, viewer, deal_id)
    return history.of_case(session, deal.case_id, before_id=before_id, limit=limit)


def request_page(session: Session, viewer: Viewer, case_id: int, now: datetime) -> RequestPage:
    """Return what became of a submitted form: seen by whoever sent it, by its responsible and by ops."""
    case = session.get(ProcessCase, case_id)
    if case is None or case.kind != "request" or not _may_see_request(session, viewer, case):
        msg = f"Обращения № {case_id} нет."
        raise NotFound(msg)
    made = _deal_of_request(session, case.id)
    lines, _ = history.of_case(session, case.id)
    seen = made is not None and rights.may_see(session, viewer, made)
    return RequestPage(
        id=case.id,
        key=case.key,
        title=case.title,
        line=waits_of(session, [case.id], now)[case.id][0],
        deal_id=made if seen else None,
        deal_link=deal_link(made) if made is not None and seen else None,
        history=lines,
    )


def _may_see_request(session: Session, viewer: Viewer, case: ProcessCase) -> bool:
    if rights.sees_all(viewer):
        return True
    first = session.scalars(select(Audit).where(Audit.case_id == case.id).order_by(Audit.id).limit(1)).first()
    if first is None:
        return False
    return viewer.person_id in (first.actor_id, (first.after or {}).get("responsible"))


def _deal_of_request(session: Session, case_id: int) -> int | None:
    payloads = session.scalars(select(ProcessInstance.payload).where(ProcessInstance.case_id == case_id))
    return next((int(one["deal_id"]) for one in payloads if one.get("deal_id")), None)


def _line(session: Session, deal: Deal) -> tuple[list[Stage], str]:
    """Return the stages of the deal's funnel in order, and the funnel's title."""
    found = session.execute(
        select(Stage, Funnel.title)
        .join(Funnel, Funnel.code == Stage.funnel_code)
        .where(Stage.funnel_code == deal.funnel_code)
        .order_by(Stage.position)
    ).all()
    return [stage for stage, _ in found], found[0][1]


def _definitions(session: Session, deal: Deal) -> list[DealField]:
    found = session.scalars(select(DealField).order_by(DealField.position, DealField.code)).all()
    return [one for one in found if one.funnel_code in (None, deal.funnel_code) and one.code not in NOT_ON_CARD]


def _runs(session: Session, case_id: int) -> list[tuple[ProcessInstance, ProcessScheme]]:
    statement = (
        select(ProcessInstance, ProcessScheme)
        .join(ProcessScheme, ProcessScheme.id == ProcessInstance.scheme_id)
        .where(ProcessInstance.case_id == case_id)
        .order_by(ProcessInstance.id.desc())
        .limit(RUNS_SHOWN)
    )
    return [(instance, scheme) for instance, scheme in reversed(session.execute(statement).all())]


def _states(session: Session, runs: list[tuple[ProcessInstance, ProcessScheme]]) -> dict[int, dict[str, StepState]]:
    ids = [instance.id for instance, _ in runs]
    states: dict[int, dict[str, StepState]] = {one: {} for one in ids}
    for row in session.scalars(select(StepState).where(StepState.instance_id.in_(ids))):
        states[row.instance_id][row.step] = row
    return states


def _people(
    deal: Deal,
    head: int | None,
    visits: Any,
    definitions: list[DealField],
    states: dict[int, dict[str, StepState]],
) -> set[int]:
    found = {deal.responsible_id, head, deal.created_by}
    found |= {one.entered_by for one in visits} | {one.left_by for one in visits}
    found |= {int(deal.fields[one.code]) for one in definitions if one.kind == "person" and deal.fields.get(one.code)}
    found |= {person for rows in states.values() for row in rows.values() for person in row.waits_on}
    return {one for one in found if one is not None}


def _steps(
    runs: list[tuple[ProcessInstance, ProcessScheme]],
    states: dict[int, dict[str, StepState]],
    people: dict[int, str],
    *,
    may_retry: bool,
) -> list[StepRow]:
    steps = []
    for instance, scheme in runs:
        rows = states[instance.id]
        declared = {str(one["id"]): one for one in scheme.body["steps"]}
        # a step added since the run began has a row but stands in a later scheme only
        for step in [*declared, *(one for one in rows if one not in declared)]:
            row = rows.get(step)
            if row is not None:
                steps.append(_step(instance, scheme, row, people, may_retry=may_retry))
            elif instance.state == "live" and instance.left_at is None:
                steps.append(_ahead(instance, scheme, declared[step]))
    return steps


def _step(
    instance: ProcessInstance, scheme: ProcessScheme, row: StepState, people: dict[int, str], *, may_retry: bool
) -> StepRow:
    stuck = instance.state == "live" and row.state in ("failed", "marked")
    retried = stuck and is_being_retried(row)
    return StepRow(
        id=row.id,
        may_retry=may_retry and stuck and not retried,
        retried=retried,
        process=instance.process,
        process_title=scheme.title,
        visit=instance.visit,
        step=row.step,
        word=row.word,
        title=row.title,
        state=row.state,
        state_title=STEP_STATES[row.state],
        reason=row.reason,
        waits_for=row.waits_for,
        on=day.refs(people, row.waits_on),
        moment=row.moment,
        comes_next=row.comes_next,
        task_id=row.task_id,
        opened_at=row.opened_at,
        ended_at=row.ended_at,
    )


def _ahead(instance: ProcessInstance, scheme: ProcessScheme, step: dict[str, Any]) -> StepRow:
    return StepRow(
        process=instance.process,
        process_title=scheme.title,
        visit=instance.visit,
        step=step["id"],
        word=step.get("word", ""),
        title=step["title"],
        state="ahead",
        state_title=STEP_STATES["ahead"],
        reason=None,
        waits_for=None,
        on=[],
        moment=None,
        comes_next=None,
        task_id=None,
        opened_at=None,
        ended_at=None,
    )


def _process(instance: ProcessInstance, scheme: ProcessScheme, viewer: Viewer) -> ProcessRow:
    return ProcessRow(
        process=instance.process,
        title=scheme.title,
        visit=instance.visit,
        state=instance.state,
        reason=instance.reason,
        started_at=instance.started_at,
        ended_at=instance.ended_at,
        run_link=f"/dags/{instance.process}/runs/{instance.run_id}" if viewer.access in ("ops", "admin") else None,
    )


def _fields(deal: Deal, definitions: list[DealField], people: dict[int, str], time_zone: str) -> list[FieldValue]:
    sums = [
        FieldValue(
            code=code,
            title=title,
            kind="money",
            value=None if value is None else str(value),
            words=money(value),
            choices={},
            editable=True,
        )
        for code, title, value in (
            ("amount", "Сумма сделки", deal.amount),
            ("paid", "Сумма оплаты", deal.paid),
        )
    ]
    others = [
        FieldValue(
            code=one.code,
            title=one.title,
            kind=one.kind,
            value=deal.fields.get(one.code),
            words=value_in_words(
                one.kind, deal.fields.get(one.code), one.options.get("choices", {}), people, time_zone
            ),
            choices=one.options.get("choices", {}),
            editable=one.kind != "file",
        )
        for one in definitions
    ]
    return sums + others


def _map(stages: Sequence[Stage], present: Stage, visits: Any, people: dict[int, str], now: datetime) -> list[MapStage]:
    stayed: dict[int, list[VisitRow]] = {}
    for one in visits:
        stayed.setdefault(one.stage_id, []).append(
            VisitRow(
                id=one.id,
                entered_at=one.entered_at,
                entered_by=people.get(one.entered_by),
                left_at=one.left_at,
                left_by=people.get(one.left_by),
                days=max(0, ((one.left_at or now) - one.entered_at).days),
            )
        )
    return [
        MapStage(
            stage=stage_row(one),
            state="current" if one.id == present.id else "passed" if one.id in stayed else "ahead",
            visits=stayed.get(one.id, []),
        )
        for one in stages
        if one.active or one.id in stayed
    ]


def _aims(session: Session, case_id: int) -> list[AimRow]:
    statement = (
        select(StepAim, StepState.title)
        .join(StepState, StepState.id == StepAim.step_id)
        .where(StepState.case_id == case_id)
        .order_by(StepAim.id.desc())
        .limit(AIMS_SHOWN)
    )
    return [
        AimRow(
            step_title=title,
            moment=one.moment,
            reason=one.reason,
            aimed_at=one.aimed_at,
            superseded_at=one.superseded_at,
        )
        for one, title in session.execute(statement)
    ]
