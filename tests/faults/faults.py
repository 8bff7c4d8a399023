"""The fault catalogue: what can happen to a running office, each fault an object that strikes and mends.

Whatever is chosen at random is chosen by the given generator, so the same seed is the same sequence.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any, ClassVar

import psutil
import psycopg

from include.installation.programs import AIRFLOW_PROGRAMS, ENGINE
from include.shared.clock import CLOCK_CHANNEL
from include.shared.work import CHANGES_CHANNEL
from tests.faults.courses import Live
from tests.faults.office import LISTENERS, FaultOffice, Unavailable, healthy

PROGRAMS = tuple(AIRFLOW_PROGRAMS)
#: Tasks with a step behind them: marking such a step leaves the run with something to refuse.
MARKABLE = ("quote", "needed", "send", "draft")


@dataclass
class Fault:
    """A fault with its Latin name and Russian title; ``lasts`` seconds pass between its strike and its end."""

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    lasts: float = 1.0
    rng: Random = field(default_factory=Random)
    lives: list[Live] = field(default_factory=list)

    def skipped(self, _office: FaultOffice) -> str | None:
        """Say why the fault cannot happen here, None when it can."""
        return None

    def strike(self, office: FaultOffice) -> None:
        """Let it happen."""
        raise NotImplementedError

    def mend(self, office: FaultOffice) -> None:
        """End it, and wait until what it took down stands again."""
        healthy(office.installation)


def family(office: FaultOffice, program: str) -> list[psutil.Process]:
    """Return a program's processes, its own first."""
    pid = office.installation.program_pid(program)
    if pid is None:
        return []
    with suppress(psutil.Error):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []


def send(found: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to processes that may be gone already."""
    for one in found:
        with suppress(psutil.Error):
            one.send_signal(number)


@dataclass
class Killed(Fault):
    """A program dies as by a crash; the supervisor brings it back."""

    program: ClassVar[str] = ""
    number: ClassVar[signal.Signals] = signal.SIGKILL

    def strike(self, office: FaultOffice) -> None:
        """Kill its first replica, and only it."""
        send(family(office, self.program)[:1], self.number)

    def mend(self, office: FaultOffice) -> None:
        """Wait for its successor."""
        office.forget_connections()
        healthy(office.installation)


@dataclass
class KilledAll(Killed):
    """Every replica of a program dies at once."""

    def strike(self, office: FaultOffice) -> None:
        """Kill all of them."""
        for one in office.programs(self.program):
            send(family(office, one)[:1], self.number)


@dataclass
class Gone(Fault):
    """One of two dies and stays away for a while; the other one goes on."""

    program: ClassVar[str] = ""
    lasts: float = 6.0

    def strike(self, office: FaultOffice) -> None:
        """Kill it and keep it down."""
        office.installation.hold(self.program)

    def mend(self, office: FaultOffice) -> None:
        """Let it come back."""
        office.installation.release(self.program)
        healthy(office.installation)


@dataclass
class Frozen(Fault):
    """A program stands still (SIGSTOP) and goes on later, as on an overloaded or suspended machine."""

    program: ClassVar[str] = ""
    lasts: float = 60.0
    _stopped: list[psutil.Process] = field(default_factory=list)
    _timer: Timer | None = None

    def strike(self, office: FaultOffice) -> None:
        """Stop its processes; they go on by themselves, because whoever waits for them cannot wake them."""
        self._stopped = family(office, self.program)
        self._timer = Timer(self.lasts, send, (self._stopped, signal.SIGCONT))
        self._timer.daemon = True
        self._timer.start()
        send(self._stopped, signal.SIGSTOP)

    def mend(self, office: FaultOffice) -> None:
        """Wait until it goes on."""
        assert self._timer is not None
        self._timer.join()
        send(self._stopped, signal.SIGCONT)
        healthy(office.installation)


@dataclass
class CutListeners(Fault):
    """The server cuts the listening connections: notifications sent meanwhile reach nobody."""

    listeners: ClassVar[tuple[str, ...]] = LISTENERS

    def strike(self, office: FaultOffice) -> None:
        """End the sessions in the database."""
        with psycopg.connect(office.installation.admin_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ANY(%s)",
                (list(self.listeners),),
            )


@dataclass
class HalfOpenListeners(Fault):
    """The connection stands but nothing comes through it: the server's side of it is stopped, no error is seen."""

    listeners: ClassVar[tuple[str, ...]] = LISTENERS
    lasts: float = 60.0
    _stopped: list[psutil.Process] = field(default_factory=list)

    def skipped(self, office: FaultOffice) -> str | None:
        """The server must be ours."""
        return None if office.installation.postgres is not None else "сервер базы не наш"

    def strike(self, office: FaultOffice) -> None:
        """Stop the sessions' processes."""
        with psycopg.connect(office.installation.admin_url) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE application_name = ANY(%s)"
            pids = [pid for (pid,) in connection.execute(query, (list(self.listeners),)).fetchall()]
        with suppress(psutil.Error):
            self._stopped = [psutil.Process(pid) for pid in pids]
        send(self._stopped, signal.SIGSTOP)

    def mend(self, office: FaultOffice) -> None:
        """Let them go on."""
        send(self._stopped, signal.SIGCONT)
        super().mend(office)


@dataclass
class EverythingDown(Fault):
    """All programs but the database are down; what happens meanwhile is written by services alone."""

    lasts: float = 3.0

    def strike(self, office: FaultOffice) -> None:
        """Hold every program."""
        for kind in PROGRAMS:
            for one in office.programs(kind):
                office.installation.hold(one)

    def mend(self, office: FaultOffice) -> None:
        """Start them."""
        office.installation.release()
        healthy(office.installation)


@dataclass
class DoubledEvent(Fault):
    """Events that have been relayed are delivered again, and again."""

    lasts: float = 2.0

    def strike(self, office: FaultOffice) -> None:
        """Put the last events of every case back."""
        office.command(
            "UPDATE outbox_event SET state = 'pending', done_at = NULL WHERE state = 'done' AND id > "
            " (SELECT coalesce(max(id), 0) - 200 FROM outbox_event)"
        )
        office.command(f"SELECT pg_notify('{CHANGES_CHANNEL}', '{{\"cases\": [], \"events\": true}}')")

    def mend(self, office: FaultOffice) -> None:
        """Do it once more: the third delivery."""
        self.strike(office)


@dataclass
class DoubledNotice(Fault):
    """Every wait is told to look, many times over."""

    lasts: float = 2.0

    def strike(self, office: FaultOffice) -> None:
        """Say "look" twenty times, and that the clock has moved."""
        for _ in range(20):
            office.command(f'SELECT pg_notify(\'{CHANGES_CHANNEL}\', \'{{"cases": "all", "events": true}}\')')
            office.command(f"SELECT pg_notify('{CLOCK_CHANNEL}', 'moved')")


@dataclass
class DoubledActs(Fault):
    """Everything that people send arrives twice at the same moment."""

    lasts: float = 3.0

    def strike(self, office: FaultOffice) -> None:
        """From now on twice."""
        office.twice = True

    def mend(self, office: FaultOffice) -> None:
        """From now on once."""
        office.twice = False


@dataclass
class FullDisk(Fault):
    """No byte more can be written to a folder."""

    lasts: float = 4.0
    folder: ClassVar[str] = ""

    def skipped(self, office: FaultOffice) -> str | None:
        """The folder must be a small file system of its own."""
        return office.no_small_disks

    def strike(self, office: FaultOffice) -> None:
        """Fill it to the last byte."""
        fill(self._ballast(office))

    def mend(self, office: FaultOffice) -> None:
        """Make room."""
        self._ballast(office).unlink(missing_ok=True)

    def _ballast(self, office: FaultOffice) -> Path:
        return office.installation.places.home / self.folder / "ballast"


def fill(ballast: Path) -> None:
    """Write until nothing more fits."""
    with ballast.open("ab", buffering=0) as file:
        for size in (65536, 4096, 64, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)


@dataclass
class ClockJump(Fault):
    """The machine's clock is put wrong by two hours and, later, right again."""

    hours: ClassVar[int] = 0
    lasts: float = 4.0

    def strike(self, office: FaultOffice) -> None:
        """Jump."""
        office.jump(timedelta(hours=self.hours))

    def mend(self, office: FaultOffice) -> None:
        """Jump back."""
        office.jump(timedelta())


@dataclass
class ClockJumpWhileDown(EverythingDown):
    """Facts are written by a clock that is two hours ahead, and the programs start when it is right again."""

    def strike(self, office: FaultOffice) -> None:
        """Hold every program and jump."""
        super().strike(office)
        office.jump(timedelta(hours=2))

    def mend(self, office: FaultOffice) -> None:
        """Jump back and start them."""
        office.jump(timedelta())
        super().mend(office)


@dataclass
class OpsAct(Fault):
    """Ops do something to a run in Airflow."""

    lasts: float = 2.0
    chosen: Live | None = None
    step: str = ""
    path: str = ""

    def strike(self, office: FaultOffice) -> None:
        """Choose a waiting task of a live case and act on its step."""
        self.chosen = None
        for live in self.rng.sample(self.lives, len(self.lives)):
            found = office.rows(
                "SELECT i.process, i.run_id, s.step FROM step_state s JOIN process_instance i ON i.id = s.instance_id"
                " JOIN task t ON t.id = s.task_id AND t.state = 'open'"
                " WHERE s.case_id = :c AND s.state = 'waiting' AND i.state = 'live' AND i.left_at IS NULL"
                " AND s.step = ANY(:steps) ORDER BY s.id",
                c=live.case_id, steps=list(MARKABLE),
            )  # fmt: skip
            if found:
                self.chosen, self.step = live, found[0]["step"]
                self.path = f"/api/v2/dags/{found[0]['process']}/dagRuns/{found[0]['run_id']}"
                return self.act(office)
        raise NoCase(f"{self.name}: ни у кого нет открытой задачи")

    def act(self, office: FaultOffice) -> None:
        """Do it."""
        raise NotImplementedError

    def clear(self, office: FaultOffice) -> None:
        """Clear the step with all behind it: it joins again."""
        dag, run = self.path.split("/")[4], self.path.split("/")[6]
        body = {
            "dry_run": False, "dag_run_id": run, "task_ids": [self.step], "include_downstream": True,
            "only_failed": False, "reset_dag_runs": True,
        }  # fmt: skip
        office.call("ops", "POST", f"/api/v2/dags/{dag}/clearTaskInstances", body)

    def mend(self, office: FaultOffice) -> None:
        """Nothing to mend."""

    def state_of_step(self, office: FaultOffice) -> str:
        """Return how the business side sees the step."""
        query = (
            "SELECT s.state FROM step_state s JOIN process_instance i ON i.id = s.instance_id"
            " WHERE i.run_id = :run AND s.step = :step"
        )
        return str(office.rows(query, run=self.path.rsplit("/", 1)[1], step=self.step)[0]["state"])


class NoCase(AssertionError):
    """No live case stands where the fault needs one."""


@dataclass
class Cleared(OpsAct):
    """A waiting step is cleared: it joins the task that it has opened."""

    task: int = 0

    def act(self, office: FaultOffice) -> None:
        """Clear it."""
        self.task = self.open_task(office)
        self.clear(office)

    def mend(self, office: FaultOffice) -> None:
        """Once all is quiet the very same task is open."""
        office.rest()
        assert self.open_task(office) == self.task, "после очистки поставлена другая задача"

    def open_task(self, office: FaultOffice) -> int:
        """Return the open task of the step."""
        assert self.chosen is not None
        found = [one["id"] for one in office.open_tasks(self.chosen.case_id) if one["step"] == self.step]
        assert len(found) == 1, f"открытых задач шага {self.step}: {len(found)}"
        return int(found[0])


@dataclass
class Marked(OpsAct):
    """A waiting step is marked by hand: its task is withdrawn; a clear gives it anew."""

    state: ClassVar[str] = ""

    def act(self, office: FaultOffice) -> None:
        """Mark it."""
        office.call("ops", "PATCH", f"{self.path}/taskInstances/{self.step}", {"new_state": self.state})

    def mend(self, office: FaultOffice) -> None:
        """Wait until the business side has met the mark, then clear it."""
        wait_until(lambda: self.state_of_step(office) != "waiting", "отметка замечена")
        self.clear(office)
        wait_until(lambda: self.state_of_step(office) == "waiting", "шаг снова ждёт")


@dataclass
class Deleted(OpsAct):
    """A run is marked failed and deleted: its process is over, the case stays."""

    def act(self, office: FaultOffice) -> None:
        """Mark and delete it."""
        assert self.chosen is not None
        self.chosen.deleted = self.path.rsplit("/", 1)[1]
        office.call("ops", "PATCH", self.path, {"state": "failed"})
        wait_until(lambda: self.state_of_step(office) != "waiting", "прогон отмечен")
        office.call("admin", "DELETE", self.path)

    def mend(self, office: FaultOffice) -> None:
        """Wait until the instance has ended; the other processes of the case are left by a lost deal."""
        assert self.chosen is not None
        live, run = self.chosen, self.chosen.deleted
        query = "SELECT state, reason FROM process_instance WHERE run_id = :run AND case_id = :c"
        ended = {"state": "ended", "reason": "прогон удалён администратором"}
        wait_until(lambda: ended in office.rows(query, run=run, c=live.case_id), "заход оконченным")
        office.call("admin", "POST", f"/deals/{live.deal['id']}/stage", {"stage": "Сделка проиграна"})


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Wait for something that the office does in its own time."""
    until = time.monotonic() + seconds
    while True:
        with suppress(Unavailable):
            if holds():
                return
        assert time.monotonic() < until, f"не дождались: {what}"
        time.sleep(0.2)


def _kind(base: type[Any], name: str, title: str, **given: Any) -> type[Fault]:
    return type(name.title().replace("-", ""), (base,), {"name": name, "title": title, "__doc__": title, **given})


def _catalogue() -> Iterator[type[Fault]]:
    for one in PROGRAMS:
        yield _kind(Killed, f"kill-{one}", f"{one} убит", program=one)
    yield _kind(Killed, "kill-postgres", "PostgreSQL убит (kill -9)", program="postgres")
    yield _kind(Killed, "stop-postgres", "PostgreSQL остановлен немедленно", program="postgres", number=signal.SIGQUIT)
    for one in (ENGINE, "scheduler"):
        yield _kind(KilledAll, f"kill-all-{one}", f"убиты все {one}", program=one)
    for one in (ENGINE, "scheduler", "triggerer"):
        yield _kind(Gone, f"gone-{one}", f"один из двух {one} умер и не возвращается", program=one)
    for one in (*PROGRAMS, "postgres"):
        yield _kind(Frozen, f"freeze-{one}", f"{one} замер (SIGSTOP)", program=one)
    yield _kind(CutListeners, "cut-hub", "оборван LISTEN будильника", listeners=("backoffice-hub",))
    yield _kind(CutListeners, "cut-relay", "оборван LISTEN передатчика", listeners=LISTENERS[1:])
    yield _kind(HalfOpenListeners, "half-open", "LISTEN полуоткрыт: соединение есть, вестей нет")
    yield _kind(DoubledEvent, "double-event", "события переданы ещё раз")
    yield _kind(DoubledNotice, "double-notice", "уведомления базы повторены")
    yield _kind(DoubledActs, "double-acts", "каждое действие пришло дважды")
    yield _kind(EverythingDown, "everything-down", "работает только база")
    yield _kind(FullDisk, "full-files", "диск файлов полон", folder="files")
    yield _kind(FullDisk, "full-logs", "диск журналов полон", folder="logs")
    yield _kind(ClockJump, "clock-forward", "часы ушли на 2 ч вперёд и обратно", hours=2)
    yield _kind(ClockJump, "clock-back", "часы ушли на 2 ч назад и обратно", hours=-2)
    yield _kind(ClockJumpWhileDown, "clock-down", "всё записано часами, ушедшими вперёд; программы лежали")
    yield _kind(Cleared, "ops-clear", "администратор очистил шаг")
    for state in ("success", "failed", "skipped"):
        yield _kind(Marked, f"ops-{state}", f"администратор отметил шаг: {state}", state=state)
    yield _kind(Deleted, "ops-delete", "администратор удалил прогон")


CATALOGUE: dict[str, type[Fault]] = {one.name: one for one in _catalogue()}
