"""Keeps the programs alive: brings back what dies, ever more slowly when it keeps dying, and never gives up.

Why not supervisord: docs/adr/0005-supervisor.md. One loop, one thread; only the ending of Airflow's job rows
runs beside it, because it may have to wait for the database.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg

from include.installation import processes
from include.installation.dead_jobs import end_jobs
from include.installation.hostname import hostname_of
from include.installation.places import PROJECT, Places
from include.installation.ports import bound
from include.installation.postgres import EmbeddedPostgres, accepts
from include.installation.programs import POSTGRES, Program
from include.installation.watchdog import Seen, Watchdog

log = logging.getLogger("backoffice.supervisor")

TICK = 0.2
#: The n-th death in a row waits this long; a program that lived for STEADY seconds starts anew.
FIRST_DELAY, LONGEST_DELAY, STEADY = 0.3, 60.0, 60.0
#: So many deaths in a minute (or in a row, each soon after its start) are a trouble that a person must see.
MANY = 5
MOST_LOG_BYTES = 50_000_000


def delay_after(deaths_in_a_row: int) -> float:
    """Tell how long to wait before the next start: 0.3, 0.6, 1.2, 2.4, then 10, 20, 40, 60 s."""
    if deaths_in_a_row < MANY:
        return FIRST_DELAY * 2.0 ** (deaths_in_a_row - 1)
    return min(LONGEST_DELAY, 10.0 * 2.0 ** min(deaths_in_a_row - MANY, 10))


@dataclass
class Watched:
    """A program and how it fares."""

    program: Program
    state: str = "waiting"
    pid: int | None = None
    created: float | None = None
    begun: float = 0.0
    begun_at: datetime | None = None
    start_at: float = 0.0
    deaths: int = 0
    in_a_row: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=MANY))
    last_death: str | None = None
    last_exit: str | None = None
    trouble: str | None = None
    process: subprocess.Popen[bytes] | None = None


class Supervisor:
    """Runs until it is told to stop; everything it starts ends with it."""

    def __init__(
        self,
        places: Places,
        programs: Sequence[Program],
        *,
        airflow_url: str,
        postgres: EmbeddedPostgres | None,
        parent: int | None = None,
    ) -> None:
        """Describe what to keep alive; `parent` is a process whose end also ends us (tests)."""
        self.places = places
        self.watched = {program.name: Watched(program) for program in programs}
        self.airflow_url = airflow_url
        self.postgres = postgres
        self.parent = (parent, processes.started_at(parent)) if parent else None
        self.stopping = False
        self._address: socket.socket | None = None
        self._postgres_ready = False
        self._checked = 0.0
        self._written = ""

    def run(self) -> None:
        """Keep the programs alive until a signal comes."""
        processes.become_subreaper()
        processes.raise_file_limit()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)
        log.info("Надзор начат: %s", ", ".join(self.watched))
        self._end_rows([w.program for w in self.watched.values()])
        watchdog = Watchdog(self.airflow_url)
        while not self.stopping:
            self._reap()
            self._start_due()
            self._mind_logs()
            self._mind_parent()
            self._kill_hanging(watchdog)
            self._write_status()
            time.sleep(TICK)
        self._shut_down()

    def _asked_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _mind_parent(self) -> None:
        if self.parent is not None and not processes.is_same(*self.parent):
            log.info("Запустивший нас процесс исчез: останавливаемся.")
            self.stopping = True

    # --- starting ---------------------------------------------------------------------------------

    def _start_due(self) -> None:
        now = time.monotonic()
        for one in self.watched.values():
            if one.pid is not None:
                continue
            if (self.places.hold_folder / one.program.name).exists():
                one.state, one.start_at, one.in_a_row = "held", 0.0, 0
                one.trouble = None
                one.recent.clear()
                continue
            if now < one.start_at:
                one.state = "backoff"
                continue
            if one.program.needs_postgres and not self._database_is_up():
                one.state = "waiting"
                continue
            if self._remains(one):
                one.state = "clearing"
                continue
            self._start(one)

    def _database_is_up(self) -> bool:
        """Ask the embedded server at most once a second; an outside one is not ours to wait for."""
        if self.postgres is None:
            return True
        server = self.watched[POSTGRES]
        if server.pid is None:
            self._postgres_ready = False
        elif not self._postgres_ready and time.monotonic() - self._checked > 0.3:
            self._postgres_ready = accepts(self.postgres.url(), timeout=1)
            self._checked = time.monotonic()
        return self._postgres_ready

    def _start(self, one: Watched) -> None:
        program = one.program
        environment = {
            **os.environ,
            **program.extra_environment,
            "BACKOFFICE_HOME": str(self.places.home),
            processes.PROGRAM_VARIABLE: program.name,
        }
        identity: dict[str, Any] = {}
        folder: Path = PROJECT
        if program.kind == POSTGRES and self.postgres is not None:
            identity, folder = self.postgres.identity(), Path("/")
            needed = {"PATH", "BACKOFFICE_HOME", processes.PROGRAM_VARIABLE}  # and none of our keys
            environment = {k: v for k, v in environment.items() if k in needed}
            self._postgres_ready = False
        try:
            shared = self._shared_address() if program.door is not None else None
            with self._log_path(program).open("ab") as output:
                one.process = subprocess.Popen(
                    program.command if shared is None else (*program.command, "--socket", str(shared)),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env=environment,
                    start_new_session=True,
                    pass_fds=() if shared is None else (shared,),
                    **identity,
                )
        except OSError as error:
            log.error("%s не запускается: %s", program.title, error)
            self._note_death(one, f"не запускается: {error}")
            return
        one.pid = one.process.pid
        one.created = processes.started_at(one.pid)
        one.begun, one.begun_at = time.monotonic(), datetime.now(UTC)
        one.state = "running"
        log.info("%s (%s) запущен, pid %s", program.name, program.title, one.pid)
        self._write_status()

    def _shared_address(self) -> int:
        """Return the number of the socket that all API servers serve; it outlives each of them."""
        if self._address is None:
            self._address = bound(self.places.host, self.places.port)
        return self._address.fileno()

    def _kill_hanging(self, watchdog: Watchdog) -> None:
        """Kill what lives and does not work; it comes back as any program that died."""
        working = [one for one in self.watched.values() if one.pid is not None]
        for name, why in watchdog.look([Seen(w.program, w.pid or 0, w.begun_at) for w in working]):
            one = self.watched[name]
            log.error("%s (%s) жив, но не работает: %s. Убиваем, чтобы начать заново.", name, one.program.title, why)
            self._signal(one, signal.SIGKILL)

    # --- deaths -----------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Collect every dead child: programs, and the orphans that fell to us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for one in self.watched.values():
                if one.pid == pid:
                    self._died(one, os.waitstatus_to_exitcode(status))

    def _died(self, one: Watched, code: int) -> None:
        how = f"убит сигналом {signal.Signals(-code).name}" if code < 0 else f"завершился с кодом {code}"
        self._forget_process(one, code)
        if self.stopping:
            one.state = "stopped"
            return
        self._remains(one)
        if time.monotonic() - one.begun >= STEADY:
            one.in_a_row = 0
        self._note_death(one, how)
        self._end_rows([one.program])

    @staticmethod
    def _forget_process(one: Watched, code: int) -> None:
        if one.process is not None:
            one.process.returncode = code  # we waited for it ourselves
        one.process = None

    def _note_death(self, one: Watched, how: str) -> None:
        now = time.monotonic()
        one.pid, one.created = None, None
        one.deaths += 1
        one.in_a_row += 1
        one.recent.append(now)
        one.last_exit, one.last_death = how, datetime.now(UTC).isoformat(timespec="seconds")
        delay = delay_after(one.in_a_row)
        one.start_at, one.state = now + delay, "backoff"
        log.warning("%s %s; снова через %.1f с (смертей: %s)", one.program.name, how, delay, one.deaths)
        in_a_minute = len(one.recent) == MANY and now - one.recent[0] <= 60
        if (in_a_minute or one.in_a_row >= MANY) and one.trouble is None:
            one.trouble = (
                f"Программа «{one.program.name}» ({one.program.title}) умерла {MANY} раз подряд, "
                f"последний раз: {how}. Причина в журнале {self._log_path(one.program)}. "
                f"Попытки продолжаются, не чаще раза в {LONGEST_DELAY:.0f} с."
            )
            log.error(one.trouble)

    def _remains(self, one: Watched) -> bool:
        """Kill what a dead program left behind; True while something of it still lives."""
        leader = one.pid if one.pid is not None else -1
        data = self.places.postgres if one.program.kind == POSTGRES else None
        mains = [w.pid for w in self.watched.values() if w.pid is not None and w is not one]
        for _ in range(20):
            found = processes.remains_of(leader, folder=data, mains=mains)
            if not found:
                self._reap()
                return False
            log.info("Убираем остатки %s: %s", one.program.name, sorted(p.pid for p in found))
            processes.kill(found)
            self._reap()
            time.sleep(0.02)
        return True

    def _end_rows(self, programs: Sequence[Program]) -> None:
        died_at = datetime.now(UTC)
        if any(program.job_type for program in programs):
            threading.Thread(target=self._end_rows_now, args=(programs, died_at), daemon=True).start()

    def _end_rows_now(self, programs: Sequence[Program], died_at: datetime, attempts: int = 120) -> None:
        for program in programs:
            for _ in range(attempts if program.job_type else 0):
                try:
                    jobs, triggers = end_jobs(
                        self.airflow_url,
                        job_type=str(program.job_type),
                        hostname=hostname_of(program.replica),
                        died_at=died_at,
                    )
                except psycopg.Error as error:
                    log.debug("Запись %s в таблице job пока не закрыта: %s", program.name, error)
                    time.sleep(0.5)
                    continue
                if jobs:
                    log.info("%s: закрыто записей job %s, освобождено ожиданий %s", program.name, jobs, triggers)
                break

    # --- stopping ---------------------------------------------------------------------------------

    def _shut_down(self) -> None:
        """Stop the programs together, and the database when nobody needs it any more."""
        log.info("Останавливаемся.")
        if self._address is not None:
            self._address.close()
        self._stop([w for w in self.watched.values() if w.program.kind != POSTGRES])
        if self.postgres is None or self.watched[POSTGRES].pid is not None:
            self._end_rows_now([w.program for w in self.watched.values()], datetime.now(UTC), attempts=3)
        self._stop([w for w in self.watched.values() if w.program.kind == POSTGRES])
        for one in self.watched.values():
            one.state = "stopped"
        self._write_status()
        log.info("Надзор окончен.")

    def _stop(self, group: list[Watched]) -> None:
        for one in group:
            self._signal(one, one.program.stop_signal)
        until = time.monotonic() + max((w.program.patience for w in group), default=0)
        while any(w.pid is not None and w.process is not None for w in group) and time.monotonic() < until:
            self._reap()
            time.sleep(0.05)
        for one in group:
            if one.process is not None:
                log.warning("%s не остановился сам: убит.", one.program.name)
                self._signal(one, signal.SIGKILL)
            self._remains(one)
            one.pid = one.created = None

    def _signal(self, one: Watched, number: signal.Signals) -> None:
        if one.process is not None and one.pid is not None:
            try:
                os.kill(one.pid, number)
            except ProcessLookupError:
                self._reap()

    # --- telling ----------------------------------------------------------------------------------

    def _log_path(self, program: Program) -> Path:
        return self.places.logs / f"{program.name}.log"

    def _mind_logs(self) -> None:
        """Keep two generations of each log; programs append, so a truncated file just grows again."""
        for one in self.watched.values():
            path = self._log_path(one.program)
            if path.exists() and path.stat().st_size > MOST_LOG_BYTES:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)

    def _write_status(self) -> None:
        for one in self.watched.values():
            if one.pid is not None and time.monotonic() - one.begun >= STEADY:
                one.in_a_row, one.trouble = 0, None
        status = {
            "supervisor": {"pid": os.getpid(), "created": processes.started_at(os.getpid())},
            "home": str(self.places.home),
            "host": self.places.host,
            "port": self.places.port,
            "stopping": self.stopping,
            "programs": {
                name: {
                    "state": one.state,
                    "title": one.program.title,
                    "replica": one.program.replica,
                    "door": one.program.door,
                    "pid": one.pid,
                    "created": one.created,
                    "deaths": one.deaths,
                    "last_exit": one.last_exit,
                    "last_death": one.last_death,
                    "trouble": one.trouble,
                    "log": str(self._log_path(one.program)),
                }
                for name, one in self.watched.items()
            },
        }
        text = json.dumps(status, ensure_ascii=False, indent=1)
        if text != self._written:
            draft = self.places.status_file.with_suffix(".new")
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.places.status_file)
            self._written = text
