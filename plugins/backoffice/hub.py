"""The hub: looks at the waiting steps of whatever has changed and ends those whose fact has come (docs/adr/0010).

A waiting step is a row in Airflow's database and a row in ours; nobody holds it in memory, so thousands cost nothing
and any hub can go on with them at once. A notification is never trusted: it only says "look". At the start, after
every reconnect and every 30 s a sweep finds whatever has been missed. Several hubs may run: a look locks its rows, and
what one has ended the other does not find any more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

import psycopg
from psycopg import sql

from backoffice import airflow_api, airflow_steps, nudge, reconciler
from backoffice.names import CASE_KEY
from include.process import engine, reading
from include.process.engine import Look
from include.shared.clock import CLOCK_CHANNEL, is_virtual
from include.shared.db import POOL_SIZE, libpq_url
from include.shared.heartbeat import beat
from include.shared.work import CHANGES_CHANNEL

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Run = tuple[str, str]

SWEEP_EVERY = 30.0
VIRTUAL_SWEEP_EVERY = 5.0
BEAT_EVERY = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
SHORTEST_NAP = 0.02
FIRST_WORD_OF_FORMS = "CheckStarter"


class Hub:
    """Attends each run in one thread at a time; belongs to one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="backoffice-hub")
        self._attending: dict[Run, bool] = {}  # run → something has changed meanwhile
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed_cases: set[str] = set()
        self._changed = asyncio.Event()
        self._sweep_wanted = asyncio.Event()
        self._sooner = asyncio.Event()
        self._next_moment: float | None = None  # when the loop's clock shows it
        self._ended: set[tuple[str, str, str]] = set()
        self.connected: dict[str, bool] = {"business": False, "airflow": False}
        self.waiting = 0

    async def run_forever(self) -> None:
        """Attend until cancelled; each part restarts itself after a failure."""
        async with asyncio.TaskGroup() as group:
            for name, part in (
                ("слушатель перемен", self._listen_for_changes),
                ("слушатель Airflow", self._listen_to_airflow),
                ("разбор перемен", self._take_changes),
                ("обход", self._sweep_forever),
                ("моменты", self._watch_moments),
                ("пульс", self._beat_forever),
            ):
                group.create_task(self._patiently(name, part), name=f"backoffice-hub: {name}")

    async def _patiently(self, name: str, part: Callable[[], Any]) -> None:
        pause = FIRST_PAUSE
        while True:
            begun = asyncio.get_running_loop().time()
            try:
                await part()
            except Exception as error:  # noqa: BLE001 - a deaf hub helps nobody: whatever happened, go on
                log.warning("Будильник ожиданий (%s): %s: %s", name, type(error).__name__, error)
            lived = asyncio.get_running_loop().time() - begun
            pause = FIRST_PAUSE if lived > LONGEST_PAUSE else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work in this hub's own threads (as many as there are connections)."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    # --- what is heard

    async def _listen_for_changes(self) -> None:
        async with await _ear(libpq_url(), "backoffice-hub", CHANGES_CHANNEL, CLOCK_CHANNEL) as connection:
            try:
                self.connected["business"] = True
                self._sweep_wanted.set()  # whatever was said while nobody listened
                async for message in connection.notifies():
                    if message.channel == CLOCK_CHANNEL:
                        self._sooner.set()
                        continue
                    cases = json.loads(message.payload)["cases"]
                    if cases == "all":
                        self._sweep_wanted.set()
                    elif cases:
                        self._changed_cases.update(cases)
                        self._changed.set()
            finally:
                self.connected["business"] = False

    async def _listen_to_airflow(self) -> None:
        async with await _ear(nudge.airflow_libpq_url(), "backoffice-nudge", nudge.CHANNEL) as connection:
            try:
                self.connected["airflow"] = True
                self._ended.clear()
                self._sweep_wanted.set()
                async for message in connection.notifies():
                    said = json.loads(message.payload)
                    if said["state"] == "deferred":
                        self.attend((said["dag"], said["run"]))
                    elif (step := (said["dag"], said["run"], said["task"])) in self._ended:
                        self._ended.discard(step)
                    else:
                        self._do(self._meet_end(*step))
            finally:
                self.connected["airflow"] = False

    async def _take_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            cases, self._changed_cases = self._changed_cases, set()
            try:
                runs = await self._in_thread(reading.runs_of_cases, cases)
            except BaseException:
                self._changed_cases |= cases
                self._changed.set()
                raise
            self._attend_all(runs)

    # --- what is done

    def attend(self, run: Run) -> None:
        """Look at the waiting steps of a run soon; asked again meanwhile, it looks once more afterwards."""
        if run in self._attending:
            self._attending[run] = True
            return
        self._attending[run] = False
        self._do(self._attend(run))

    def _attend_all(self, runs: Iterable[Run]) -> None:
        for run in runs:
            self.attend(run)

    def _do(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, run: Run) -> None:
        pause = FIRST_PAUSE
        try:
            while True:
                self._attending[run] = False
                try:
                    looks = await self._in_thread(self._look_and_end, *run)
                except Exception:
                    log.exception("%s: посмотреть не удалось, повтор через %.1f с", run, pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
                    continue
                self._aim(looks)
                if not self._attending[run]:
                    return
        finally:
            del self._attending[run]

    def _look_and_end(self, process: str, run_id: str) -> tuple[Look, ...]:
        looks: list[Look] = []
        ended = False

        def look(step: str, spec: dict[str, Any]) -> Look:
            nonlocal ended
            one = _look(process, run_id, step, spec)
            looks.append(one)
            if one.outcome != "waiting":
                ended = True
                self._ended.add((process, run_id, step))
            return one

        airflow_steps.end_what_has_come(process, run_id, look)
        if ended:
            airflow_api.examine_next(process, run_id)
        return tuple(looks)

    async def _meet_end(self, process: str, run_id: str, step: str) -> None:
        """Meet a step that something else has ended: a worker or another hub, or ops who have marked it."""
        try:
            await self._in_thread(airflow_api.examine_next, process, run_id)
            await self._in_thread(engine.withdraw_step, process, run_id, step)
        except Exception:  # the sweep and the reconciler come round anyway
            log.warning("Конец шага %s/%s/%s не учтён сразу", process, run_id, step, exc_info=True)

    # --- moments and the sweep

    def _aim(self, looks: Iterable[Look]) -> None:
        for look in looks:
            if look.moment is None or look.now is None:
                continue
            at = asyncio.get_running_loop().time() + _seconds(look.moment, look.now)
            if self._next_moment is None or at < self._next_moment:
                self._next_moment = at
                self._sooner.set()

    async def _watch_moments(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._sooner.clear()
            due, moment, now = await self._in_thread(reading.due_runs)
            self._attend_all(due)
            self._next_moment = None if moment is None else loop.time() + _seconds(moment, now)
            while not self._sooner.is_set():
                left = None if self._next_moment is None else self._next_moment - loop.time()
                if left is not None and left <= 0:
                    break
                await _heard(self._sooner, left)
            await asyncio.sleep(SHORTEST_NAP)

    async def _sweep_forever(self) -> None:
        every = VIRTUAL_SWEEP_EVERY if is_virtual() else SWEEP_EVERY
        while True:
            self._sweep_wanted.clear()
            self._attend_all(await self._in_thread(self._missed))
            await _heard(self._sweep_wanted, every)

    def _missed(self) -> set[Run]:
        """Return the runs with a wait that has not seen the last change, or that Airflow and we see differently."""
        in_airflow = airflow_steps.waiting_steps()
        self.waiting = len(in_airflow)
        missed = set(reading.stale_runs())
        missed |= {(process, run_id) for process, run_id, _ in in_airflow - reading.waiting_steps()}
        for process, run_id in airflow_steps.unexamined_runs():
            airflow_api.examine_next(process, run_id)
        return missed

    async def _beat_forever(self) -> None:
        name = f"{socket.gethostname()}:{os.getpid()}"
        while True:
            info = {"waiting": self.waiting, "connected": all(self.connected.values())}
            await self._in_thread(beat, "hub", name, info)
            await asyncio.sleep(BEAT_EVERY)


async def run_forever() -> None:
    """Run a hub until cancelled."""
    await Hub().run_forever()


def _look(process: str, run_id: str, step: str, spec: dict[str, Any]) -> Look:
    if spec.get("word") == FIRST_WORD_OF_FORMS and not CASE_KEY.match(run_id):
        reconciler.adopt_form_runs()  # a run of Airflow's own form: who started it stands in its database only
        if engine.case_of_run(process, run_id) is None:
            return Look("waiting")  # its process is not parsed yet; the sweep comes round
    return engine.look(process, run_id, step, spec)


async def _ear(url: str, name: str, *channels: str) -> psycopg.AsyncConnection[Any]:
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=5, application_name=name,
        keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
    )  # fmt: skip
    for channel in channels:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    return connection


def _seconds(moment: datetime, now: datetime) -> float:
    return max(0.0, (moment - now).total_seconds())


async def _heard(event: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
