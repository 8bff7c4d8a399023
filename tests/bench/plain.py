"""The baseline: a plain Airflow at its defaults with the same chain in HITL operators and deferrable sensors."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import requests

from include.installation.airflow_settings import SIMPLE_AUTH_MANAGER
from include.installation.installation import Installation, free_port
from include.installation.places import PROJECT
from include.installation.programs import AIRFLOW_PROGRAMS, ENGINE
from tests.bench.database import Database
from tests.bench.stand import AT_ONCE, LOOK_EVERY, WALKABLE, TooSlow, clean_environment

PATIENCE = 1200.0
#: An answer within about half a second of the parking fails the task (an open fault of Airflow 3.3).
PARKED_FOR = 1.5


class PlainInstallation(Installation):
    """Airflow's four programs under our supervisor, with nothing of ours in them."""

    def env(self, *, command_line: bool = False) -> dict[str, str]:
        """Return Airflow's defaults; what is set here says only where things are, and parallelism = cores."""
        ours = {k: v for k, v in super().env(command_line=command_line).items() if k.startswith("BACKOFFICE_")}
        kept = {k: v for k, v in self.outer.items() if not k.startswith(("AIRFLOW", "BACKOFFICE_", "PYTHON"))}
        empty = self.places.home / "nothing"
        empty.mkdir(exist_ok=True)
        return {
            **kept,
            **ours,
            "AIRFLOW_DATABASE_URL": self.airflow_database_url,
            "AIRFLOW_HOME": str(self.places.airflow),
            "AIRFLOW__CORE__PARALLELISM": str(os.cpu_count() or 1),
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "plain_dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(empty),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__FERNET_KEY": self.secrets["fernet_key"],
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.places.base_url}/execution/",
            "AIRFLOW__API__HOST": self.places.host,
            "AIRFLOW__API__PORT": str(self.places.port),
            "AIRFLOW__API__BASE_URL": self.places.base_url,
            "AIRFLOW__API__SECRET_KEY": self.secrets["api_secret_key"],
            "AIRFLOW__API_AUTH__JWT_SECRET": self.secrets["jwt_secret"],
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.airflow_database_url,
            "SCARF_ANALYTICS": "false",
            "PYTHONPATH": str(PROJECT),
            "PYTHONUTF8": "1",
        }

    def start(self) -> None:
        """Start Airflow's own programs only."""
        self._start_supervisor()
        for name in AIRFLOW_PROGRAMS:
            if name != ENGINE:
                self.release(name)

    def unhealthy(self) -> list[str]:
        """Name what is not healthy yet; our engine is meant to be down."""
        return [name for name in super().unhealthy() if name != ENGINE]

    def migrate(self) -> None:
        """Bring only Airflow's database to its scheme."""
        self.command("airflow", "db", "migrate", title="Схема базы Airflow")


class Plain:
    """The baseline's side of the bench; the same acts as `Stand`."""

    title = "база"

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = Database(home / "database", free_port())
        self.port = free_port()
        self.installation: PlainInstallation | None = None
        self.http = requests.Session()
        self.http.trust_env = False
        self.random = random.Random(20261122)
        self.filled = 0

    def start(self) -> None:
        """Start database and programs."""
        os.environ["REPLICAS"] = ""
        self.database.start()
        urls = {
            "BACKOFFICE_DATABASE_URL": self.database.url("backoffice"),
            "AIRFLOW_DATABASE_URL": self.database.url("airflow"),
        }
        made = self.installation = PlainInstallation(
            self.home / "office",
            port=self.port,
            clock="real",
            keep=True,
            auth_manager=SIMPLE_AUTH_MANAGER,
            environment=clean_environment() | urls,
        )
        made.prepare()
        made.start()
        made.wait_healthy(300)
        self._until(lambda: self._get("/api/v2/dags/plain_chain") is not None, "процесс базы не разобран", every=1)

    def stop(self) -> None:
        """Stop programs and database."""
        if self.installation is not None:
            self.installation.stop()
        self.database.stop()

    def pids(self) -> dict[str, int]:
        """Return the programs' pids, the database's too."""
        assert self.installation is not None
        programs = self.installation.status()["programs"]
        return {**{name: one["pid"] for name, one in programs.items() if one["pid"]}, "postgres": self.database.pid}

    @property
    def airflow_url(self) -> str:
        """Airflow's database, for the backlog meter."""
        return self.database.url("airflow")

    def _headers(self) -> dict[str, str]:
        assert self.installation is not None
        token = self.http.get(f"{self.installation.base_url}/auth/token", timeout=60)
        return {"authorization": f"Bearer {token.json()['access_token']}"}

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        assert self.installation is not None
        if "authorization" not in self.http.headers:
            self.http.headers.update(self._headers())
        answer = self.http.request(method, f"{self.installation.base_url}{path}", json=body, timeout=120)
        if answer.status_code == 401:
            self.http.headers.update(self._headers())
            answer = self.http.request(method, f"{self.installation.base_url}{path}", json=body, timeout=120)
        return answer

    def _get(self, path: str) -> Any:
        answer = self._call("GET", path)
        return answer.json() if answer.ok else None

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read Airflow's database."""
        with psycopg.connect(self.airflow_url, autocommit=True) as connection:
            return connection.execute(query, values or None).fetchall()

    def waiting(self) -> int:
        """Count the runs parked in a human step."""
        return int(self.rows("SELECT count(*) FROM task_instance WHERE state = 'awaiting_input'")[0][0])

    def fill(self, number: int) -> float:
        """Start runs until ``number`` wait; returns the seconds it took."""
        begun = time.monotonic()
        for _ in range(self.filled, number):
            self._trigger()
        self.filled = max(self.filled, number)
        self._until(lambda: self.waiting() >= number, "прогоны базы не встали в ожидание", every=0.5, patience=3600)
        return time.monotonic() - begun

    def _trigger(self) -> str:
        answer = self._call("POST", "/api/v2/dags/plain_chain/dagRuns", {"logical_date": None})
        answer.raise_for_status()
        return str(answer.json()["dag_run_id"])

    def settle_down(self, seconds: float = 10) -> None:
        """Wait until no worker runs, then some seconds more."""
        busy = "SELECT 1 FROM task_instance WHERE state IN ('running', 'queued', 'scheduled') LIMIT 1"
        self._until(lambda: not self.rows(busy), "база не успокоилась", every=0.5)
        time.sleep(seconds)

    def walk(self, number: int) -> list[float]:
        """Answer one step after another; returns the seconds until each run's next human step was parked."""
        took = []
        with psycopg.connect(self.airflow_url, autocommit=True) as eye:
            for run, step in self._choose(number):
                time.sleep(PARKED_FOR)
                self._answer(run, step)
                took.append(self._until_parked(eye, run, _next(step)))
        return took

    def begin(self, number: int) -> list[float]:
        """Start new runs one after another; returns the seconds until the first human step was parked."""
        took = []
        with psycopg.connect(self.airflow_url, autocommit=True) as eye:
            for _ in range(number):
                took.append(self._until_parked(eye, self._trigger(), "t01"))
                self.filled += 1
        return took

    def burst(self, number: int) -> tuple[int, float, float]:
        """Answer many steps at once; returns how many, and the seconds until all were answered, and until
        all next ones were parked."""
        time.sleep(PARKED_FOR)
        chosen = self._choose(number)
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda one: self._answer(*one), chosen))
        answered = time.monotonic() - begun
        wanted = [f"{run}/{_next(step)}" for run, step in chosen]
        query = (
            "SELECT count(*) FROM task_instance WHERE state = 'awaiting_input' AND run_id || '/' || task_id = ANY(%s)"
        )
        self._until(lambda: self.rows(query, wanted)[0][0] >= len(chosen), "очередь базы не разобрана", every=0.1)
        return len(chosen), answered, time.monotonic() - begun

    def _choose(self, number: int) -> list[tuple[str, str]]:
        query = "SELECT run_id, task_id FROM task_instance WHERE state = 'awaiting_input' AND task_id = ANY(%s)"
        found = sorted(
            ((str(run), str(step)) for run, step in self.rows(query, list(WALKABLE))), key=lambda one: one[1]
        )
        least = found[: max(number, len(found) // 2)]
        return self.random.sample(least, min(number, len(least)))

    def _answer(self, run: str, step: str) -> None:
        path = f"/api/v2/dags/plain_chain/dagRuns/{run}/taskInstances/{step}/-1/hitlDetails"
        answer = self._call("PATCH", path, {"chosen_options": ["Готово"], "params_input": {}})
        answer.raise_for_status()

    def _until_parked(self, eye: psycopg.Connection[Any], run: str, step: str) -> float:
        begun = time.monotonic()
        query = "SELECT 1 FROM task_instance WHERE run_id = %s AND task_id = %s AND state = 'awaiting_input'"
        while eye.execute(query, [run, step]).fetchone() is None:
            self._patient(begun, f"шаг {step} базы не открылся")
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


def _next(step: str) -> str:
    return f"t{int(step[1:]) + 1:02}"
