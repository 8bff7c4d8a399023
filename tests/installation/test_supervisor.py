"""The supervisor with small programs of its own: no database, no Airflow."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from include.installation.installation import free_port
from include.installation.places import PROJECT, Places
from include.installation.supervisor import LONGEST_DELAY, delay_after

pytestmark = pytest.mark.unit

DRIVER = """
import logging, sys, json
from pathlib import Path
from include.installation import supervisor
from include.installation.places import Places
from include.installation.programs import Program
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
home, delay, table = Path(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3])
supervisor.FIRST_DELAY = delay
places = Places(home, port=int(sys.argv[4]))
programs = [
    Program(
        name, name, (sys.executable, "-c", code), needs_postgres=False, patience=2,
        door=places.door(number) if "--socket" in code else None,
    )
    for number, (name, code) in enumerate(table.items(), 1)
]
supervisor.Supervisor(places, programs, airflow_url="", postgres=None).run()
"""
SLEEPS = "import time; time.sleep(600)"
DIES = "raise SystemExit(3)"
#: Leaves a child that has left for a session of its own, as PostgreSQL's backends and Airflow's tasks do.
WITH_CHILD = (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
    "time.sleep(600)"
)
#: Answers each connection at the shared address with its pid, as an API server does.
SERVES = """
import os, socket, sys, time
assert sys.argv[1] == "--socket"
time.sleep({pause})
shared = socket.socket(fileno=int(sys.argv[2]))
shared.listen()
while True:
    caller, _ = shared.accept()
    caller.sendall(str(os.getpid()).encode())
    caller.close()
"""
Start = Callable[..., "Supervised"]


class Supervised:
    """A running supervisor and what it says."""

    def __init__(self, home: Path, table: dict[str, str], delay: float) -> None:
        self.places = Places(home, port=free_port())
        self.places.create()
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(home), str(delay), json.dumps(table), str(self.places.port)],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stderr=(self.places.logs / "supervisor.log").open("ab"),
            start_new_session=True,
        )

    def program(self, name: str) -> dict[str, Any]:
        try:
            status = json.loads(self.places.status_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"pid": None, "state": "", "deaths": 0, "trouble": None}
        found: dict[str, Any] = status["programs"][name]
        return found

    def wait(self, ready: Callable[[], object], seconds: float = 10) -> float:
        begun = time.monotonic()
        while not ready():
            assert time.monotonic() - begun < seconds, (self.places.logs / "supervisor.log").read_text()
            time.sleep(0.02)
        return time.monotonic() - begun

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Supervised] = []

    def run(table: dict[str, str], delay: float = 0.3) -> Supervised:
        running.append(Supervised(tmp_path, table, delay))
        return running[-1]

    yield run
    for one in running:
        one.stop()


def test_the_delay_grows_and_is_never_longer_than_a_minute() -> None:
    delays = [delay_after(n) for n in range(1, 30)]
    assert sum(delays[:4]) < 5
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY


def test_a_killed_program_is_back_at_once(start: Start) -> None:
    one = start({"a": SLEEPS})
    one.wait(lambda: one.program("a")["pid"])
    old = one.program("a")["pid"]
    os.kill(old, signal.SIGKILL)
    assert one.wait(lambda: one.program("a")["pid"] not in {None, old}) < 2
    assert "SIGKILL" in one.program("a")["last_exit"]


@pytest.mark.skipif(sys.platform != "linux", reason="a child subreaper exists on Linux only")
def test_what_a_dead_program_leaves_is_killed_before_it_comes_back(start: Start) -> None:
    one = start({"a": WITH_CHILD, "b": WITH_CHILD})
    one.wait(lambda: one.program("a")["pid"] and one.program("b")["pid"])
    a, b = (psutil.Process(one.program(name)["pid"]) for name in "ab")
    one.wait(lambda: a.children() and b.children())
    orphan, neighbour = a.children()[0], b.children()[0]
    a.kill()
    one.wait(lambda: one.program("a")["pid"] not in {None, a.pid})
    assert not orphan.is_running()
    assert neighbour.is_running()
    one.stop()
    assert not neighbour.is_running()


def answer(places: Places) -> int:
    """Ask at the shared address; returns the pid of whoever answers."""
    with socket.create_connection((places.host, places.port), timeout=5) as caller:
        return int(caller.recv(20))


def test_servers_share_an_address_that_outlives_each_of_them(start: Start) -> None:
    one = start({"a": SERVES.format(pause=0), "b": SERVES.format(pause=0)}, delay=1.0)
    one.wait(lambda: one.program("a")["pid"] and one.program("b")["pid"])
    pids = {one.program(name)["pid"] for name in "ab"}
    one.wait(lambda: serves(one.places) in pids)
    for name in "ab":
        other = one.program("b" if name == "a" else "a")["pid"]
        os.kill(one.program(name)["pid"], signal.SIGKILL)
        one.wait(lambda name=name: one.program(name)["pid"] is None)
        assert {answer(one.places) for _ in range(20)} == {other}
        one.wait(lambda name=name: one.program(name)["pid"])
    assert one.program("b")["door"] == one.places.door(2)


def test_a_frozen_server_is_given_no_new_callers(start: Start) -> None:
    one = start({"a": SERVES.format(pause=0), "b": SERVES.format(pause=0)})
    one.wait(lambda: one.program("a")["pid"] and one.program("b")["pid"])
    one.wait(lambda: serves(one.places))
    frozen = one.program("a")["pid"]
    os.kill(frozen, signal.SIGSTOP)
    one.wait(lambda: serves(one.places) == one.program("b")["pid"])  # the other may have begun only now
    assert {answer(one.places) for _ in range(20)} == {one.program("b")["pid"]}
    os.kill(frozen, signal.SIGCONT)


def test_the_address_refuses_while_no_server_is_ready(start: Start) -> None:
    one = start({"a": SERVES.format(pause=600)})
    one.wait(lambda: one.program("a")["pid"])
    assert serves(one.places) is None


def serves(places: Places) -> int | None:
    try:
        return answer(places)
    except (ConnectionRefusedError, TimeoutError):
        return None


def test_five_deaths_give_one_message_and_no_giving_up(start: Start) -> None:
    one = start({"bad": DIES, "good": SLEEPS}, delay=0.05)
    one.wait(lambda: one.program("bad")["trouble"])
    bad, good = one.program("bad"), one.program("good")
    assert bad["deaths"] == 5
    assert bad["state"] == "backoff"
    assert "bad" in bad["trouble"]
    assert "5 раз" in bad["trouble"]
    assert "кодом 3" in bad["trouble"]
    assert str(one.places.logs / "bad.log") in bad["trouble"]
    assert good["trouble"] is None
    assert (one.places.logs / "supervisor.log").read_text().count("5 раз") == 1


def test_a_held_program_stays_down_until_released(start: Start) -> None:
    one = start({"a": SLEEPS})
    one.wait(lambda: one.program("a")["pid"])
    hold = one.places.hold_folder / "a"
    hold.touch()
    os.kill(one.program("a")["pid"], signal.SIGKILL)
    one.wait(lambda: one.program("a")["state"] == "held")
    time.sleep(1)
    assert one.program("a")["pid"] is None
    hold.unlink()
    one.wait(lambda: one.program("a")["pid"])


def test_a_program_that_ignores_the_stop_is_killed(start: Start) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True)"
    one = start({"deaf": f"{deaf}; {SLEEPS}"})
    log = one.places.logs / "deaf.log"
    one.wait(lambda: log.exists() and "ready" in log.read_text())
    process = psutil.Process(one.program("deaf")["pid"])
    one.stop()
    assert not process.is_running()
    assert one.program("deaf")["state"] == "stopped"
