"""Finds programs that live and do not work: their row in Airflow's table of jobs has ended, or they no longer sign it.

A program that left its loop may hang for ever in its exit (it waits for children that wait for it). A frozen one
(SIGSTOP, a suspended machine) is given time: whoever is continued within it just goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from include.installation.dead_jobs import life_of
from include.installation.hostname import hostname_of
from include.installation.programs import Program

log = logging.getLogger("backoffice.supervisor")

EVERY = 5.0  # seconds between two looks
#: How long a program may live after its work has ended, and how long it may be silent, in seconds.
ENDED_FOR, SILENT_FOR = 20.0, 180.0


@dataclass(frozen=True)
class Seen:
    """A running program as the supervisor sees it."""

    program: Program
    pid: int
    begun_at: datetime | None


class Watchdog:
    """Asks the database beside the supervisor's loop, which must not wait for it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._looked = 0.0
        self._thread: threading.Thread | None = None
        self._since: dict[tuple[str, int], float] = {}
        self._hanging: list[tuple[str, int, str]] = []

    def look(self, running: Sequence[Seen]) -> list[tuple[str, str]]:
        """Return (name, why) of the running programs that were found hanging; returns at once."""
        found, self._hanging = self._hanging, []
        pids = {one.program.name: one.pid for one in running}
        watched = [one for one in running if one.program.job_type is not None and one.begun_at is not None]
        if (
            watched
            and time.monotonic() - self._looked >= EVERY
            and (self._thread is None or not self._thread.is_alive())
        ):
            self._looked = time.monotonic()
            self._thread = threading.Thread(target=self._look_at, args=(watched,), daemon=True)
            self._thread.start()
        return [(name, why) for name, pid, why in found if pids.get(name) == pid]

    def _look_at(self, watched: Sequence[Seen]) -> None:
        now = time.monotonic()
        since, hanging = dict(self._since), []
        for one in watched:
            key = (one.program.name, one.pid)
            try:
                why, patience = self._trouble_of(one)
            except psycopg.Error as error:  # without the database nothing is known, and nobody can sign
                log.debug("Работает ли %s, пока не узнать: %s", one.program.name, error)
                since = {}
                break
            if why is None:
                since.pop(key, None)
            elif now - since.setdefault(key, now) >= patience:
                hanging.append((*key, why))
                since.pop(key)
        self._since, self._hanging = since, hanging

    def _trouble_of(self, one: Seen) -> tuple[str | None, float]:
        if one.begun_at is None:
            return None, 0
        life = life_of(
            self._url,
            job_type=str(one.program.job_type),
            hostname=hostname_of(one.program.replica),
            begun_at=one.begun_at,
        )
        if life is not None and life.ended:
            return "его работа окончена, а процесс не завершается", ENDED_FOR
        if life is not None and life.silent > SILENT_FOR / 2:
            return f"не отмечался {life.silent:.0f} с", SILENT_FOR / 2
        return None, 0
