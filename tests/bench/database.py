"""The bench's own PostgreSQL: the product's server with the product's settings, on demand with a slow disk."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from statistics import median

import psycopg

from include.installation.places import Places
from include.installation.postgres import EmbeddedPostgres, wait_until_accepts

SHIM_SOURCE = Path(__file__).with_name("slow_fsync.c")
PASSWORD = "bench"


class NoCompiler(RuntimeError):
    """There is no C compiler, so the disk cannot be slowed down here."""


class Database:
    """One durable server with the databases of one Airflow; the bench starts it, because it may preload the shim."""

    def __init__(self, home: Path, port: int) -> None:
        self.places = Places(home, port=port)
        self.server = EmbeddedPostgres(self.places, password=PASSWORD, durable=True)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, fsync_ms: int = 0) -> None:
        """Start the server; each fsync takes ``fsync_ms`` longer than the disk itself needs."""
        self.places.create()
        self.server.prepare()
        environment = {"PATH": "/usr/bin:/bin"}
        if fsync_ms:
            environment |= {"LD_PRELOAD": str(self._shim()), "SLOW_FSYNC_MS": str(fsync_ms)}
        with (self.places.home / "postgres.log").open("ab") as output:
            self.process = subprocess.Popen(
                self.server.command(),
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self.server.identity(),
            )
        if not wait_until_accepts(self.server.url(), 60):
            msg = f"PostgreSQL стенда не отвечает, журнал: {self.places.home / 'postgres.log'}"
            raise RuntimeError(msg)
        self.server.create_databases({"airflow": PASSWORD, "backoffice": PASSWORD})

    def _shim(self) -> Path:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            msg = "нет компилятора C: медленный диск не сделать"
            raise NoCompiler(msg)
        made = self.places.home / "slow_fsync.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", made, SHIM_SOURCE, "-ldl"], check=True)
        made.chmod(0o755)
        return made

    def stop(self) -> None:
        """Stop the server in good order."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def url(self, database: str) -> str:
        """Return the libpq address of a database."""
        return self.server.url(database, database, PASSWORD)

    @property
    def pid(self) -> int:
        """The pid of the server."""
        if self.process is None:
            msg = "PostgreSQL стенда не запущен"
            raise RuntimeError(msg)
        return self.process.pid

    def commit_ms(self, times: int = 50) -> float:
        """Measure what one commit costs: it shows the slow disk at work."""
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS bench_commit (n int)")
            took = []
            for n in range(times):
                begun = time.perf_counter()
                connection.execute("INSERT INTO bench_commit VALUES (%s)", [n])
                took.append(1000 * (time.perf_counter() - begun))
        return median(took)
