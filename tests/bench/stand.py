"""The stand: one installation of the product whose cases wait in the chain of processes/bench_chain.py."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from include.deals import services as deals
from include.deals.models import DealField, Funnel, Stage
from include.installation.installation import Installation, free_port
from include.shared.work import Actor, reading, transaction
from include.staff import admin
from include.staff.services import Viewer, viewer
from include.tasks import services as tasks
from tests.bench.database import Database

FUNNEL, STAGES = "Стенд", ("Не обработан", "Работа", "Конец", "Сделка проиграна")
WALKABLE = tuple(f"t{n:02}" for n in range(1, 10))  # a task whose next step is a task, too
PEOPLE = 50
AT_ONCE = 4
LOOK_EVERY = 0.005
PAUSE = 0.3
PATIENCE = 600.0


class TooSlow(RuntimeError):
    """What was measured did not happen within the bench's patience."""


def clean_environment() -> dict[str, str]:
    """Return this process's environment without the settings of another installation."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "BACKOFFICE_"))}


class Stand:
    """Our side of the bench: fill with waiting cases, walk one step, burst, begin, kill."""

    title = "мы"

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = Database(home / "database", free_port())
        self.port = free_port()
        self.installation: Installation | None = None
        self.random = random.Random(20261122)
        self.filled = 0

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self, *, replicas: str = "", fsync_ms: int = 0) -> None:
        """Start database and programs; the first time with an empty company."""
        os.environ["REPLICAS"] = replicas
        self.database.start(fsync_ms)
        urls = {
            "BACKOFFICE_DATABASE_URL": self.database.url("backoffice"),
            "AIRFLOW_DATABASE_URL": self.database.url("airflow"),
        }
        made = self.installation = Installation(
            self.home / "office",
            port=self.port,
            clock="real",
            extra_dags=Path(__file__).parent / "processes",
            keep=True,  # the product as it is: durable, on the real clock
            environment=clean_environment() | urls,
        )
        os.environ["BACKOFFICE_DATABASE_URL"] = made.backoffice_database_url
        os.environ["BACKOFFICE_CLOCK"] = "real"
        made.prepare()
        made.start()
        made.wait_healthy(300)
        if not self.rows("SELECT 1 FROM funnel WHERE code = 'bench'"):
            self._settle()
        self.watcher = self._watcher()

    def stop(self) -> None:
        """Stop programs and database."""
        if self.installation is not None:
            self.installation.stop()
        self.database.stop()

    def pids(self) -> dict[str, int]:
        """Return the programs' pids, the database's too."""
        assert self.installation is not None
        programs = self.installation.status()["programs"]
        found = {name: one["pid"] for name, one in programs.items() if one["pid"]}
        return {**found, "postgres": self.database.pid}

    @property
    def airflow_url(self) -> str:
        """Airflow's database, for the backlog meter."""
        return self.database.url("airflow")

    def _settle(self) -> None:
        with transaction() as work:
            top = admin.add_department(work, "Стенд")
            for n in range(PEOPLE):
                person = admin.add_person(
                    work, last_name=f"Иванов{n}", first_name="Иван", middle_name="Иванович", department_id=top.id
                )
                if n == 0:
                    admin.set_account(work, person.id, "admin", "bench-2026", "admin")
            work.session.add(Funnel(code="bench", title=FUNNEL, position=99))
            work.session.flush()
            for position, title in enumerate(STAGES):
                kind = {"Конец": "won", "Сделка проиграна": "lost"}.get(title, "open")
                work.session.add(
                    Stage(funnel_code="bench", code=f"bench_{position}", title=title, position=position, kind=kind)
                )
            for code, title, kind in (
                ("emergency", "Экстренный случай", "bool"), ("ready_on", "Дата готовности", "datetime"),
            ):  # fmt: skip
                known = work.session.get(DealField, code)
                if known is None:
                    work.session.add(DealField(code=code, title=title, kind=kind, position=1))
                else:
                    known.funnel_code = None

    def _watcher(self) -> Viewer:
        with reading() as session:
            found = viewer(session, "admin")
        assert found is not None
        return found

    # --- what is there --------------------------------------------------------------------------------------------

    def rows(self, query: str, *values: Any, airflow: bool = False) -> list[tuple[Any, ...]]:
        """Read a database."""
        with self._eye(airflow=airflow) as eye:
            return eye.execute(query, values or None).fetchall()

    def _eye(self, *, airflow: bool = False) -> psycopg.Connection[Any]:
        return psycopg.connect(self.database.url("airflow" if airflow else "backoffice"), autocommit=True)

    def waiting(self) -> int:
        """Count the cases whose task is open and whose step is a deferred task in Airflow."""
        opened = self.rows("SELECT count(*) FROM task WHERE state = 'open' AND key LIKE 'bench_chain/%%'")[0][0]
        parked = self.rows(
            "SELECT count(*) FROM task_instance WHERE dag_id = 'bench_chain' AND state = 'deferred'", airflow=True
        )[0][0]
        return min(int(opened), int(parked))

    def fill(self, number: int) -> float:
        """Let cases enter the stage until ``number`` wait; returns the seconds it took."""
        begun = time.monotonic()
        missing = number - self.filled
        if missing > 0:
            people = [row[0] for row in self.rows("SELECT id FROM person ORDER BY id")]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda n: self._enter(people[n % len(people)], f"Фон {n}"), range(self.filled, number)))
            self.filled = number
        self._until(lambda: self.waiting() >= number, "дела не встали в ожидание", every=0.5, patience=3600)
        return time.monotonic() - begun

    def _enter(self, person: int, title: str) -> int:
        with transaction(Actor(person, "person")) as work:
            deal = deals.create_deal(work, title=title, funnel=FUNNEL, responsible_id=person)
            deals.move_stage(work, deal.id, "Работа")
            return deal.case_id

    def settle_down(self, seconds: float = 10) -> None:
        """Wait until nothing moves: no pending event, no callback, then some seconds more."""
        self._until(
            lambda: (
                not self.rows("SELECT 1 FROM outbox_event WHERE state = 'pending' LIMIT 1")
                and not self.rows("SELECT 1 FROM callback WHERE bundle_name IS NOT NULL LIMIT 1", airflow=True)
            ),
            "стенд не успокоился",
            every=0.5,
        )
        time.sleep(seconds)

    # --- what is measured -----------------------------------------------------------------------------------------

    def walk(self, number: int) -> list[float]:
        """Close one task after another; returns the seconds until each case's next waiting step was open."""
        took: list[float] = []
        with self._eye() as eye:
            while len(took) < number:  # few cases are walked several times: their p95 is that of as many steps
                chosen = self._choose(number - len(took))
                assert chosen, "не осталось дел, которые можно вести дальше"
                for case, task, _ in chosen:
                    self._close(task)
                    took.append(self._until_open(eye, case, task))
                    time.sleep(PAUSE)
        return took

    def begin(self, number: int) -> list[float]:
        """Let new cases enter one after another; returns the seconds until the first waiting step was open."""
        took = []
        with self._eye() as eye:
            for n in range(number):
                case = self._enter(self.watcher.person_id, f"Новое {n}")
                took.append(self._until_open(eye, case, 0))
                self.filled += 1
                time.sleep(PAUSE)
        return took

    def burst(self, number: int) -> tuple[int, float, float]:
        """Close many tasks at once; returns how many, and the seconds until all were closed, and until all
        next ones were open."""
        chosen = self._choose(number)
        last = self.rows("SELECT max(id) FROM task")[0][0]
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda one: self._close(one[1]), chosen))
        closed = time.monotonic() - begun
        query = "SELECT count(*) FROM task WHERE id > %s AND case_id = ANY(%s)"
        cases = [case for case, _, _ in chosen]
        self._until(lambda: self.rows(query, last, cases)[0][0] >= len(chosen), "очередь не разобрана", every=0.05)
        return len(chosen), closed, time.monotonic() - begun

    def deaf(self, program: str, cases: int) -> list[float]:
        """Kill a program; returns the seconds from the kill until each of some cases, closed at once, went on."""
        assert self.installation is not None
        chosen = self._choose(cases)
        last = self.rows("SELECT max(id) FROM task")[0][0]
        begun = time.monotonic()
        self.installation.kill(program)
        for _, task, _ in chosen:
            self._close(task)
        open_since: dict[int, float] = {}
        query = "SELECT DISTINCT case_id FROM task WHERE id > %s AND case_id = ANY(%s)"
        with self._eye() as eye:
            while len(open_since) < len(chosen):
                for (case,) in eye.execute(query, [last, [c for c, _, _ in chosen]]):
                    open_since.setdefault(case, time.monotonic() - begun)
                self._patient(begun, "после убийства дела не пошли дальше")
                time.sleep(0.02)
        self.installation.wait_program(program)
        return list(open_since.values())

    def _choose(self, number: int) -> list[tuple[int, int, str]]:
        query = (
            "SELECT case_id, id, step FROM task WHERE state = 'open' AND key LIKE 'bench_chain/%%' AND step = ANY(%s)"
        )
        found = [(int(case), int(task), str(step)) for case, task, step in self.rows(query, list(WALKABLE))]
        found.sort(key=lambda one: (one[2], one[1]))
        least = found[: max(number, len(found) // 2)]  # those that have the longest way before them
        return self.random.sample(least, min(number, len(least)))

    def _close(self, task: int) -> None:
        with transaction(self.watcher.actor) as work:
            tasks.close_task(work, self.watcher, task, {})

    def _until_open(self, eye: psycopg.Connection[Any], case: int, after: int) -> float:
        begun = time.monotonic()
        query = "SELECT 1 FROM task WHERE case_id = %s AND state = 'open' AND id > %s"
        while eye.execute(query, [case, after]).fetchone() is None:
            self._patient(begun, f"следующий шаг дела {case} не открылся")
            time.sleep(LOOK_EVERY)
        return time.monotonic() - begun

    def _until(self, ready: Any, said: str, *, every: float, patience: float = PATIENCE) -> None:
        begun = time.monotonic()
        while not ready():
            self._patient(begun, said, patience)
            time.sleep(every)

    @staticmethod
    def _patient(begun: float, said: str, patience: float = PATIENCE) -> None:
        if time.monotonic() - begun > patience:
            msg = f"{said} за {patience:.0f} с"
            raise TooSlow(msg)
