"""The virtual clock's drive: advance from due moment to due moment, waiting each time until all is quiet."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from backoffice import airflow_api
from include.process.reading import due_cases, restlessness
from include.shared import clock
from include.shared.errors import Conflict
from include.shared.work import reading, transaction

PATIENCE_SECONDS = 120.0
HOLD = timedelta(seconds=PATIENCE_SECONDS + 30)
LOOK_EVERY = 0.1
QUIET_LOOKS = 2
_RESTLESS_STATES = frozenset({"scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule"})


async def advance(to: datetime) -> dict[str, Any]:
    """Move the virtual clock to ``to``, stopping at each due moment in order; returns the moments stopped at.

    While all comes to rest the clock stands, so that a moment a second later is a stop of its own. Conflict when
    something does not come to rest; VirtualClockRefused on a real clock.
    """
    stops: list[dict[str, Any]] = []
    try:
        await asyncio.to_thread(_move, await asyncio.to_thread(_now), HOLD)
        await until_quiet()
        while True:
            moment, cases = await asyncio.to_thread(due_cases)
            if moment is None or datetime.fromisoformat(moment) > to:
                break
            await asyncio.to_thread(_move, datetime.fromisoformat(moment), HOLD)
            await until_quiet()
            stops.append({"moment": moment, "cases": cases})
        await asyncio.to_thread(_move, to, HOLD)
        await until_quiet()
    finally:
        now = await asyncio.to_thread(_go_on)
    return {"now": now.isoformat(), "moments": stops}


async def jump(to: datetime) -> dict[str, Any]:
    """Move the virtual clock to ``to`` at once (downtime: many moments pass unseen), then wait until all is quiet."""
    await asyncio.to_thread(_move, to)
    await until_quiet()
    return {"now": (await asyncio.to_thread(_now)).isoformat(), "moments": []}


async def until_quiet(patience: float = PATIENCE_SECONDS) -> None:
    """Return when nothing is left to do now: no event, no step to begin or to look, no run to examine."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    quiet = 0
    reason: str | None = None
    while quiet < QUIET_LOOKS:
        reason = await asyncio.to_thread(restless_because)
        quiet = 0 if reason else quiet + 1
        if loop.time() > end:
            msg = f"Система не успокоилась за {patience:.0f} с: {reason}."
            raise Conflict(msg)
        await asyncio.sleep(LOOK_EVERY)


def restless_because() -> str | None:
    """Return in words what is still moving, None when all is quiet."""
    runs = airflow_api.unfinished_runs()
    business = restlessness(list(runs))
    if business.pending_events:
        return f"событий ждут передачи: {business.pending_events}"
    if business.stale_runs:
        return f"прогонов, где ожидания ещё не посмотрели на перемену: {business.stale_runs}"
    for key, run in runs.items():
        if run.state == "queued":
            return f"прогон {key} ещё не начат"
        if all(state in airflow_api.FINAL_TASK_STATES for state in run.tasks.values()):
            return f"прогон {key} ещё не закрыт"
        upstream = business.upstream.get(key, {})
        steps = business.steps.get(key, {})
        for task, state in run.tasks.items():
            if state in _RESTLESS_STATES:
                return f"шаг {key}/{task} в состоянии {state}"
            if state == "deferred" and steps.get(task) != "waiting" and key in business.upstream:
                return f"шаг {key}/{task} ещё не посмотрел"
            before = upstream.get(task, [])
            if state is None and all(run.tasks.get(one) in airflow_api.FINAL_TASK_STATES for one in before):
                return f"шаг {key}/{task} ещё не начат"
    return None


def _move(to: datetime, hold: timedelta | None = None) -> datetime:
    with transaction() as work:
        return clock.move_to(work.session, to, hold=hold)


def _go_on() -> datetime:
    with transaction() as work:
        return clock.move_to(work.session, work.now)


def _now() -> datetime:
    with reading() as session:
        return clock.now(session)
