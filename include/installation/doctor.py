"""`make doctor`: looks at the programs and both databases and says in words what is wrong and what to do.

The checks of databases and disks stand in include/ops, where the ops page calls them, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil

from include.installation.airflow_settings import TRIGGERER_CAPACITY
from include.installation.installation import Installation
from include.installation.places import Places
from include.installation.urls import libpq
from include.ops.examination import DATABASE, FILES, HOME, LOGS, Patient
from include.ops.examination import examine as examine_databases
from include.ops.findings import ACTIONS, Finding, finding
from include.ops.machine import local_folder, machine_checks

__all__ = ["ACTIONS", "Finding", "examine", "folders", "program_checks", "run"]

PAGE_PATIENCE = 5.0


def examine(installation: Installation) -> list[Finding]:
    """Look at everything and return what is wrong, the causes before their consequences."""
    found = list(program_checks(installation))
    disks = folders(installation.places, installation.outer.get("BACKOFFICE_FILES"))
    if any(one.code == "not_running" for one in found):
        return found + list(machine_checks(disks, files=FILES))
    return found + examine_databases(
        Patient(
            airflow_url=libpq(installation.airflow_database_url),
            backoffice_url=libpq(installation.backoffice_database_url),
            triggerer_capacity=TRIGGERER_CAPACITY,
            folders=disks,
        )
    )


def folders(places: Places, files: str | None) -> dict[str, Path]:
    """Name the folders whose disks must not be full; files in a bucket are watched by whoever keeps it."""
    found = {HOME: places.home if places.home.exists() else places.home.parent, DATABASE: places.postgres}
    logs = os.environ.get("AIRFLOW__LOGGING__BASE_LOG_FOLDER")
    found[LOGS] = Path(logs) if logs else places.logs
    kept_in = local_folder(files) if files else places.files
    if kept_in is not None and (files or places.home.exists()):
        found[FILES] = kept_in
    return found


def program_checks(installation: Installation) -> Iterator[Finding]:
    """Look at the programs of this machine: whoever runs a company's containers watches those."""
    programs = installation.status().get("programs", {})
    if not programs and installation.postgres is None:
        return
    if not installation.supervisor_alive():
        alive = [name for name in programs if installation.program_pid(name)]
        if alive:
            yield finding("supervisor_dead", f"Надзор не работает, а программы остались: {', '.join(alive)}.")
        else:
            yield finding("not_running", "Бэк-офис не запущен.")
        return
    for name, one in programs.items():
        pid = installation.program_pid(name)
        if one["trouble"]:
            yield finding("program_trouble", one["trouble"])
        elif pid is None:
            text = f"«{name}» ({one['title']}) сейчас не работает: {one['last_exit'] or one['state']}."
            yield finding("program_down", f"{text} Журнал: {one['log']}")
        else:
            yield from _frozen(name, one["title"], pid)
    yield from _frozen("supervisor", "надзор", int(installation.status()["supervisor"]["pid"]))
    yield from _pages(installation)


def _frozen(name: str, title: str, pid: int) -> Iterator[Finding]:
    """Name what somebody has stopped with a signal: it lives, but does nothing."""
    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(pid)
        for process in (leader, *leader.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_STOPPED:
                    yield finding("program_frozen", f"«{name}» ({title}) остановлена сигналом: процесс {process.pid}.")
                    return


def _pages(installation: Installation) -> Iterator[Finding]:
    """Ask every API server of this machine: several have a door each beside their common address."""
    for name, one in installation.status().get("programs", {}).items():
        if not name.startswith("api-server") or not installation.program_pid(name):
            continue
        address = f"http://127.0.0.1:{one['door']}" if one.get("door") else installation.base_url
        if not _answers(address):
            yield finding("page_silent", f"Сервер страниц «{name}» не отвечает по адресу {address}.")


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/api/v2/version", timeout=PAGE_PATIENCE) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return True  # it answers, if only a refusal
    except (OSError, ValueError):
        return False


def run(installation: Installation, *, as_json: bool = False) -> int:
    """Print what is wrong; 0 when nothing is."""
    found = examine(installation)
    if as_json:
        print(json.dumps({"ok": not found, "findings": [asdict(one) for one in found]}, ensure_ascii=False, indent=1))
    elif not found:
        print("Всё в порядке.")
    for one in [] if as_json else found:
        print(f"✗ {one.text}\n  → {one.action}\n  (docs/runbook.md#{one.code})")
    sys.stdout.flush()
    return 1 if found else 0
