"""Operating system processes: who is who, who belongs to a program, and how they are ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

#: Marks every process that the supervisor starts; children inherit it.
PROGRAM_VARIABLE = "BACKOFFICE_PROGRAM"
_PR_SET_CHILD_SUBREAPER = 36
_MOST_FILES = 262_144


def become_subreaper() -> None:
    """Make orphans of our programs our own children (Linux): none is lost when its parent is killed."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def raise_file_limit() -> None:
    """Allow as many open files as the system lets us: the triggerer keeps a log open per waiting step."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def started_at(pid: int) -> float | None:
    """Return when the process was created: with the pid it names a process for ever."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def is_same(pid: int | None, created: float | None) -> bool:
    """Tell whether this very process (not another with its number) still runs."""
    if pid is None or created is None:
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def session_of(pid: int) -> int | None:
    """Return the session of a process; each program is the leader of its own."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def living() -> Iterator[psutil.Process]:
    """Walk over all processes except zombies."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process


def remains_of(leader: int, *, folder: Path | None, mains: Iterable[int]) -> list[psutil.Process]:
    """Find what a dead program left: its session, what fell to us as orphans, and PostgreSQL's own children.

    `mains` are the living programs; `folder` is PostgreSQL's data folder, where its backends work.
    """
    alive = set(mains)
    ours = os.getpid()
    found = []
    for process in living():
        if process.pid in alive or process.pid == ours:
            continue
        session = session_of(process.pid)
        with contextlib.suppress(psutil.Error):
            orphan = process.ppid() == ours and session not in alive and session != session_of(ours)
            if session == leader or orphan or (folder is not None and _works_in(process, folder)):
                found += [process, *process.children(recursive=True)]
    return found


def of_installation(home: Path, recorded: dict[int, float], data: Path) -> list[psutil.Process]:
    """Find every process that this installation started, also when its supervisor is gone.

    `recorded` are the programs (pid → creation time) that the supervisor last wrote down.
    """
    mine, own = [], {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in living():
        if process.pid in own:
            continue
        with contextlib.suppress(psutil.Error):
            if _belongs(process, home, recorded, data):
                mine.append(process)
    children = []
    for process in mine:
        with contextlib.suppress(psutil.Error):
            children += process.children(recursive=True)
    return [p for p in {*mine, *children} if p.pid not in own]


def _belongs(process: psutil.Process, home: Path, recorded: dict[int, float], data: Path) -> bool:
    created = process.create_time()
    known = recorded.get(process.pid)
    if known is not None and abs(known - created) < 1:
        return True
    leader = recorded.get(session_of(process.pid) or 0)
    if leader is not None and created >= leader - 1:
        return True
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        environment = {}
    if environment.get("BACKOFFICE_HOME") == str(home) and PROGRAM_VARIABLE in environment:
        return True
    return _works_in(process, data)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name().startswith("postgres") and process.cwd() == str(folder)
    except (psutil.Error, OSError):
        return False


def end(found: Iterable[psutil.Process], *, patience: float) -> list[psutil.Process]:
    """Ask the processes to end, and kill those that did not in time; return what still lives."""
    targets = list(found)
    for process in targets:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(targets, timeout=patience)
    kill(alive)
    _, alive = psutil.wait_procs(alive, timeout=5)
    return list(alive)


def kill(found: Iterable[psutil.Process]) -> None:
    """Kill without asking."""
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)


def wait_gone(pid: int, created: float | None, seconds: float) -> bool:
    """Wait until this very process is gone."""
    until = time.monotonic() + seconds
    while is_same(pid, created):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
