"""Where an installation keeps its things and at which ports it answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.installation.errors import InstallationError

PROJECT = Path(__file__).resolve().parents[2]

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080

#: Every other port is the address's port plus one of these.
WORKER_LOG_OFFSET = 1
TRIGGER_LOG_OFFSET = 2
POSTGRES_OFFSET = 3
#: Where several API servers share the address, the first also answers here, the second one port higher …
DOOR_OFFSET = 11


@dataclass(frozen=True)
class Places:
    """The folders, files and ports of one installation; two installations share none of them."""

    home: Path
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Places:
        """Read BACKOFFICE_HOME, BACKOFFICE_HOST and BACKOFFICE_PORT."""
        values = os.environ if environment is None else environment
        home = Path(values.get("BACKOFFICE_HOME") or PROJECT / ".backoffice").expanduser()
        if not home.is_absolute():
            home = PROJECT / home
        text = values.get("BACKOFFICE_PORT") or str(DEFAULT_PORT)
        if not text.isdecimal() or not 1024 <= int(text) <= 65000:
            msg = f"BACKOFFICE_PORT={text!r} не годится: нужен номер порта от 1024 до 65000, например 8080."
            raise InstallationError(msg)
        return cls(home.resolve(), values.get("BACKOFFICE_HOST") or DEFAULT_HOST, int(text))

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.home / "airflow"

    @property
    def postgres(self) -> Path:
        """The data folder of the embedded PostgreSQL."""
        return self.home / "postgres"

    @property
    def logs(self) -> Path:
        """One log file per program, and Airflow's task logs."""
        return self.home / "logs"

    @property
    def secrets(self) -> Path:
        """Keys and passwords, one per file, readable by the owner only."""
        return self.home / "secrets"

    @property
    def exchange(self) -> Path:
        """The folders through which 1C files come in."""
        return self.home / "exchange" / "1c"

    @property
    def files(self) -> Path:
        """Documents and attachments."""
        return self.home / "files"

    @property
    def backups(self) -> Path:
        """Where `make backup` puts its dated folders unless it is told another place."""
        return self.home / "backups"

    @property
    def unfinished_restore(self) -> Path:
        """Stands here while `make restore` is at work; left behind, the data is not whole."""
        return self.home / "restore-unfinished"

    @property
    def run(self) -> Path:
        """What lives only while the installation runs: status, locks, holds."""
        return self.home / "run"

    @property
    def status_file(self) -> Path:
        """What the supervisor last said about its programs."""
        return self.run / "status.json"

    @property
    def hold_folder(self) -> Path:
        """A file named as a program here keeps the supervisor from starting it."""
        return self.run / "hold"

    @property
    def postgres_port(self) -> int:
        """The port of the embedded PostgreSQL, on 127.0.0.1 only."""
        return self.port + POSTGRES_OFFSET

    def door(self, replica: int) -> int:
        """Tell the port at which one of several API servers answers alone, on 127.0.0.1 only."""
        return self.port + DOOR_OFFSET + replica - 1

    @property
    def local_host(self) -> str:
        """The address by which this machine itself reaches the API server."""
        return "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104

    @property
    def base_url(self) -> str:
        """The address to open in a browser."""
        return f"http://{self.local_host}:{self.port}"

    def create(self) -> None:
        """Create the folders; the home itself only lets others pass through (PostgreSQL's own user must)."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o711)
        for folder in (
            self.airflow,
            self.logs,
            self.secrets,
            self.files,
            self.run,
            self.hold_folder,
            *(self.exchange / name for name in ("incoming", "done", "failed")),
        ):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.airflow, self.logs, self.secrets, self.files, self.run):
            folder.chmod(0o700)
