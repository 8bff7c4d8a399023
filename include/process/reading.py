"""What the hub, the reconciler and the virtual clock read about instances; set-based, no writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select, text

from include.process.models import ProcessInstance, StepState
from include.shared import clock
from include.shared.db import query_text
from include.shared.work import reading


@dataclass(frozen=True)
class LiveInstance:
    """A live instance with the steps that wait in it."""

    process: str
    run_id: str
    age_seconds: float
    event_pending: bool
    waiting_steps: list[str] = field(default_factory=list)
    marked_steps: list[str] = field(default_factory=list)  # marked by ops and not taken up again
    failed_steps: list[str] = field(default_factory=list)
    retried_steps: list[str] = field(default_factory=list)  # of the stuck ones: repeated, and not ended since


def live_instances() -> list[LiveInstance]:
    """Return all live instances with their waiting steps."""
    with reading() as session:
        rows = session.execute(text(query_text("process/live_instances")), {"now": clock.now(session)}).all()
        return [LiveInstance(*row) for row in rows]


def recently_ended() -> list[tuple[str, str, str]]:
    """Return ``(process, run id, reason)`` of the instances that ended in the last ten minutes before their end."""
    with reading() as session:
        rows = session.execute(text(query_text("process/recently_ended")), {"now": clock.now(session)}).all()
        return [(process, run_id, reason) for process, run_id, reason in rows]


def runs_of_cases(keys: Iterable[str]) -> list[tuple[str, str]]:
    """Return ``(process, run id)`` of the runs that a change of these cases may concern."""
    with reading() as session:
        asked = {"keys": list(keys), "now": clock.now(session)}
        rows = session.execute(text(query_text("process/runs_of_cases")), asked).all()
        return [(process, run_id) for process, run_id in rows]


def stale_runs() -> list[tuple[str, str]]:
    """Return the runs with a wait that has not seen the last change, or whose moment has come: look again."""
    with reading() as session:
        rows = session.execute(text(query_text("process/stale_runs")), {"now": clock.now(session)}).all()
        return [(process, run_id) for process, run_id in rows]


def due_runs() -> tuple[list[tuple[str, str]], datetime | None, datetime]:
    """Return the runs whose moment has come, the next moment of any wait (None: there is none) and the time now."""
    with reading() as session:
        now = clock.now(session)
        rows = session.execute(text(query_text("process/due_runs")), {"now": now}).all()
        ahead = select(func.min(StepState.moment)).where(StepState.state == "waiting", StepState.moment > now)
        return [(process, run_id) for process, run_id in rows], session.scalar(ahead), now


def waiting_steps() -> set[tuple[str, str, str]]:
    """Return ``(process, run id, step)`` of all waits."""
    with reading() as session:
        rows = session.execute(
            select(ProcessInstance.process, ProcessInstance.run_id, StepState.step)
            .join(StepState, StepState.instance_id == ProcessInstance.id)
            .where(StepState.state == "waiting")
        ).all()
        return {(process, run_id, step) for process, run_id, step in rows}


@dataclass(frozen=True)
class Restlessness:
    """What keeps the business side from being quiet."""

    pending_events: int
    stale_runs: int
    steps: dict[tuple[str, str], dict[str, str]]  # (process, run) → step → state
    upstream: dict[tuple[str, str], dict[str, list[str]]]


def restlessness(runs: list[tuple[str, str]]) -> Restlessness:
    """Return how far the business side is from quiet, with the steps of the given runs."""
    with reading() as session:
        now = clock.now(session)
        pending = session.scalar(text("SELECT count(*) FROM outbox_event WHERE state = 'pending'")) or 0
        stale = len(session.execute(text(query_text("process/stale_runs")), {"now": now}).all())
        rows = session.execute(
            text(query_text("process/steps_of_runs")),
            {"processes": [process for process, _ in runs], "run_ids": [run_id for _, run_id in runs]},
        ).all()
    steps: dict[tuple[str, str], dict[str, str]] = {}
    upstream: dict[tuple[str, str], dict[str, list[str]]] = {}
    for process, run_id, states, body in rows:
        steps[process, run_id] = states or {}
        upstream[process, run_id] = {one["id"]: one["upstream"] for one in body["steps"]}
    return Restlessness(pending, stale, steps, upstream)


def due_cases() -> tuple[str | None, list[str]]:
    """Return the earliest moment any wait aims at (ISO) and the cases that wait for it."""
    with reading() as session:
        rows = session.execute(text(query_text("process/next_due"))).all()
        return (rows[0][0].isoformat() if rows else None, [key for _, key in rows])


@dataclass(frozen=True)
class Violation:
    """Something that must never be true: a fact lost or doubled."""

    kind: str
    case_key: str | None
    text: str


def violations(grace_seconds: float = 0.0) -> list[Violation]:
    """Return every violation of the engine's invariants; meant for a quiet system, or with some seconds of grace."""
    with reading() as session:
        asked = {"now": clock.now(session), "machine_now": clock.machine_now(), "grace": grace_seconds}
        return [Violation(*row) for row in session.execute(text(query_text("ops/invariants")), asked)]
