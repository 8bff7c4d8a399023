"""The engine: begins instances for events and answers each look of a step, one transaction each.

A step may be looked at any number of times, twice at once, after a crash or by another triggerer: every look
locks the case, finds what the earlier ones did and repeats none of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.deals.models import Deal, StageVisit
from include.process import forms, lifecycle
from include.process.models import OutboxEvent, ProcessCase, ProcessInstance, ProcessScheme, StepAim, StepState
from include.process.step import Answer, Done, Fail, Skip, StepContext, Stop, Wait
from include.process.words import WORDS
from include.shared import clock, settings
from include.shared.db import query_text
from include.shared.errors import BackofficeError
from include.shared.work import PROCESS, Work, jsonable, transaction
from include.staff.services import head_of
from include.tasks import core as task_core
from include.tasks.models import Task

WITHOUT_CASE = "прогон запущен без дела: процесс запускают стадия, форма или событие"
NOT_HAPPENED = "отмечено вручную, факт не наступил"
BY_ADMINISTRATOR = "снято администратором"


@dataclass(frozen=True)
class Look:
    """The answer to a look: how the step stands, and when and for which case it should look again."""

    outcome: Literal["waiting", "done", "skipped", "failed"]
    case_key: str | None = None
    case_id: int | None = None
    moment: datetime | None = None
    now: datetime | None = None
    reason: str | None = None
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Begun:
    """What the relay does with an event for one process: create this run, or nothing and why."""

    run_id: str | None
    reason: str | None = None


def record_scheme(session: Session, process: str, body: Mapping[str, Any]) -> int:
    """Keep the steps of a process as declared now (once per different declaration); returns the scheme's id."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    values = {
        "process": process, "digest": digest, "title": body["title"], "number": body["number"], "body": dict(body),
    }  # fmt: skip
    session.execute(insert(ProcessScheme).values(values).on_conflict_do_nothing())
    return session.scalars(
        select(ProcessScheme.id).where(ProcessScheme.process == process, ProcessScheme.digest == digest)
    ).one()


def begin(event_id: int, process: str, scheme: Mapping[str, Any]) -> Begun:
    """Begin an instance of a process for an outbox event; repeated, it joins the one begun before.

    A visit that is already over starts nothing (the instance is recorded as ended, with the reason). An instance of
    an earlier visit that still keeps obligations ends here: its open tasks are joined by the new one (AG-6).
    """
    with transaction(PROCESS) as work:
        event = work.session.get_one(OutboxEvent, event_id)
        case = _case_of(work, event)
        work.lock_case(case.id)
        made = _instance(work.session, process, case.id, event.visit)
        run_id = f"{case.key}-{event.visit}"
        if made is not None:
            return Begun(made.run_id if made.state == "live" else None, made.reason)
        for setting in scheme.get("settings", []):
            settings.declare(work, setting["code"], setting["title"], setting["kind"], setting["default"])
        over = _visit_is_over(work, event)
        if not over:
            _end_earlier(work, process, case.id)
        responsible = work.session.scalar(select(Deal.responsible_id).where(Deal.case_id == case.id))
        instance = ProcessInstance(
            process=process,
            case_id=case.id,
            visit=event.visit,
            run_id=run_id,
            scheme_id=record_scheme(work.session, process, scheme),
            state="ended" if over else "live",
            reason="сделка ушла со стадии раньше, чем процесс начался" if over else None,
            stage_id=event.payload.get("stage_id"),
            head_id=head_of(work.session, responsible) if responsible else None,
            payload=event.payload,
            started_at=work.now,
            ended_at=work.now if over else None,
        )
        work.session.add(instance)
        work.session.flush()
        work.audit(
            "process.begun" if not over else "process.not_begun",
            f"Процесс «{scheme['title']}»: " + ("начат" if not over else instance.reason or ""),
            entity="process_instance", entity_id=instance.id, case_id=case.id,
        )  # fmt: skip
        work.touch(case.id)
        return Begun(None if over else run_id, instance.reason)


def look(process: str, run_id: str, step: str, spec: Mapping[str, Any]) -> Look:
    """Do whatever the step has to do now and say how it stands; idempotent."""
    with transaction(PROCESS) as work:
        instance = work.session.scalars(
            select(ProcessInstance).where(ProcessInstance.process == process, ProcessInstance.run_id == run_id)
        ).first()
        if instance is None:
            return Look("failed", reason=WITHOUT_CASE)
        work.lock_case(instance.case_id)
        work.session.refresh(instance)
        case = work.session.get_one(ProcessCase, instance.case_id)
        row = work.session.scalars(
            select(StepState).where(StepState.instance_id == instance.id, StepState.step == step)
        ).first()
        if row is None:
            refused = _refusal(work, instance, step)
            row = _new_row(work, instance, step, spec)
            if refused is not None:
                return _settle(work, case, instance, row, refused)
        elif row.state in lifecycle.FINAL_STATES:
            return _final(case, row)
        elif row.state in ("marked", "failed"):
            refused = _refusal(work, instance, step)
            if refused is not None:
                return _settle(work, case, instance, row, refused)
            row.state, row.ended_at, row.reason, row.task_id = "waiting", None, None, _open_task(work, row)
        row.spec, row.comes_next = dict(spec), _next_in_words(spec)
        context = StepContext(work=work, case=case, instance=instance, row=row, spec=dict(spec))
        return _settle(work, case, instance, row, _answer(context))


def adopt_form_run(
    process: str, run_id: str, spec: Mapping[str, Any], conf: str | None, starter: str | None
) -> Look | None:
    """Make a run that was started from Airflow's own form a case of its own; None when it may go on.

    Only the first step of a form process brings its scheme and the form; any other run without a case is refused.
    """
    with transaction(PROCESS) as work:
        known = select(ProcessInstance.id).where(ProcessInstance.process == process, ProcessInstance.run_id == run_id)
        if work.session.scalar(known) is not None:
            return None
        if "scheme" not in spec:
            return Look("failed", reason=WITHOUT_CASE)
        try:
            case, payload = forms.open_request(work, process, starter or None, json.loads(conf or "{}"))
        except BackofficeError as error:
            return Look("failed", reason=str(error))
        instance = ProcessInstance(
            process=process,
            case_id=case.id,
            visit=run_id,
            run_id=run_id,
            scheme_id=record_scheme(work.session, process, spec["scheme"]),
            payload=payload,
            started_at=work.now,
        )
        work.session.add(instance)
        work.session.flush()
        return None


def withdraw_step(process: str, run_id: str, step: str) -> None:
    """Withdraw a waiting step that ops marked, failed or removed in Airflow («снято администратором»)."""
    with transaction(PROCESS) as work:
        instance = work.session.scalars(
            select(ProcessInstance).where(ProcessInstance.process == process, ProcessInstance.run_id == run_id)
        ).first()
        if instance is None:
            return
        work.lock_case(instance.case_id)
        row = work.session.scalars(
            select(StepState)
            .where(StepState.instance_id == instance.id, StepState.step == step)
            .execution_options(populate_existing=True)
        ).first()
        if row is None or row.state != "waiting":
            return
        _withdraw_task(work, row)
        row.state, row.reason, row.ended_at, row.moment = "marked", BY_ADMINISTRATOR, work.now, None
        work.audit(
            "step.marked", f"Шаг «{row.title}» отмечен в Airflow вручную: {BY_ADMINISTRATOR}",
            entity="step", entity_id=row.id, case_id=instance.case_id,
        )  # fmt: skip
        work.touch(instance.case_id)


def end_run(process: str, run_id: str, reason: str) -> None:
    """End the instance of a run that no longer exists or is over in Airflow; its open tasks are withdrawn."""
    with transaction(PROCESS) as work:
        instance = work.session.scalars(
            select(ProcessInstance).where(ProcessInstance.process == process, ProcessInstance.run_id == run_id)
        ).first()
        if instance is None:
            return
        work.lock_case(instance.case_id)
        work.session.refresh(instance)
        lifecycle.end_instance(work, instance, reason, withdraw=BY_ADMINISTRATOR)


def stale_cases(session: Session) -> list[str]:
    """Return keys of cases with a wait that has not seen the last change, or whose moment has come: look again."""
    return list(session.scalars(text(query_text("process/stale_cases")), {"now": clock.now(session)}))


def next_moment(session: Session) -> datetime | None:
    """Return the earliest business moment that any live wait aims at."""
    return session.scalar(text("SELECT min(moment) FROM step_state WHERE state = 'waiting' AND moment IS NOT NULL"))


def _case_of(work: Work, event: OutboxEvent) -> ProcessCase:
    if event.case_id is None:
        msg = f"Событие {event.id} без дела"
        raise ValueError(msg)
    return work.session.get_one(ProcessCase, event.case_id)


def _instance(session: Session, process: str, case_id: int, visit: str) -> ProcessInstance | None:
    return session.scalars(
        select(ProcessInstance).where(
            ProcessInstance.process == process, ProcessInstance.case_id == case_id, ProcessInstance.visit == visit
        )
    ).first()


def _visit_is_over(work: Work, event: OutboxEvent) -> bool:
    if event.kind != "stage_entered":
        return False
    visit = work.session.get_one(StageVisit, event.payload["visit_id"], populate_existing=True)
    return visit.left_at is not None


def _end_earlier(work: Work, process: str, case_id: int) -> None:
    for instance in lifecycle.live_instances(work, case_id):
        if instance.process == process:
            lifecycle.end_instance(work, instance, "дело вошло сюда снова: работу ведёт новый заход")


def _new_row(work: Work, instance: ProcessInstance, step: str, spec: Mapping[str, Any]) -> StepState:
    row = StepState(
        instance_id=instance.id,
        case_id=instance.case_id,
        step=step,
        word=spec["word"],
        title=spec["title"],
        spec=dict(spec),
        state="waiting",
        waits_on=[],
        looked_seq=0,
        opened_at=work.now,
    )
    work.session.add(row)
    work.session.flush()
    return row


def _refusal(work: Work, instance: ProcessInstance, step: str) -> Answer | None:
    """Return why a step must not begin: ended instance, stopped chain, or a fact before it that never happened."""
    if instance.state == "ended":
        return Stop(instance.reason or "процесс окончен")
    scheme = work.session.get_one(ProcessScheme, instance.scheme_id)
    declared = {one["id"]: one for one in scheme.body["steps"]}
    upstream = declared.get(step, {}).get("upstream", [])
    if not upstream:
        return None
    rows = {
        row.step: row
        for row in work.session.scalars(
            select(StepState).where(StepState.instance_id == instance.id, StepState.step.in_(upstream))
        )
    }
    for before in upstream:
        row = rows.get(before)
        if row is not None and row.state == "stopped":
            return Stop(row.reason or "работа до этого шага снята")
        if row is None or row.state not in lifecycle.FINAL_STATES:
            return Fail(f"{NOT_HAPPENED}: «{declared[before]['title']}»")
    return None


def _answer(context: StepContext) -> Answer:
    since = context.spec.get("since")
    if since is not None:
        scheme = context.work.session.get_one(ProcessScheme, context.instance.scheme_id)
        if scheme.number < since:
            return Skip("шаг добавлен позже, чем начался этот заход")
    if context.row.looked_seq == 0 and not context.holds(context.spec.get("only_if")):
        return Skip(context.spec.get("only_if_says") or "условие шага не выполнено")
    return WORDS[context.spec["word"]].look(context)


def _settle(work: Work, case: ProcessCase, instance: ProcessInstance, row: StepState, answer: Answer) -> Look:
    work.session.flush()
    if isinstance(answer, Wait):
        if row.moment != answer.moment or (row.looked_seq == 0 and answer.aimed):
            _re_aim(work, row, answer)
        row.waits_for, row.waits_on, row.moment = answer.for_what, answer.on, answer.moment
        # what this look itself changed is seen by it: finish() bumps seq by one when the case is touched
        row.looked_seq = case.seq + (1 if case.id in work.touched else 0)
        return Look("waiting", case.key, case.id, answer.moment, work.now)
    state = {Done: "done", Skip: "skipped", Stop: "stopped", Fail: "failed"}[type(answer)]
    row.state, row.ended_at, row.moment = state, work.now, None
    row.reason = None if isinstance(answer, Done) else answer.reason
    row.result = jsonable(answer.result) if isinstance(answer, Done) else None
    row.waits_for, row.waits_on = None, []
    work.session.execute(
        text("UPDATE step_aim SET superseded_at = :now WHERE step_id = :id AND superseded_at IS NULL"),
        {"now": work.now, "id": row.id},
    )
    work.touch(case.id)
    work.session.flush()
    _end_when_finished(work, instance)
    return _final(case, row)


def _re_aim(work: Work, row: StepState, answer: Wait) -> None:
    changed = work.session.execute(
        text("UPDATE step_aim SET superseded_at = :now WHERE step_id = :id AND superseded_at IS NULL RETURNING moment"),
        {"now": work.now, "id": row.id},
    ).all()
    work.session.add(
        StepAim(
            step_id=row.id,
            moment=answer.moment,
            reason=answer.aimed or ("дата изменена" if changed else "поставлено"),
            aimed_at=work.now,
        )
    )


def _end_when_finished(work: Work, instance: ProcessInstance) -> None:
    if instance.state == "ended":
        return
    scheme = work.session.get_one(ProcessScheme, instance.scheme_id)
    rows = work.session.execute(
        select(StepState.step, StepState.state).where(StepState.instance_id == instance.id)
    ).all()
    states = {step: state for step, state in rows}
    if all(states.get(one["id"]) in lifecycle.FINAL_STATES for one in scheme.body["steps"]):
        instance.state, instance.ended_at = "ended", work.now
        instance.reason = "сделка ушла со стадии" if instance.left_at else "завершён"


def _final(case: ProcessCase, row: StepState) -> Look:
    outcomes: dict[str, Literal["done", "skipped", "failed"]] = {
        "done": "done", "skipped": "skipped", "stopped": "skipped", "failed": "failed",
    }  # fmt: skip
    return Look(outcomes[row.state], case.key, case.id, reason=row.reason, result=row.result or {})


def _next_in_words(spec: Mapping[str, Any]) -> str | None:
    return "; ".join(spec.get("next", [])) or None


def _open_task(work: Work, row: StepState) -> int | None:
    task = work.session.get(Task, row.task_id) if row.task_id else None
    return task.id if task is not None and task.state in ("open", "done") else None


def _withdraw_task(work: Work, row: StepState) -> None:
    task = work.session.get(Task, row.task_id) if row.task_id else None
    if task is not None:
        task_core.end(work, task, "withdrawn", BY_ADMINISTRATOR)
