"""The table of programs that make up the running back office."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from include.installation.errors import InstallationError
from include.installation.places import PROJECT, Places

POSTGRES = "postgres"
ENGINE = "engine"


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
    #: Where this API server alone answers; it also serves the address that it shares with its twins.
    door: int | None = None
    needs_postgres: bool = True
    stop_signal: signal.Signals = signal.SIGTERM
    #: Seconds it may take to stop before it is killed.
    patience: float = 15
    extra_environment: Mapping[str, str] = field(default_factory=dict)


def _airflow(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "include.installation.airflow_program", *arguments)


def _api_server_at(door: int) -> tuple[str, ...]:
    return (sys.executable, "-m", "include.installation.api_server", "--door", str(door))


#: kind → (title, job type, command). Task logs are files that the API server of one machine reads itself,
#: so no log servers are started: they would listen on every address.
AIRFLOW_PROGRAMS: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "api-server": ("сервер страниц и API", None, _airflow("api-server")),
    "scheduler": ("планировщик", "SchedulerJob", _airflow("scheduler", "--skip-serve-logs")),
    "dag-processor": ("чтение процессов", "DagProcessorJob", _airflow("dag-processor")),
    ENGINE: ("двигатель процессов", None, (sys.executable, "-m", "backoffice.engine")),
    "triggerer": ("ожидания операторов Airflow", "TriggererJob", _airflow("triggerer", "--skip-serve-logs")),
}


#: What a plain REPLICAS=2 doubles: one dag-processor reads all files, a second would only read them again.
REPLICATED = tuple(kind for kind in AIRFLOW_PROGRAMS if kind != "dag-processor")
MOST_REPLICAS = 9


def replicas(text: str | None) -> dict[str, int]:
    """Read REPLICAS: `2` (of everything that answers people or moves cases) or `scheduler=2,triggerer=2`."""
    counts = dict.fromkeys(AIRFLOW_PROGRAMS, 1)
    for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
        name, named, number = part.rpartition("=")
        known = name in counts if named else part == (text or "").strip()
        if not known or not number.isdecimal() or not 1 <= int(number) <= MOST_REPLICAS:
            msg = (
                f"REPLICAS: не понимаю {part!r}. Пишите число от 1 до {MOST_REPLICAS} (REPLICAS=2) или по именам: "
                f"scheduler=2,triggerer=2; бывают: {', '.join(counts)}."
            )
            raise InstallationError(msg)
        counts |= dict.fromkeys([name] if named else REPLICATED, int(number))
    return counts


def _path_of(kind: str) -> dict[str, str]:
    """Airflow's own programs add plugins/ to their path themselves, ours is told."""
    return {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "plugins")])} if kind == ENGINE else {}


def program_table(
    places: Places, *, postgres_command: list[str] | None, counts: Mapping[str, int] | None = None
) -> list[Program]:
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
    for kind, number in (counts or replicas(None)).items():
        title, job_type, command = AIRFLOW_PROGRAMS[kind]
        for replica in range(1, number + 1):
            door = places.door(replica) if kind == "api-server" and number > 1 else None
            table.append(
                Program(
                    kind if replica == 1 else f"{kind}-{replica}",
                    title,
                    command if door is None else _api_server_at(door),
                    kind=kind,
                    replica=replica,
                    job_type=job_type,
                    door=door,
                    extra_environment={"BACKOFFICE_REPLICA": str(replica), **_path_of(kind)},
                )
            )
    return table
