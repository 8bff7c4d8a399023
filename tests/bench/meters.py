"""Meters from outside: CPU and memory of the programs from /proc, the callback backlog, sampling profiles."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

Cpu = dict[str, float]
RUNNER = " (исполнитель)"
#: What every stack goes through says nothing.
PLUMBING = ("runpy", "commands/", "cli/", "utils/cli.py", "airflow/__main__.py", "threading.py", "futures/", "asyncio/")
PROFILED = ("scheduler", "triggerer", "api-server", "engine")


def trees(pids: Mapping[str, int]) -> dict[str, list[psutil.Process]]:
    """Return each program's processes; the triggerer's runner is a line of its own."""
    found: dict[str, list[psutil.Process]] = {}
    for name, pid in pids.items():
        head = psutil.Process(pid)
        children = head.children(recursive=True)
        if name.startswith("triggerer"):
            found[name] = [head]
            found[name + RUNNER] = children
        else:
            found[name] = [head, *children]
    return found


def cpu_seconds(pids: Mapping[str, int]) -> Cpu:
    """Return the CPU seconds that each program has used so far, with those of its ended children."""
    return {name: sum(map(_cpu_of, processes)) for name, processes in trees(pids).items()}


def _cpu_of(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def spent(before: Cpu, after: Cpu) -> Cpu:
    """Return what was used between two readings."""
    return {name: max(0.0, value - before.get(name, 0.0)) for name, value in after.items()}


def pss_kb(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the proportional memory of each program with its children."""
    return {name: float(sum(map(_pss_of, processes))) for name, processes in trees(pids).items()}


def _pss_of(process: psutil.Process) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


@dataclass
class Backlog:
    """How many callback requests lay in Airflow's database, sampled."""

    largest: int = 0
    left: int = 0


@contextlib.contextmanager
def watched_backlog(url: str, every: float = 0.25) -> Iterator[Backlog]:
    """Sample the callback backlog while the block runs."""
    seen, over = Backlog(), threading.Event()

    def sample() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while True:
                last = over.is_set()
                row = connection.execute("SELECT count(*) FROM callback WHERE bundle_name IS NOT NULL").fetchone()
                seen.left = int(row[0]) if row else 0
                seen.largest = max(seen.largest, seen.left)
                if last:
                    return
                over.wait(every)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(10)


# --- profiles ---------------------------------------------------------------------------------------------------


@dataclass
class Profile:
    """py-spy beside some programs; ``text`` tells the top functions after ``stop``."""

    folder: Path
    rate: int = 100
    running: dict[str, tuple[subprocess.Popen[bytes], Path]] = field(default_factory=dict)

    def start(self, pids: Mapping[str, int], kinds: Iterable[str] = PROFILED) -> None:
        """Begin to sample the busiest process of each program of the kinds."""
        spy = py_spy()
        if spy is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, processes in trees(pids).items():
            if not name.startswith(tuple(kinds)) or not processes:
                continue
            busiest = max(processes, key=_cpu_of)
            kept = self.folder / f"{name.replace(' ', '_')}.txt"
            arguments = ["-p", str(busiest.pid), "-d", "3600", "-r", str(self.rate), "-f", "raw", "-o", str(kept)]
            process = subprocess.Popen(
                [spy, "record", "--nonblocking", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self.running[name] = (process, kept)

    def stop(self, top: int = 12) -> str:
        """End the sampling; return the top functions of each program by own and by total time."""
        if not self.running:
            return "профиль не снят: нет py-spy (tests/bench/requirements.txt)"
        for process, _ in self.running.values():
            process.send_signal(2)  # py-spy writes its file at Ctrl-C
        text = []
        for name, (process, kept) in self.running.items():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            text.append(f"{name} (занятые сэмплы по {1000 // self.rate} мс):\n{_top(kept, top)}")
        return "\n\n".join(text)


def py_spy() -> str | None:
    """Return the profiler's path: the one of this environment, else any."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def _top(kept: Path, top: int) -> str:
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    samples = 0
    lines = kept.read_text(encoding="utf-8", errors="replace").splitlines() if kept.exists() else []
    for line in lines:
        stack, _, times = line.rpartition(" ")
        frames = [_short(frame) for frame in stack.split(";") if not frame.startswith("process ")]
        if not frames or not times.isdecimal():
            continue
        samples += int(times)
        own[frames[-1]] += int(times)
        for frame in set(frames):
            total[frame] += int(times)
    if not samples:
        return "  нет сэмплов"
    text = [f"  всего {samples}", "  своё время:"]
    text += [f"  {100 * count / samples:5.1f} %  {frame}" for frame, count in own.most_common(top)]
    text.append("  со всем вызванным:")
    telling = [(frame, count) for frame, count in total.most_common() if not any(part in frame for part in PLUMBING)]
    text += [f"  {100 * count / samples:5.1f} %  {frame}" for frame, count in telling[: 3 * top]]
    return "\n".join(text)


def _short(frame: str) -> str:
    """Shorten ``function (a/long/path/file.py:12)`` to the function and the last two parts of its path."""
    name, _, place = frame.partition(" (")
    path = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    return f"{name} ({'/'.join(Path(path).parts[-2:])})" if path else name


def idle_cpu(pids: Mapping[str, int], seconds: float) -> Cpu:
    """Return each program's CPU in points of one core over a quiet stretch."""
    before = cpu_seconds(pids)
    begun = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    return {name: 100 * value / took for name, value in spent(before, cpu_seconds(pids)).items()}
