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

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.approvals import core as approvals
from include.approvals.models import Approval
from include.deals.models import Deal, Stage, StageVisit
from include.process import forms, lifecycle
from include.process.models import OutboxEvent, ProcessCase, ProcessInstance, ProcessScheme, StepAim, StepState
from include.process.rules import unmet
from include.process.scheme import HUMAN_WORDS, REPEAT_PREFIX, repeat_setting
from include.process.step import Answer, Done, Fail, Skip, StepContext, Stop, Wait
from include.process.words import WORDS
from include.shared import settings
from include.shared.errors import BackofficeError
from include.shared.work import PROCESS, Work, jsonable, reading, transaction
from include.staff.models import Person
from include.staff.services import head_of
from include.tasks import core as task_core
from include.tasks.models import Task

WITHOUT_CASE = "прогон запущен без дела: процесс запускают стадия, форма или событие"
FINISHED = "завершён"
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
    known = select(ProcessScheme.id).where(ProcessScheme.process == process, ProcessScheme.digest == digest)
    found = session.scalar(known)
    if found is not None:
        return found
    values = {
        "process": process, "digest": digest, "title": body["title"], "number": body["number"], "body": dict(body),
    }  # fmt: skip
    session.execute(insert(ProcessScheme).values(values).on_conflict_do_nothing())
    return session.scalars(known).one()


def begin(event_id: int, process: str, scheme: Mapping[str, Any]) -> Begun:
    """Begin an instance of a process for an outbox event; repeated, it joins the one begun before.

    A visit that is already over starts nothing (the instance is recorded as ended, with the reason). What earlier
    visits still owe goes on beside the new one until it comes to the same task and joins it (AG-6).
    """
    with transaction(PROCESS) as work:
        event = work.session.get_one(OutboxEvent, event_id)
        case = _case_of(work, event)
        _declare_settings(work, process, scheme)  # before the case: whoever changes a setting locks it first, too
        scheme_id = record_scheme(work.session, process, scheme)
        work.lock_case(case.id)
        made = _instance(work.session, process, case.id, event.visit)
        run_id = f"{case.key}-{event.visit}"
        if made is not None:
            return Begun(made.run_id if made.state == "live" else None, made.reason)
        over = _over_because(work, event) or _does_not_begin(work, event, scheme)
        orphans = [] if over else lifecycle.begin_visit_anew(work, process, case.id)
        instance = _add_instance(work, process, case, event.visit, run_id, scheme_id, event.payload, over)
        for task in orphans:
            task.instance_id = instance.id
        said = "начат" if over is None else over
        work.audit(
            "process.begun" if over is None else "process.not_begun", f"Процесс «{scheme['title']}»: {said}",
            entity="process_instance", entity_id=instance.id, case_id=case.id,
        )  # fmt: skip
        work.touch(case.id)
        return Begun(None if over else run_id, over)


def rename_run(process: str, run_id: str, event_id: int) -> str:
    """Give an instance another run id, because somebody has started a run by hand under the one it had."""
    renamed = f"{run_id}-event-{event_id}"
    with transaction(PROCESS) as work:
        work.session.execute(
            update(ProcessInstance)
            .where(ProcessInstance.process == process, ProcessInstance.run_id == run_id)
            .values(run_id=renamed)
        )
    return renamed


def look(process: str, run_id: str, step: str, spec: Mapping[str, Any]) -> Look:
    """Do whatever the step has to do now and say how it stands; idempotent.

    Only a step that waits in Airflow now may be looked at: one that ops have marked and cleared again is taken up.
    """
    with transaction(PROCESS) as work:
        unchanged = _unchanged(work, process, run_id, step, spec)
        if unchanged is not None:
            return unchanged
        case = _locked_case(work, process, run_id)
        if case is None:
            return Look("failed", reason=WITHOUT_CASE)
        instance, steps = _instance_with_steps(work, process, run_id)
        row = steps.get(step)
        if row is not None and row.state in lifecycle.FINAL_STATES:
            return _final(case, row)
        refused = _refusal(work, instance, steps, step, spec) if row is None or row.state != "waiting" else None
        if row is None:
            row = steps[step] = _new_row(work, instance, step, spec)
        elif row.state != "waiting":
            row.state, row.ended_at, row.reason = "waiting", None, None
            row.task_id, row.approval_id = _open_task(work, row), None
        row.spec, row.comes_next = dict(spec), _next_in_words(spec)
        context = StepContext(work=work, case=case, instance=instance, row=row, spec=dict(spec), steps=steps)
        return _settle(work, case, instance, steps, row, refused if refused is not None else _answer(context))


def adopt_form_run(
    process: str, run_id: str, scheme: Mapping[str, Any], conf: Mapping[str, Any], starter: str | None
) -> None:
    """Make a run that was started from Airflow's own form a case of its own; repeated, it changes nothing.

    A form that does not fit becomes a case, too: its first step fails and says what is wrong, nothing is lost.
    """
    with transaction(PROCESS) as work:
        known = select(ProcessInstance.id).where(ProcessInstance.process == process, ProcessInstance.run_id == run_id)
        work.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{process}/{run_id}", 0))))
        if work.session.scalar(known) is not None:
            return
        try:
            case, payload = forms.open_request(work, process, starter, conf)
        except BackofficeError as refused:
            case, payload = forms.refused_request(work, process, starter, str(refused))
        _declare_settings(work, process, scheme)
        scheme_id = record_scheme(work.session, process, scheme)
        instance = _add_instance(work, process, case, run_id, run_id, scheme_id, payload, None)
        work.audit(
            "process.begun", f"Процесс «{scheme['title']}»: начат из формы Airflow",
            entity="process_instance", entity_id=instance.id, case_id=case.id,
        )  # fmt: skip


def case_of_run(process: str, run_id: str) -> str | None:
    """Return the key of the case that a run is about, None while it has none."""
    with reading() as session:
        return session.scalar(
            select(ProcessCase.key)
            .join(ProcessInstance, ProcessInstance.case_id == ProcessCase.id)
            .where(ProcessInstance.process == process, ProcessInstance.run_id == run_id)
        )


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
        asked = work.session.get(Approval, row.approval_id) if row.approval_id else None
        if asked is not None:
            approvals.withdraw(work, asked, BY_ADMINISTRATOR)
        row.state, row.reason, row.ended_at, row.moment = "marked", BY_ADMINISTRATOR, work.now, None
        row.waits_for, row.waits_on = None, []
        lifecycle.drop_aims(work, [row.id])
        work.audit(
            "step.marked", f"Шаг «{row.title}» отмечен в Airflow вручную: {BY_ADMINISTRATOR}",
            entity="step", entity_id=row.id, case_id=instance.case_id,
        )  # fmt: skip
        work.touch(instance.case_id)


def take_up_step(process: str, run_id: str, step: str) -> None:
    """Take up a marked step that waits in Airflow again: it was cleared while its mark was still being met."""
    with transaction(PROCESS) as work:
        spec = work.session.scalar(
            select(StepState.spec)
            .join(ProcessInstance, ProcessInstance.id == StepState.instance_id)
            .where(ProcessInstance.process == process, ProcessInstance.run_id == run_id, StepState.step == step)
        )
    if spec is not None:
        look(process, run_id, step, spec)


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


def _over_because(work: Work, event: OutboxEvent) -> str | None:
    """Return why there is nothing to begin any more, or None."""
    if "stage_id" in event.payload and "visit_id" in event.payload:
        visit = work.session.get_one(StageVisit, event.payload["visit_id"], populate_existing=True)
        return "сделка ушла со стадии раньше, чем процесс начался" if visit.left_at is not None else None
    stage = work.session.scalar(
        select(Stage.kind).join(Deal, Deal.stage_id == Stage.id).where(Deal.case_id == event.case_id)
    )
    return lifecycle.LOST if stage == "lost" else None


def _does_not_begin(work: Work, event: OutboxEvent, scheme: Mapping[str, Any]) -> str | None:
    """Return why the process's own condition keeps it from beginning for this event, or None."""
    if "begins_if" not in scheme:
        return None
    facts = task_core.case_facts(work.session, event.case_id or 0)
    facts |= {f"event:{name}": value for name, value in event.payload.items()}
    missing = unmet(scheme["begins_if"]["condition"], facts, {}, work.now)
    return str(scheme["begins_if"]["says"]) if missing else None


def _add_instance(
    work: Work,
    process: str,
    case: ProcessCase,
    visit: str,
    run_id: str,
    scheme_id: int,
    payload: dict[str, Any],
    over: str | None,
) -> ProcessInstance:
    responsible = work.session.scalar(select(Deal.responsible_id).where(Deal.case_id == case.id))
    responsible = responsible or payload.get("responsible")
    known = responsible is not None and work.session.get(Person, responsible) is not None
    instance = ProcessInstance(
        process=process,
        case_id=case.id,
        visit=visit,
        run_id=run_id,
        scheme_id=scheme_id,
        state="live" if over is None else "ended",
        reason=over,
        stage_id=payload.get("stage_id"),
        head_id=head_of(work.session, responsible) if known and responsible is not None else None,
        payload=payload,
        started_at=work.now,
        ended_at=None if over is None else work.now,
    )
    work.session.add(instance)
    work.session.flush()
    return instance


def _declare_settings(work: Work, process: str, scheme: Mapping[str, Any]) -> None:
    declared = [dict(one) for one in scheme.get("settings", [])]
    for one in declared:
        if one["code"].startswith(REPEAT_PREFIX):
            one["code"] = repeat_setting(process, one["code"].removeprefix(REPEAT_PREFIX))
    if declared:
        settings.declare_all(work, declared)


def _unchanged(work: Work, process: str, run_id: str, step: str, spec: Mapping[str, Any]) -> Look | None:
    """Answer a look at a wait that has seen all there is to see: one read, no lock (a restart looks at every wait)."""
    found = work.session.execute(
        select(ProcessCase.key, ProcessCase.id, StepState.moment, StepState.spec)
        .join(ProcessInstance, ProcessInstance.case_id == ProcessCase.id)
        .join(StepState, StepState.instance_id == ProcessInstance.id)
        .where(
            ProcessInstance.process == process,
            ProcessInstance.run_id == run_id,
            ProcessInstance.state == "live",
            StepState.step == step,
            StepState.state == "waiting",
            StepState.looked_seq == ProcessCase.seq,
            StepState.moment.is_(None) | (StepState.moment > work.now),
        )
    ).first()
    if found is None or found.spec != spec:
        return None
    return Look("waiting", found.key, found.id, found.moment, work.now)


def _locked_case(work: Work, process: str, run_id: str) -> ProcessCase | None:
    return work.session.scalars(
        select(ProcessCase)
        .join(ProcessInstance, ProcessInstance.case_id == ProcessCase.id)
        .where(ProcessInstance.process == process, ProcessInstance.run_id == run_id)
        .with_for_update(of=ProcessCase, key_share=True)
    ).first()


def _instance_with_steps(work: Work, process: str, run_id: str) -> tuple[ProcessInstance, dict[str, StepState]]:
    """Read an instance and its begun steps: after the lock, because what stood before it may have changed."""
    rows = work.session.execute(
        select(ProcessInstance, StepState)
        .outerjoin(StepState, StepState.instance_id == ProcessInstance.id)
        .where(ProcessInstance.process == process, ProcessInstance.run_id == run_id)
    ).all()
    return rows[0][0], {row.step: row for _, row in rows if row is not None}


def _new_row(work: Work, instance: ProcessInstance, step: str, spec: Mapping[str, Any]) -> StepState:
    row = StepState(
        instance_id=instance.id,
        case_id=instance.case_id,
        step=step,
        word=spec["word"],
        title=spec["title"],
        spec=dict(spec),
        comes_next=_next_in_words(spec),
        state="waiting",
        waits_on=[],
        looked_seq=0,
        opened_at=work.now,
    )
    work.session.add(row)
    work.session.flush()
    return row


def _refusal(
    work: Work, instance: ProcessInstance, steps: Mapping[str, StepState], step: str, spec: Mapping[str, Any]
) -> Answer | None:
    """Return why a step must not begin: ended instance, stopped chain, or a fact before it that never happened."""
    if instance.state == "ended":
        return Stop(instance.reason or lifecycle.OVER)
    scheme = work.session.get_one(ProcessScheme, instance.scheme_id)
    declared = {one["id"]: one for one in scheme.body["steps"]}
    upstream = declared.get(step, {}).get("upstream", [])
    for before in upstream:
        row = steps.get(before)
        if row is not None and row.state == "stopped":
            return Stop(row.reason or "работа до этого шага снята")
        if row is None or row.state not in lifecycle.FINAL_STATES:
            return Fail(f"{NOT_HAPPENED}: «{declared[before]['title']}»")
    begins_late = instance.left_at is not None and step not in steps
    if begins_late and not _follows_what_is_kept(instance, steps, upstream, spec):
        return Stop(lifecycle.LEFT_STAGE)
    return None


def _follows_what_is_kept(
    instance: ProcessInstance, steps: Mapping[str, StepState], upstream: list[str], spec: Mapping[str, Any]
) -> bool:
    """Say whether a step belongs to an obligation that is kept though the deal has left the stage (AG-6)."""
    kept = {one for one, row in steps.items() if row.word in HUMAN_WORDS and row.state == "waiting"}
    if kept & lifecycle.watched(dict(spec)):
        return spec.get("lives") != "stage"
    ends = (steps[one].ended_at for one in upstream)
    return any(end is not None and instance.left_at is not None and end >= instance.left_at for end in ends)


def _answer(context: StepContext) -> Answer:
    since = context.spec.get("since")
    if since is not None:
        scheme = context.work.session.get_one(ProcessScheme, context.instance.scheme_id)
        if scheme.number < since:
            return Skip("шаг добавлен позже, чем начался этот заход")
    if context.row.looked_seq == 0 and not context.holds(context.spec.get("only_if")):
        return Skip(context.spec.get("only_if_says") or "условие шага не выполнено")
    word = WORDS[context.spec["word"]]
    try:
        if not word.acts:
            return word.look(context)
        with context.work.session.begin_nested():
            return word.look(context)
    except BackofficeError as refused:
        return Fail(str(refused))


def _settle(
    work: Work,
    case: ProcessCase,
    instance: ProcessInstance,
    steps: Mapping[str, StepState],
    row: StepState,
    answer: Answer,
) -> Look:
    if isinstance(answer, Wait):
        if row.moment != answer.moment or (row.looked_seq == 0 and answer.aimed):
            _re_aim(work, row, answer)
        row.waits_for, row.waits_on, row.moment = answer.for_what, answer.on, answer.moment
        # what this look itself changed is seen by it: finish() bumps seq by one when the case is touched
        row.looked_seq = case.seq + (1 if case.id in work.touched else 0)
        return Look("waiting", case.key, case.id, answer.moment, work.now)
    state = {Done: "done", Skip: "skipped", Stop: "stopped", Fail: "failed"}[type(answer)]
    aimed = row.looked_seq != 0
    row.state, row.ended_at, row.moment = state, work.now, None
    row.reason = None if isinstance(answer, Done) else answer.reason
    row.result = jsonable(answer.result) if isinstance(answer, Done) else None
    row.waits_for, row.waits_on = None, []
    if aimed:
        lifecycle.drop_aims(work, [row.id])
    if row.word != "Alarm":  # nothing waits for the end of an alarm
        work.touch(case.id)
    _end_when_finished(work, instance, steps)
    return _final(case, row)


def _re_aim(work: Work, row: StepState, answer: Wait) -> None:
    """Supersede the present aim and keep the new one; an aim still ahead has been moved, one behind has come."""
    present = update(StepAim).where(StepAim.step_id == row.id, StepAim.superseded_at.is_(None))
    closing = present.values(superseded_at=work.now).returning(StepAim.moment)
    closed = work.session.scalars(closing).all() if row.looked_seq != 0 else []
    if answer.aimed is None:
        return
    moved = any(moment is not None and moment > work.now for moment in closed)
    reason = f"перенесено: {answer.aimed}" if moved else answer.aimed
    work.session.add(StepAim(step_id=row.id, moment=answer.moment, reason=reason, aimed_at=work.now))


def _end_when_finished(work: Work, instance: ProcessInstance, steps: Mapping[str, StepState]) -> None:
    if instance.state == "ended":
        return
    scheme = work.session.get_one(ProcessScheme, instance.scheme_id)
    rows = [steps.get(one["id"]) for one in scheme.body["steps"]]
    if any(row is None or row.state not in lifecycle.FINAL_STATES for row in rows):
        return
    work.session.flush()
    lifecycle.withdraw_left_over(work, instance)
    stopped = next((row.reason for row in rows if row is not None and row.state == "stopped"), None)
    instance.state, instance.ended_at = "ended", work.now
    instance.reason = lifecycle.LEFT_STAGE if instance.left_at else stopped or FINISHED


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
