"""The reconciler: meets what ops do in Airflow (clear, mark, delete a run), every 30 s.

A step marked, failed or gone withdraws its task («снято администратором»); a deleted run ends its instance; a cleared
step needs nothing here: it joins what it did before. It also puts the reason of an ended instance on its run as a note,
and makes runs that were started from Airflow's own form cases: who started them stands in Airflow's database only.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket

from backoffice import airflow_api
from backoffice.names import CASE_KEY as RELAYED
from include.process import engine
from include.process.reading import live_instances, recently_ended
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
        found = await asyncio.to_thread(reconcile)
        await asyncio.to_thread(beat, "reconciler", f"{socket.gethostname()}:{os.getpid()}", {"mended": found})
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
    runs = airflow_api.run_states((one.process, one.run_id) for one in live)
    mended = 0
    for instance in live:
        run = runs.get((instance.process, instance.run_id))
        if run is None:
            if instance.age_seconds > GRACE_SECONDS and not instance.event_pending:
                engine.end_run(instance.process, instance.run_id, RUN_GONE)
                mended += 1
            continue
        for step in instance.waiting_steps:
            state = run.tasks.get(step)
            if step not in run.tasks or state in airflow_api.FINAL_TASK_STATES:
                engine.withdraw_step(instance.process, instance.run_id, step)
                mended += 1
        for step in instance.marked_steps:
            if run.tasks.get(step) == "deferred":
                engine.take_up_step(instance.process, instance.run_id, step)
                mended += 1
        if run.state == "success":
            engine.end_run(instance.process, instance.run_id, RUN_MARKED)
            mended += 1
    for process, run_id, reason in recently_ended():
        airflow_api.set_note(process, run_id, reason)
    return mended
