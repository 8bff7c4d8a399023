"""What operations may do: repeat a failed step, repeat or drop a dead letter."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import select

from include.ops.failures import is_being_retried
from include.process import lifecycle
from include.process.models import OutboxEvent, ProcessInstance, ProcessScheme, StepState
from include.shared import clock
from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.work import Work
from include.staff.services import Viewer

#: Clear these steps of a run in Airflow, and what stands behind them unless it is finished: (process, run, steps,
#: finished). Conflict when the run or the step is gone, or the step is on its way already.
Clear = Callable[[str, str, Collection[str], Collection[str]], None]
STUCK = ("failed", "marked")
LONGEST_REASON = 1000


def retry_step(work: Work, viewer: Viewer, step_id: int, clear: Clear) -> StepState:
    """Have a stuck step looked at anew; what it did before is joined, what stands behind it goes on.

    Airflow is told inside this transaction: whoever asks a moment later waits at the case and finds it repeated.
    """
    require_ops(viewer)
    row = work.session.get(StepState, step_id)
    if row is None:
        msg = f"Шага № {step_id} нет."
        raise NotFound(msg)
    work.lock_case(row.case_id)
    work.session.refresh(row)
    instance = work.session.get_one(ProcessInstance, row.instance_id, populate_existing=True)
    _check(row, instance)
    rows = {
        one.step: one for one in work.session.scalars(select(StepState).where(StepState.instance_id == instance.id))
    }
    before = (rows[one] for one in _before(work, instance, row.step) if one in rows)
    chain = [row, *(one for one in before if one.state in STUCK)]
    for one in chain:
        one.retried_at, one.ended_at = work.now, None
        work.audit(
            "step.retried", f"Шаг «{one.title}» повторён", entity="step", entity_id=one.id, case_id=one.case_id,
            before={"state": one.state, "reason": one.reason},
        )  # fmt: skip
    work.touch(row.case_id)
    work.session.flush()
    finished = [one.step for one in rows.values() if one.state in lifecycle.FINAL_STATES]
    clear(instance.process, instance.run_id, [one.step for one in chain], finished)
    return row


def repeat_event(work: Work, viewer: Viewer, event_id: int) -> OutboxEvent:
    """Give a dead letter to the relay again; what it has begun before is joined."""
    require_ops(viewer)
    event = _dead(work, event_id)
    event.state, event.attempts, event.next_try_at = "pending", 0, clock.machine_now()
    work.has_events = True  # wakes the relay
    _tell(work, event, "event.repeated", f"Отложенное событие {event.listen_key} повторено")
    return event


def drop_event(work: Work, viewer: Viewer, event_id: int, reason: str) -> OutboxEvent:
    """Give a dead letter up for good; no process begins for it."""
    require_ops(viewer)
    said = reason.strip()
    if not said or len(said) > LONGEST_REASON:
        msg = f"Напишите, почему событие снимается (до {LONGEST_REASON} знаков)."
        raise InvalidInput(msg, "reason")
    event = _dead(work, event_id)
    event.state, event.done_at = "done", clock.machine_now()
    _tell(work, event, "event.dropped", f"Отложенное событие {event.listen_key} снято", said)
    return event


def require_ops(viewer: Viewer) -> None:
    """Refuse everybody but operations and administrators."""
    if viewer.access not in ("ops", "admin"):
        msg = "Это может только администратор или сопровождение."
        raise Forbidden(msg)


def _check(row: StepState, instance: ProcessInstance) -> None:
    if instance.state != "live":
        msg = f"Процесс уже окончен: {instance.reason or lifecycle.OVER}. Повторять нечего."
        raise Conflict(msg)
    if row.state not in STUCK:
        msg = f"Шаг «{row.title}» уже не стоит: обновите страницу."
        raise Conflict(msg)
    if is_being_retried(row):
        msg = f"Шаг «{row.title}» уже повторяется: подождите несколько секунд."
        raise Conflict(msg)


def _before(work: Work, instance: ProcessInstance, step: str) -> list[str]:
    """Return all steps before a step: one of them that is stuck must be repeated, too, or this one refuses again."""
    scheme = work.session.get_one(ProcessScheme, instance.scheme_id)
    upstream = {one["id"]: one["upstream"] for one in scheme.body["steps"]}
    found: list[str] = []
    ahead = list(upstream.get(step, []))
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.append(one)
            ahead += upstream.get(one, [])
    return found


def _dead(work: Work, event_id: int) -> OutboxEvent:
    event = work.session.get(OutboxEvent, event_id, with_for_update=True)
    if event is None:
        msg = f"События № {event_id} нет."
        raise NotFound(msg)
    if event.state != "dead":
        msg = f"Событие № {event_id} уже не отложено: обновите страницу."
        raise Conflict(msg)
    return event


def _tell(work: Work, event: OutboxEvent, action: str, text: str, reason: str | None = None) -> None:
    work.audit(
        action, text, entity="outbox_event", entity_id=event.id, case_id=event.case_id,
        before={"error": event.error}, reason=reason,
    )  # fmt: skip
    if event.case_id is not None:
        work.touch(event.case_id)
