"""One hub per triggerer: one LISTEN connection, a dictionary case → waiting steps, and a sweep as a safety net.

A notification is never trusted: it only says "look". After every reconnect, after a move of the virtual clock and
every 30 s one query finds all waits that have not seen the last change of their case or whose moment has come.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar, ParamSpec, TypeVar

import psycopg

from include.process import engine
from include.process.engine import Look
from include.shared import signals
from include.shared.clock import CLOCK_CHANNEL, is_virtual
from include.shared.db import POOL_SIZE, libpq_url
from include.shared.heartbeat import beat
from include.shared.work import CHANGES_CHANNEL, reading

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

SWEEP_EVERY = 30.0
VIRTUAL_SWEEP_EVERY = 5.0
BEAT_EVERY = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
ADOPTION_LOOK = 1.0
FIRST_WORD_OF_FORMS = "CheckStarter"
RECONCILE_CHANNEL = "backoffice_reconcile"
CASE_KEY = re.compile(r"^([a-z_]+-\d+)-")


class Hub:
    """Wakes exactly the waits concerned; belongs to one event loop."""

    _hubs: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]] = weakref.WeakKeyDictionary()

    def __init__(self) -> None:
        self._ears: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._threads = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="backoffice")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.connected = False
        self.waiting = 0

    @classmethod
    def here(cls) -> Hub:
        """Return the hub of the running event loop, made at the first use."""
        loop = asyncio.get_running_loop()
        hub = cls._hubs.get(loop)
        if hub is None:
            hub = cls._hubs[loop] = cls()
        return hub

    async def attend(self, process: str, run_id: str, step: str, spec: Mapping[str, Any]) -> Look:
        """Look at a step until it ends; no failure of the infrastructure ever ends it."""
        self._ensure_listening()
        relayed = CASE_KEY.match(run_id)
        key = relayed.group(1) if relayed else await self._adopted(process, run_id, spec)
        arrives = True
        with self._ear(key) as ear:
            while True:
                ear.clear()  # listen first, then look: nothing that happens meanwhile is missed
                look = await self._patiently(engine.look, process, run_id, step, spec, arrives=arrives)
                if look.outcome != "waiting":
                    return look
                arrives = False  # only a step that begins may take up what ops have marked
                await _heard(ear, _seconds_until(look))

    async def _adopted(self, process: str, run_id: str, spec: Mapping[str, Any]) -> str:
        """Return the case of a run that Airflow's own form started: the API server makes it one.

        The triggerer cannot: only Airflow's database knows who started the run.
        """
        while True:
            key = await self._patiently(engine.case_of_run, process, run_id)
            if key is not None or spec.get("word") != FIRST_WORD_OF_FORMS:
                return key or run_id
            await self.hint_reconciler()
            await asyncio.sleep(ADOPTION_LOOK)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking service in this hub's own threads (as many as there are connections)."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    async def hint_reconciler(self) -> None:
        """Ask the reconciler to compare now; losing the hint only makes it wait for its next round."""
        try:
            await self.call(signals.send, RECONCILE_CHANNEL)
        except Exception:  # noqa: BLE001 - on_kill() must end well, and the reconciler comes round anyway
            log.warning("Подсказка сверке не ушла: нет связи с базой")

    async def _patiently(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        pause = FIRST_PAUSE
        while True:
            try:
                return await self.call(function, *args, **kwargs)
            except Exception:
                log.exception("%s%s не удалось, повтор через %.1f с", function.__name__, args[:3], pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    @contextmanager
    def _ear(self, key: str) -> Iterator[asyncio.Event]:
        ear = asyncio.Event()
        self._ears[key].add(ear)
        self.waiting += 1
        try:
            yield ear
        finally:
            self.waiting -= 1
            self._ears[key].discard(ear)
            if not self._ears[key]:
                del self._ears[key]

    def _ensure_listening(self) -> None:
        for name, work in (("hub", self._listen), ("hub-beat", self._beat_forever)):
            running = self._tasks.get(name)
            if running is None or running.done():
                self._tasks[name] = asyncio.create_task(work(), name=f"backoffice-{name}")

    async def _listen(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    libpq_url(), autocommit=True, connect_timeout=5, application_name="backoffice-hub",
                    keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
                ) as connection:  # fmt: skip
                    await connection.execute(f"LISTEN {CHANGES_CHANNEL}")
                    await connection.execute(f"LISTEN {CLOCK_CHANNEL}")
                    self.connected = True
                    pause = FIRST_PAUSE
                    await self._serve(connection)
            except Exception as error:  # noqa: BLE001 - a deaf hub helps nobody: whatever happened, listen again
                log.warning("Связь слушателя с базой потеряна (%s), повтор через %.1f с", error, pause)
            finally:
                self.connected = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _serve(self, connection: psycopg.AsyncConnection[Any]) -> None:
        loop = asyncio.get_running_loop()
        every = VIRTUAL_SWEEP_EVERY if is_virtual() else SWEEP_EVERY
        while True:
            await self._sweep()
            swept = loop.time()
            while (left := every - (loop.time() - swept)) > 0:
                moved = False
                async for message in connection.notifies(timeout=left, stop_after=1):
                    if message.channel == CLOCK_CHANNEL:
                        moved = True
                    else:
                        self._wake(json.loads(message.payload)["cases"])
                if moved:
                    await self._sweep()

    def _wake(self, cases: list[str] | str) -> None:
        for key in list(self._ears) if cases == "all" else cases:
            for ear in self._ears.get(key, ()):
                ear.set()

    async def _sweep(self) -> None:
        self._wake(await self.call(_stale_cases))

    async def _beat_forever(self) -> None:
        name = f"{socket.gethostname()}:{os.getpid()}"
        while True:
            try:
                await self.call(beat, "hub", name, {"waiting": self.waiting, "connected": self.connected})
            except Exception as error:  # noqa: BLE001 - without a pulse the doctor complains; waits go on
                log.warning("Пульс слушателя не записан: %s", error)
            await asyncio.sleep(BEAT_EVERY)


def _stale_cases() -> list[str]:
    with reading() as session:
        return engine.stale_cases(session)


def _seconds_until(look: Look) -> float | None:
    if look.moment is None or look.now is None:
        return None
    return max(0.0, (look.moment - look.now).total_seconds()) + 0.005


async def _heard(ear: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await ear.wait()
    except TimeoutError:
        return
