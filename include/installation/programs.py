"""The table of programs that make up the running back office."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from include.installation.errors import InstallationError
from include.installation.places import Places

POSTGRES = "postgres"


@dataclass(frozen=True)
class Program:
    """One program under the supervisor."""

    name: str
    title: str
    command: tuple[str, ...]
    kind: str = ""
    replica: int = 1
    #: The type of its row in Airflow's table of jobs; a dead program's row is ended at once.
    job_type: str | None = None
    needs_postgres: bool = True
    stop_signal: signal.Signals = signal.SIGTERM
    #: Seconds it may take to stop before it is killed.
    patience: float = 15
    extra_environment: Mapping[str, str] = field(default_factory=dict)


def _airflow(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "airflow", *arguments)


#: kind → (title, job type, command). Task logs are files that the API server of one machine reads itself,
#: so no log servers are started: they would listen on every address.
AIRFLOW_PROGRAMS: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "api-server": ("сервер страниц и API", None, _airflow("api-server")),
    "scheduler": ("планировщик", "SchedulerJob", _airflow("scheduler", "--skip-serve-logs")),
    "dag-processor": ("чтение процессов", "DagProcessorJob", _airflow("dag-processor")),
    "triggerer": ("ожидания", "TriggererJob", _airflow("triggerer", "--skip-serve-logs")),
}


def replicas(text: str | None) -> dict[str, int]:
    """Read REPLICAS: `scheduler=2,triggerer=2`; whatever is not named runs once."""
    counts = dict.fromkeys(AIRFLOW_PROGRAMS, 1)
    for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
        name, _, number = part.partition("=")
        if name not in counts or not number.isdecimal() or not 1 <= int(number) <= 9:
            known = ", ".join(counts)
            msg = f"REPLICAS: не понимаю {part!r}. Пишите, например, scheduler=2,triggerer=2; бывают: {known}."
            raise InstallationError(msg)
        counts[name] = int(number)
    return counts


def program_table(places: Places, *, postgres_command: list[str] | None) -> list[Program]:
    """List the programs in the order in which they start."""
    table = []
    if postgres_command is not None:
        table.append(
            Program(
                POSTGRES,
                "база данных PostgreSQL",
                tuple(postgres_command),
                kind=POSTGRES,
                needs_postgres=False,
                stop_signal=signal.SIGINT,  # "fast": sessions are ended, data is written
                patience=30,
            )
        )
    for kind, number in replicas(os.environ.get("REPLICAS")).items():
        title, job_type, command = AIRFLOW_PROGRAMS[kind]
        for replica in range(1, number + 1):
            name = kind if replica == 1 else f"{kind}-{replica}"
            extra = {"BACKOFFICE_REPLICA": str(replica)}
            if kind == "api-server":
                extra["AIRFLOW__API__PORT"] = str(places.api_port(replica))
            table.append(
                Program(
                    name,
                    title,
                    command,
                    kind=kind,
                    replica=replica,
                    job_type=job_type,
                    extra_environment=extra,
                )
            )
    return table
