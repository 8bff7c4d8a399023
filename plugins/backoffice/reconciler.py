"""The reconciler: meets what ops do in Airflow (clear, mark, delete a run), every 30 s.

A step marked, failed or gone withdraws its task («снято администратором»); a deleted run ends its instance; a cleared
step needs nothing here: it joins what it did before. What failed in Airflow without our knowing (a worker's step, a
run stopped between two steps) is made to stand on the case's card, so that no case hides. It also puts the reason of
an ended instance on its run as a note, and makes runs that were started from Airflow's own form cases: who started
them stands in Airflow's database only.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time

from backoffice import airflow_api
from backoffice.airflow_api import Glance, RunState
from backoffice.names import CASE_KEY as RELAYED
from include.ops import failures
from include.process import engine
from include.process.reading import LiveInstance, live_instances, recently_ended
from include.shared.heartbeat import beat

log = logging.getLogger(__name__)

EVERY = 30.0
GRACE_SECONDS = 20.0
RUN_GONE = "прогон удалён администратором"
RUN_MARKED = "прогон отмечен администратором как завершённый"


async def run_forever() -> None:
    """Reconcile until cancelled."""
    pause = 0.5
    while True:
        try:
            await _loop()
        except Exception:
            log.exception("Сверка с Airflow: сбой, повтор через %.1f с", pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 15.0)


async def _loop() -> None:
    while True:
        begun = time.monotonic()
        found = await asyncio.to_thread(reconcile)
        info = {"mended": found, "round_seconds": round(time.monotonic() - begun, 3)}
        await asyncio.to_thread(beat, "reconciler", f"{socket.gethostname()}:{os.getpid()}", info)
        await asyncio.sleep(EVERY)


def adopt_form_runs() -> None:
    """Make runs that were started from Airflow's own form cases of their own; the relay's are cases already."""
    for run in airflow_api.unfinished_form_runs():
        if RELAYED.match(run.run_id) or engine.case_of_run(run.dag_id, run.run_id) is not None:
            continue
        scheme = airflow_api.declared_scheme(run.dag_id)
        if scheme is not None:
            engine.adopt_form_run(run.dag_id, run.run_id, scheme, run.conf, run.starter)


def reconcile() -> int:
    """Compare every live instance with its run once; returns how many things were put right."""
    adopt_form_runs()
    live = live_instances()
    seen = airflow_api.glance() if live else None
    odd = [one for one in live if seen is not None and _differs(one, seen)]
    runs = airflow_api.run_states((one.process, one.run_id) for one in odd)
    mended = 0
    for instance in odd:
        run = runs.get((instance.process, instance.run_id))
        if run is not None:
            mended += _meet(instance, run)
        elif instance.age_seconds > GRACE_SECONDS and not instance.event_pending:
            engine.end_run(instance.process, instance.run_id, RUN_GONE)
            mended += 1
    for process, run_id, reason in recently_ended():
        airflow_api.set_note(process, run_id, reason)
    return mended


def _differs(instance: LiveInstance, seen: Glance) -> bool:
    """Say whether an instance needs a closer look: nearly all have a running run with their waiting steps deferred."""
    run = (instance.process, instance.run_id)
    if run not in seen.runs or any((*run, one) not in seen.deferred for one in instance.waiting_steps):
        return True
    if not instance.waiting_steps or instance.failed_steps or run in seen.failed:
        return True
    return any((*run, one) in seen.deferred for one in instance.marked_steps)


def _meet(instance: LiveInstance, run: RunState) -> int:
    """Put right how one instance differs from its run; returns how many things were."""
    mended = 0
    key = (instance.process, instance.run_id)
    for step in instance.waiting_steps:
        if step not in run.tasks or run.tasks[step] in airflow_api.FINAL_TASK_STATES:
            engine.withdraw_step(*key, step)
            mended += 1
    for step in instance.marked_steps:
        if run.tasks.get(step) == "deferred":
            engine.take_up_step(*key, step)
            mended += 1
    if run.state in airflow_api.FINISHED_RUNS and (None in run.tasks.values() or _was_cleared_behind(instance, run)):
        return mended + airflow_api.go_on_cleared(*key)
    mended += _failed(instance, run)
    if run.state == "success":
        engine.end_run(*key, RUN_MARKED)
        mended += 1
    return mended


def _was_cleared_behind(instance: LiveInstance, run: RunState) -> bool:
    """Say whether steps were kept from beginning by a failure that a clear has taken away meanwhile."""
    states = set(run.tasks.values())
    is_known = bool(instance.failed_steps or instance.marked_steps)
    return "upstream_failed" in states and "failed" not in states and not is_known


def _failed(instance: LiveInstance, run: RunState) -> int:
    """Make what failed in Airflow, and is not known to have failed here, stand on the card."""
    key = (instance.process, instance.run_id)
    stuck = {*instance.failed_steps, *instance.marked_steps}
    known = {*instance.waiting_steps, *stuck} - set(instance.retried_steps)
    failed = {step for step, state in run.tasks.items() if state == "failed"}
    mended = sum(failures.record_failure(*key, step) for step in sorted(failed - known))
    mended += sum(
        failures.settle_workers_step(*key, step)
        for step in instance.failed_steps
        if run.tasks.get(step) in ("success", "skipped")
    )
    if run.state == "failed" and not mended and not stuck and not instance.waiting_steps:
        mended += failures.record_failed_run(*key)
    return mended
