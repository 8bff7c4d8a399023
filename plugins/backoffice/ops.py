"""Where operations look from inside the pages: what is examined, and how the findings are kept for a moment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import psycopg
from airflow.configuration import conf

from backoffice import airflow_api, nudge, storage
from include.installation.doctor import folders, program_checks
from include.installation.installation import Installation
from include.installation.places import Places
from include.ops.checks_backoffice import broken_invariants
from include.ops.database import connect
from include.ops.examination import LOGS, Patient, examine
from include.ops.findings import Finding
from include.shared.db import libpq_url
from include.shared.errors import Conflict

FRESH_SECONDS = 5.0
#: The invariants read whole tables
INVARIANTS_SECONDS = 300.0


@dataclass
class _Kept:
    """Findings that several pages and the metrics may share: only one examination runs at a time."""

    seconds: float
    look: Callable[[], list[Finding]]
    found: list[Finding] = field(default_factory=list)
    looked_at: float | None = None
    lock: Lock = field(default_factory=Lock)

    def get(self) -> list[Finding]:
        """Return what is wrong, looking anew when the last look is too old."""
        with self.lock:
            if self.looked_at is None or time.monotonic() - self.looked_at > self.seconds:
                self.found = self.look()
                self.looked_at = time.monotonic()
            return self.found


def findings() -> list[Finding]:
    """Return what is wrong: the same as ``make doctor`` says, at most some seconds old (the invariants: minutes)."""
    return _now.get() + _invariants.get()


def forget() -> None:
    """Look anew at the next question."""
    _now.looked_at = _invariants.looked_at = None


def patient() -> Patient:
    """Return what is examined: the databases, and the disks as this program sees them."""
    return Patient(
        airflow_url=nudge.airflow_libpq_url(),
        backoffice_url=libpq_url(),
        triggerer_capacity=conf.getint("triggerer", "capacity", fallback=1000),
        folders=_folders(),
    )


def clear(process: str, run_id: str, steps: Collection[str], finished: Collection[str]) -> None:
    """Clear steps in Airflow for a retry; Conflict in words when that cannot be."""
    try:
        airflow_api.clear_steps(process, run_id, steps, finished)
    except airflow_api.CannotClear as refused:
        raise Conflict(str(refused)) from refused


def _folders() -> dict[str, Path]:
    found = folders(Places.from_environment(), storage.place())
    if not os.environ.get("BACKOFFICE_HOME"):  # not an installation of ours: only what Airflow itself tells
        found = {name: folder for name, folder in found.items() if name not in ("установка", "база данных")}
    logs = conf.get("logging", "base_log_folder", fallback="")
    return {**found, LOGS: Path(logs)} if logs else found


def _look() -> list[Finding]:
    return [*_programs(), *examine(patient(), deep=False)]


def _programs() -> list[Finding]:
    """Look at the programs of this machine when our supervisor runs them."""
    if not os.environ.get("BACKOFFICE_HOME") or not Places.from_environment().status_file.exists():
        return []
    return list(program_checks(Installation.from_environment()))


def _look_at_invariants() -> list[Finding]:
    try:
        with connect(libpq_url()) as connection:
            return list(broken_invariants(connection))
    except psycopg.Error:
        return []  # the examination of that database has said why


_now = _Kept(FRESH_SECONDS, _look)
_invariants = _Kept(INVARIANTS_SECONDS, _look_at_invariants)
