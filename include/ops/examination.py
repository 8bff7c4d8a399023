"""The examination of both databases and the disks: ``make doctor``, the ops page and the metrics call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from include.ops.checks_airflow import airflow_checks
from include.ops.checks_backoffice import backoffice_checks
from include.ops.checks_both import both_checks
from include.ops.database import Connection, connect
from include.ops.findings import Finding, finding
from include.ops.machine import machine_checks

FILES, LOGS, HOME, DATABASE = "файлы", "журналы", "установка", "база данных"


@dataclass(frozen=True)
class Patient:
    """What is examined: both databases (libpq addresses) and the folders that must not be full."""

    airflow_url: str
    backoffice_url: str
    triggerer_capacity: int
    folders: Mapping[str, Path] = field(default_factory=dict)


def examine(patient: Patient, *, deep: bool = True) -> list[Finding]:
    """Return what is wrong, the causes before their consequences."""
    found: list[Finding] = []
    with ExitStack() as open_:
        airflow = _open(open_, patient.airflow_url, "Airflow", "dag", found)
        backoffice = _open(open_, patient.backoffice_url, "бэк-офиса", "outbox_event", found)
        if airflow is not None:
            found += _carefully("Airflow", lambda: airflow_checks(airflow, patient.triggerer_capacity))
        if backoffice is not None:
            found += _carefully("бэк-офиса", lambda: backoffice_checks(backoffice, deep=deep))
        if airflow is not None and backoffice is not None and not _is_broken(found):
            found += _carefully("Airflow или бэк-офиса", lambda: both_checks(airflow, backoffice))
    found += machine_checks(patient.folders, files=FILES)
    return found


def _open(open_: ExitStack, url: str, name: str, table: str, found: list[Finding]) -> Connection | None:
    """Open a database; an unreachable or empty one is itself a finding."""
    try:
        connection = open_.enter_context(connect(url))
        missing = connection.execute("select to_regclass(%s) is null as no", [table]).fetchall()[0]["no"]
    except (
        psycopg.OperationalError,
        psycopg.ProgrammingError,
    ) as error:  # away, or its address is none of PostgreSQL's
        found.append(_down(name, error))
        return None
    if missing:
        found.append(finding("schema_missing", f"В базе {name} нет таблиц."))
        return None
    return connection


def _carefully(name: str, checks: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Run checks; a database that goes away meanwhile, or is of another version, is a finding."""
    found: list[Finding] = []
    try:
        for one in checks():
            found.append(one)
    except psycopg.OperationalError as error:
        found.append(_down(name, error))
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        found.append(finding("schema_missing", f"База {name} другой версии: {_first_line(error)}"))
    return found


def _is_broken(found: list[Finding]) -> bool:
    return any(one.code in ("database_down", "schema_missing") for one in found)


def _down(name: str, error: psycopg.Error) -> Finding:
    return finding("database_down", f"База {name} не отвечает: {_first_line(error)}")


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
