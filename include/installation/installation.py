"""One installation as an object: `make up` uses it, and so do the tests."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from include.installation import processes
from include.installation.airflow_settings import airflow_settings
from include.installation.errors import (
    InstallationError,
    NotHealthyError,
    PortTakenError,
    ProgramFailedError,
)
from include.installation.places import DEFAULT_HOST, DOOR_OFFSET, PROJECT, Places
from include.installation.ports import bound
from include.installation.postgres import EmbeddedPostgres, accepts
from include.installation.programs import POSTGRES, Program, program_table, replicas
from include.installation.secret_files import load_secrets
from include.installation.supervisor import Supervisor
from include.installation.urls import libpq, with_driver

Say = Callable[[str], None]
_EMBEDDED = "BACKOFFICE_EMBEDDED_POSTGRES"
_OUTSIDE = ("AIRFLOW_DATABASE_URL", "BACKOFFICE_DATABASE_URL")


def _silent(_text: str) -> None:
    pass


class Installation:
    """Everything that one BACKOFFICE_HOME holds and runs.

    Made in a test it is *owned*: its programs end with the process that made it, and its database does not
    survive a power cut (it is faster). `keep=True` is the product: it lives on by itself.
    """

    def __init__(
        self,
        home: Path,
        host: str = DEFAULT_HOST,
        port: int = 8080,
        *,
        clock: str = "virtual",
        extra_dags: Path | None = None,
        demo: bool = False,
        auth_manager: str | None = None,
        keep: bool = False,
        environment: Mapping[str, str] | None = None,
        say: Say = _silent,
    ) -> None:
        """Describe the installation; nothing on disk is touched yet."""
        self.places = Places(Path(home).resolve(), host, port)
        self.clock = clock
        self.extra_dags = extra_dags
        self.demo = demo
        self.auth_manager = auth_manager
        self.keep = keep
        self.outer = dict(os.environ if environment is None else environment)
        self.say = say
        self._supervisor: subprocess.Popen[bytes] | None = None
        # Our own programs are given the embedded server's addresses, too; the marker tells them apart.
        outside = keep and self.outer.get(_EMBEDDED) != "yes"
        self._given = [self.outer.get(name) or None for name in _OUTSIDE] if outside else [None, None]
        if clock not in {"real", "virtual"}:
            msg = f"BACKOFFICE_CLOCK={clock!r} не годится: бывает real (настоящее время) или virtual (учебное)."
            raise InstallationError(msg)
        if clock == "virtual" and self.outer.get("BACKOFFICE_ENV") == "production":
            msg = "Виртуальные часы (BACKOFFICE_CLOCK=virtual) запрещены при BACKOFFICE_ENV=production."
            raise InstallationError(msg)
        if any(self._given) and not all(self._given):
            msg = "Своя база данных задаётся двумя адресами: BACKOFFICE_DATABASE_URL и AIRFLOW_DATABASE_URL."
            raise InstallationError(msg)

    @classmethod
    def from_environment(cls, say: Say = _silent, *, keep: bool = True) -> Installation:
        """Describe the product's installation as the environment asks for it."""
        places = Places.from_environment()
        extra = os.environ.get("BACKOFFICE_EXTRA_DAGS")
        if not os.environ.get("BACKOFFICE_PORT"):
            # `make doctor` after `BACKOFFICE_PORT=9000 make up` means the installation that runs.
            running = cls(places.home, places.host, places.port, clock="real", keep=False)
            if running.supervisor_alive():
                status = running.status()
                places = Places(places.home, status["host"], status["port"])
        return cls(
            places.home,
            places.host,
            places.port,
            clock=os.environ.get("BACKOFFICE_CLOCK") or "real",
            extra_dags=Path(extra).resolve() if extra else None,
            demo=os.environ.get("BACKOFFICE_DEMO", "yes") != "no",
            auth_manager=os.environ.get("BACKOFFICE_AUTH_MANAGER") or None,
            keep=keep,
            say=say,
        )

    # --- addresses and environment ----------------------------------------------------------------

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Keys and passwords, made on the first use."""
        self.places.create()
        return load_secrets(self.places.secrets)

    @property
    def embedded(self) -> bool:
        """Tell whether the database server is ours, without touching its secrets."""
        return not all(self._given)

    @cached_property
    def postgres(self) -> EmbeddedPostgres | None:
        """The embedded server; None when the databases are given from outside."""
        if all(self._given):
            return None
        return EmbeddedPostgres(self.places, password=self.secrets["postgres_password"], durable=self.keep)

    def _database_url(self, name: str, given: str | None, driver: str) -> str:
        if given:
            return with_driver(given, driver)
        server = self.postgres
        assert server is not None  # noqa: S101 - either given or embedded
        return with_driver(server.url(name, name, self.secrets[f"{name}_database_password"]), driver)

    @property
    def airflow_database_url(self) -> str:
        """Airflow's database, as SQLAlchemy wants it."""
        return self._database_url("airflow", self._given[0], "psycopg2")

    @property
    def backoffice_database_url(self) -> str:
        """The business database, as SQLAlchemy wants it."""
        return self._database_url("backoffice", self._given[1], "psycopg")

    @property
    def admin_url(self) -> str:
        """The embedded server's superuser (libpq address): tests create databases with it."""
        if self.postgres is None:
            msg = "Сервер базы данных задан снаружи: администратора у нас нет."
            raise InstallationError(msg)
        return self.postgres.url()

    @property
    def base_url(self) -> str:
        """The address of the pages and the API."""
        return self.places.base_url

    def env(self, *, command_line: bool = False) -> dict[str, str]:
        """Return the environment of the programs.

        Airflow adds plugins/ to its path itself, and a second spelling would make two modules of one file;
        only one-off commands (`command_line`) get it from us, because Airflow does not start them.
        """
        strangers = ("AIRFLOW", "BACKOFFICE_", "PYTHONPATH", "PYTHONHOME")
        environment = {k: v for k, v in self.outer.items() if not k.startswith(strangers)}
        passed = ("BACKOFFICE_", "AIRFLOW__METRICS__")  # where metrics go is asked for with Airflow's own settings
        environment |= {k: v for k, v in self.outer.items() if k.startswith(passed)}
        environment |= airflow_settings(
            self.places,
            secrets=self.secrets,
            airflow_database_url=self.airflow_database_url,
            backoffice_database_url=self.backoffice_database_url,
            auth_manager=self.auth_manager,
            extra_dags=self.extra_dags,
        )
        environment |= {
            "BACKOFFICE_HOME": str(self.places.home),
            "BACKOFFICE_HOST": self.places.host,
            "BACKOFFICE_PORT": str(self.places.port),
            "BACKOFFICE_DATABASE_URL": self.backoffice_database_url,
            "AIRFLOW_DATABASE_URL": self.airflow_database_url,
            "BACKOFFICE_SECRET": self.secrets["backoffice_secret"],
            "BACKOFFICE_BASE_URL": self.base_url,
            "BACKOFFICE_CLOCK": self.clock,
            "BACKOFFICE_DEMO": "yes" if self.demo else "no",
            "PYTHONPATH": os.pathsep.join([str(PROJECT), *([str(PROJECT / "plugins")] if command_line else [])]),
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",
        }
        environment[_EMBEDDED] = "no" if self.postgres is None else "yes"
        environment.pop(processes.PROGRAM_VARIABLE, None)
        return environment

    # --- phases -----------------------------------------------------------------------------------

    def start_postgres_only(self) -> None:
        """Start the embedded server (under the supervisor) with both databases, empty, and nothing else."""
        self._start_supervisor()
        server = self.postgres
        if server is None:
            return
        if not self._wait(lambda: accepts(server.url(), timeout=1), 60, 0.05):
            msg = f"PostgreSQL не отвечает.\n{self.log_tail(POSTGRES)}"
            raise NotHealthyError(msg)
        server.create_databases({name: self.secrets[f"{name}_database_password"] for name in ("airflow", "backoffice")})

    def migrate(self) -> None:
        """Bring both databases to the present scheme."""
        self.command("airflow", "db", "migrate", title="Схема базы Airflow")
        self.command("alembic", "-c", "alembic.ini", "upgrade", "head", title="Схема базы бэк-офиса")
        self.command("include.reference", title="Справочники")
        self.command("backoffice.nudge", "install", title="Подсказка планировщику")

    def prepare(self) -> None:
        """Start the database and migrate it; with `demo`, load the demo company too."""
        self.start_postgres_only()
        self.migrate()
        if self.demo:
            self.command("include.demo", title="Демонстрационная компания")

    def start(self) -> None:
        """Start the programs; `wait_healthy` tells when they are ready."""
        self._start_supervisor()
        self.release()

    def wait_healthy(self, timeout: float = 180) -> None:
        """Wait until the pages answer and Airflow calls all its parts healthy."""
        begun = told = time.monotonic()
        missing: list[str] = []
        while time.monotonic() - begun < timeout:
            missing = self.unhealthy()
            if not missing:
                return
            if not self.supervisor_alive():
                msg = f"Надзор завершился.\n{self.log_tail('supervisor')}"
                raise NotHealthyError(msg)
            self._raise_trouble()
            if time.monotonic() - told >= 5:
                told = time.monotonic()
                self.say(f"   … {told - begun:.0f} с, ждём: {', '.join(missing)}")
            time.sleep(0.5)
        raise NotHealthyError(self._why_unhealthy(missing, timeout))

    def _raise_trouble(self) -> None:
        """Do not wait for a program that dies again and again: say at once why."""
        for name, one in self.status().get("programs", {}).items():
            if one["trouble"]:
                msg = f"{one['trouble']}\n{self.log_tail(name)}"
                raise NotHealthyError(msg)

    def _why_unhealthy(self, missing: list[str], timeout: float) -> str:
        programs = self.status().get("programs", {})
        guilty = [name for name, one in programs.items() if one["state"] not in {"running", "held"} or one["deaths"]]
        guilty = guilty or [name for name in missing if name in programs] or ["api-server"]
        tails = "\n".join(self.log_tail(name) for name in guilty[:2])
        return f"За {timeout:.0f} с не готовы: {', '.join(missing)}.\n{tails}"

    def unhealthy(self) -> list[str]:
        """Name what is not healthy yet."""
        code, body = self._get("/api/v2/monitor/health")
        if code != 200:
            return ["api-server"]
        parts = json.loads(body)
        names = {"scheduler": "scheduler", "triggerer": "triggerer", "dag_processor": "dag-processor"}
        missing = [name for key, name in names.items() if (parts.get(key) or {}).get("status") != "healthy"]
        programs = self.status().get("programs", {})
        missing += [n for n, one in programs.items() if one["state"] != "running" and n not in missing]
        missing += [n for n in self.silent_servers() if n not in missing]
        if self.auth_manager is None and self._get("/backoffice/login")[0] != 200:
            missing.append("страницы /backoffice/")
        return missing

    def silent_servers(self) -> list[str]:
        """Name the API servers behind the shared address that run and do not answer at their own door."""
        return [
            name
            for name, one in self.status().get("programs", {}).items()
            if one.get("door") and one["pid"]
            if self._get("/api/v2/version", f"http://127.0.0.1:{one['door']}")[0] != 200
        ]

    def _get(self, path: str, server: str | None = None) -> tuple[int, bytes]:
        try:
            address = (server or self.base_url) + path
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own address
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, b""
        except (OSError, ValueError):
            return 0, b""

    def stop(self) -> list[str]:
        """Stop what this installation started, its supervisor dead or alive; return the names of it."""
        status = self.status()
        stopped = [name for name, one in status.get("programs", {}).items() if one.get("pid")]
        supervisor = status.get("supervisor", {})
        pid, created = supervisor.get("pid"), supervisor.get("created")
        if processes.is_same(pid, created):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            processes.wait_gone(pid, created, 75)
        if self._supervisor is not None:
            self._supervisor.poll()
        recorded = {
            one["pid"]: one["created"]
            for one in status.get("programs", {}).values()
            if one.get("pid") and one["created"]
        }
        if processes.is_same(pid, created):
            recorded[pid] = created
        left = processes.of_installation(self.places.home, recorded, self.places.postgres)
        servers = [p for p in left if _is_postgres(p)]
        processes.end([p for p in left if p not in servers], patience=15)
        for server in servers:  # SIGINT is PostgreSQL's "fast" stop; SIGTERM would wait for its clients
            with contextlib.suppress(Exception):
                server.send_signal(signal.SIGINT)
        processes.end([p for p in servers if not _gone_within(p, 15)], patience=5)
        if not recorded and not left:
            stopped = []
        self.places.status_file.unlink(missing_ok=True)
        return stopped

    # --- single programs --------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return what the supervisor last wrote; empty when it never ran."""
        try:
            status: dict[str, Any] = json.loads(self.places.status_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return status

    def supervisor_alive(self) -> bool:
        """Tell whether our supervisor runs."""
        one = self.status().get("supervisor", {})
        return processes.is_same(one.get("pid"), one.get("created"))

    def program_pid(self, name: str) -> int | None:
        """Return the pid of a running program."""
        one = self.status().get("programs", {}).get(name) or {}
        return one["pid"] if processes.is_same(one.get("pid"), one.get("created")) else None

    def kill(self, name: str) -> int:
        """Kill a program as a crash would (SIGKILL); the supervisor brings it back. Returns the dead pid."""
        return self._send(name, signal.SIGKILL)

    def restart(self, name: str, timeout: float = 60) -> int:
        """Let a program end in good order and wait for its successor; returns the new pid."""
        old = self._send(name, signal.SIGINT if name == POSTGRES else signal.SIGTERM)
        return self.wait_program(name, other_than=old, timeout=timeout)

    def _send(self, name: str, number: signal.Signals) -> int:
        pid = self.program_pid(name)
        if pid is None:
            msg = f"Программа {name} сейчас не работает."
            raise InstallationError(msg)
        os.kill(pid, number)
        return pid

    def wait_program(self, name: str, *, other_than: int | None = None, timeout: float = 60) -> int:
        """Wait until the program runs (again) and return its pid."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            pid = self.program_pid(name)
            if pid is not None and pid != other_than:
                return pid
            time.sleep(0.05)
        msg = f"Программа {name} не запустилась за {timeout:.0f} с.\n{self.log_tail(name)}"
        raise NotHealthyError(msg)

    def hold(self, name: str, *, number: signal.Signals = signal.SIGKILL) -> None:
        """Stop a program and keep it down until `release`."""
        (self.places.hold_folder / name).touch()
        pid = self.program_pid(name)
        if pid is not None:
            os.kill(pid, number)
            self._wait(lambda: self.program_pid(name) != pid, 30, 0.05)

    def release(self, name: str | None = None) -> None:
        """Let the supervisor start a held program; without a name, all of them."""
        held = self.places.hold_folder.glob("*") if name is None else [self.places.hold_folder / name]
        for file in held:
            file.unlink(missing_ok=True)

    def log_tail(self, name: str, lines: int = 25) -> str:
        """Return the end of a program's log with its path."""
        path = self.places.logs / f"{name}.log"
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - 20_000))
                text = file.read().decode("utf-8", "replace").splitlines()[-lines:]
        except FileNotFoundError:
            text = ["(журнала ещё нет)"]
        return "\n".join([f"--- {path}", *text])

    # --- helpers ----------------------------------------------------------------------------------

    def command(self, module: str, *arguments: str, title: str = "") -> str:
        """Run `python -m module …` to its end with our environment and return what it printed."""
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.env(command_line=True),
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-40:])
            msg = f"{title or module}: ошибка (python -m {module} {' '.join(arguments)}).\n{output}"
            raise ProgramFailedError(msg)
        if title:
            self.say(f"   {title}: готово за {time.monotonic() - begun:.0f} с")
        return done.stdout

    def ports(self) -> dict[int, str]:
        """Name every port that we listen on."""
        needed = {self.places.port: "страницы и API"}
        needed |= {one.door: "один из серверов страниц" for one in self.programs() if one.door is not None}
        if self.postgres is not None:
            needed[self.places.postgres_port] = "база данных"
        return needed

    def check_ports(self) -> None:
        """Refuse, before anything starts, when somebody else listens on a port of ours."""
        for port, purpose in self.ports().items():
            host = self.places.host if port == self.places.port else "127.0.0.1"
            try:
                bound(host, port).close()
            except OSError as error:
                msg = (
                    f"Порт {port} ({purpose}) на {host} занять нельзя: {error.strerror or error}. "
                    f"Выберите другой: BACKOFFICE_PORT={self.places.port + 100} make up "
                    "(все остальные порты отсчитываются от него)."
                )
                raise PortTakenError(msg) from error

    def _start_supervisor(self) -> None:
        """Start the supervisor with everything but the database held, unless it already runs."""
        if self.supervisor_alive():
            return
        self.stop()  # leftovers of a killed supervisor
        self.check_ports()
        self.places.create()
        if self.postgres is not None:
            self.postgres.prepare()
        for program in self.programs():
            if program.kind != POSTGRES:
                (self.places.hold_folder / program.name).touch()
        arguments = [] if self.keep else ["--parent", str(os.getpid()), "--throw-away"]
        with (self.places.logs / "supervisor.log").open("ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "include.installation", "supervise", *arguments],
                env=self.env(),
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if not self._wait(self.supervisor_alive, 20, 0.02):
            msg = f"Надзор не запустился.\n{self.log_tail('supervisor')}"
            raise NotHealthyError(msg)

    def programs(self) -> list[Program]:
        """List what the supervisor is to keep alive, as REPLICAS asks for."""
        command = self.postgres.command() if self.postgres is not None else None
        return program_table(self.places, postgres_command=command, counts=replicas(self.outer.get("REPLICAS")))

    def supervise(self, parent: int | None) -> None:
        """Be the supervisor (its own process runs this)."""
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
        Supervisor(
            self.places,
            self.programs(),
            airflow_url=libpq(self.airflow_database_url),
            postgres=self.postgres,
            parent=parent,
        ).run()

    @staticmethod
    def _wait(ready: Callable[[], bool], seconds: float, step: float) -> bool:
        until = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > until:
                return False
            time.sleep(step)
        return True

    def __enter__(self) -> Installation:
        """Give the installation itself; leaving the block stops it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.stop()


def _is_postgres(process: Any) -> bool:
    with contextlib.suppress(Exception):
        return bool(process.name().startswith("postgres"))
    return False


def _gone_within(process: Any, seconds: float) -> bool:
    with contextlib.suppress(Exception):
        process.wait(seconds)
        return True
    return False


def free_port() -> int:
    """Find a port with room for all of an installation's ports (for tests)."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind((DEFAULT_HOST, 0))
            port = int(probe.getsockname()[1])
        if port < 60000 and all(_is_free(port + offset) for offset in (*range(4), DOOR_OFFSET, DOOR_OFFSET + 1)):
            return port
    msg = "Нет свободных портов."
    raise InstallationError(msg)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((DEFAULT_HOST, port))
        except OSError:
            return False
    return True
