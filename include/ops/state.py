"""What the ops page shows beside the findings, read over connections of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import psycopg

from include.deals.facts import deal_link
from include.ops.checks_airflow import HEARTBEAT_AGE, JOBS
from include.ops.database import Connection, Row, ask, connect, one
from include.ops.examination import Patient
from include.ops.findings import Finding
from include.ops.machine import disks
from include.ops.measures import airflow_numbers, backoffice_numbers
from include.ops.shapes import (
    BackupRow,
    CaseLink,
    DeadLetter,
    DiskRow,
    FindingRow,
    NightlyRow,
    OpsState,
    PartRow,
    ReconciledRow,
    StuckStep,
)
from include.shared.heartbeat import BACKUP

SHOWN = 50
RECONCILED_SHOWN = 15
RECONCILED_SINCE = timedelta(days=14)
BY_OPS = ("прогон удалён администратором", "прогон отмечен администратором как завершённый")
PARTS = {"relay": "Передатчик событий", "hub": "Будильник ожиданий", "reconciler": "Сверка с Airflow"}
PROGRAMS = {"scheduler": "Планировщик", "triggerer": "Ожидания чужих операторов", "dag-processor": "Чтение процессов"}


def ops_state(patient: Patient, findings: Sequence[Finding], now: datetime) -> OpsState:
    """Return everything that the page shows; what a database does not tell now is left out, the findings say why."""
    business: dict[str, Any] = {"stuck": [], "stuck_total": 0, "dead": [], "dead_total": 0, "reconciled": []}
    parts: list[PartRow] = []
    numbers: dict[str, float] = {}
    nightly: list[NightlyRow] = []
    backup: BackupRow | None = None
    with ExitStack() as open_:
        connection = _reached(open_, patient.backoffice_url)
        if connection is not None:
            numbers |= backoffice_numbers(connection)
            business = _business(connection, numbers, now)
            parts += _engine(connection)
            backup = _backup(connection)
        connection = _reached(open_, patient.airflow_url)
        if connection is not None:
            numbers |= airflow_numbers(connection)
            parts = _programs(connection) + parts
            nightly = [_night(row) for row in ask(connection, "ops/nightly")]
    return OpsState(
        now=now, findings=rows_of(findings), parts=parts, nightly=nightly, backup=backup, numbers=numbers,
        disks=[
            DiskRow(holds=disk.holds, folder=str(disk.folder), free=disk.free, total=disk.total, low=disk.is_low)
            for disk in disks(patient.folders)
        ],
        **business,
    )  # fmt: skip


def rows_of(findings: Sequence[Finding]) -> list[FindingRow]:
    """Return findings as the page and the API show them."""
    return [FindingRow(code=one_.code, text=one_.text, action=one_.action) for one_ in findings]


def _reached(open_: ExitStack, url: str) -> Connection | None:
    try:
        connection = open_.enter_context(connect(url))
        one(connection, "select 1 as n")
    except psycopg.Error:
        return None
    return connection


def _business(connection: Connection, numbers: dict[str, float], now: datetime) -> dict[str, Any]:
    return {
        "stuck": [_stuck(row) for row in ask(connection, "ops/stuck_steps", limit=SHOWN)],
        "stuck_total": int(numbers["steps_failed"] + numbers["steps_marked"]),
        "dead": [_dead(row) for row in ask(connection, "ops/dead_letters", limit=SHOWN)],
        "dead_total": int(numbers["outbox_dead"]),
        "reconciled": _reconciled(connection, now),
    }


def _stuck(row: Row) -> StuckStep:
    return StuckStep(
        id=row["id"], title=row["title"], state=row["state"], reason=row["reason"] or "причина не записана",
        since=row["ended_at"], retried=row["retried"], process=row["process"], process_title=row["process_title"],
        run_id=row["run_id"], run_link=f"/dags/{row['process']}/runs/{row['run_id']}",
        case=CaseLink(title=row["case_title"], link=_link(row["deal_id"], row["case_id"], row["kind"])),
    )  # fmt: skip


def _dead(row: Row) -> DeadLetter:
    error = (row["error"] or "").strip().splitlines()
    return DeadLetter(
        id=row["id"], listen_key=row["listen_key"], error=error[0] if error else "причина не записана",
        attempts=row["attempts"], created_at=row["created_at"], case=_case(row),
    )  # fmt: skip


def _case(row: Row) -> CaseLink | None:
    if row["case_id"] is None:
        return None
    return CaseLink(title=row["case_title"], link=_link(row["deal_id"], row["case_id"], row["case_kind"]))


def _link(deal_id: int | None, case_id: int, kind: str) -> str | None:
    if deal_id is not None:
        return deal_link(deal_id)
    return f"/backoffice/requests/{case_id}" if kind == "request" else None


def _reconciled(connection: Connection, now: datetime) -> list[ReconciledRow]:
    acts = ask(connection, "ops/reconciled", limit=RECONCILED_SHOWN)
    since = now - RECONCILED_SINCE
    ended = ask(connection, "ops/ended_by_ops", reasons=list(BY_OPS), since=since, limit=RECONCILED_SHOWN)
    found = [
        ReconciledRow(at=row["at"], text=row["text"], who=row.get("who") or None, case=_case(row))
        for row in (*acts, *ended)
    ]
    return sorted(found, key=lambda one_: one_.at, reverse=True)[:RECONCILED_SHOWN]


def _engine(connection: Connection) -> list[PartRow]:
    rows = [row for row in ask(connection, "ops/engine_parts") if row["name"] in PARTS]
    alive = {row["name"] for row in rows if row["age_seconds"] <= HEARTBEAT_AGE.total_seconds()}
    # one that was restarted leaves its last pulse for an hour: it is shown only where nobody has taken over
    shown = [row for row in rows if row["age_seconds"] <= HEARTBEAT_AGE.total_seconds() or row["name"] not in alive]
    return [
        PartRow(
            title=PARTS[row["name"]], name=row["name"], instance=row["instance"], age_seconds=row["age_seconds"],
            alive=row["age_seconds"] <= HEARTBEAT_AGE.total_seconds(), note=_note(row),
        )
        for row in shown
    ]  # fmt: skip


def _note(row: Row) -> str | None:
    info = row["info"] or {}
    if row["name"] == "hub":
        said = f"ожиданий: {info.get('waiting', 0)}"
        return said if info.get("connected", True) else f"{said}, не слышит базу"
    if row["name"] == "reconciler" and "round_seconds" in info:
        return f"круг за {info['round_seconds']:.1f} с"
    return None


def _programs(connection: Connection) -> list[PartRow]:
    return [
        PartRow(
            title=PROGRAMS[JOBS[row["job_type"]]], name=JOBS[row["job_type"]], instance=row["hostname"] or "",
            age_seconds=row["age_seconds"], alive=row["age_seconds"] <= HEARTBEAT_AGE.total_seconds(),
        )
        for row in ask(connection, "ops/airflow_programs")
    ]  # fmt: skip


def _night(row: Row) -> NightlyRow:
    return NightlyRow(
        dag_id=row["dag_id"], title=row["title"], paused=row["is_paused"], state=row["state"],
        started_at=row["start_date"], ended_at=row["end_date"], next_at=row["next_at"],
        run_link=f"/dags/{row['dag_id']}/runs/{row['run_id']}" if row["run_id"] else None,
    )  # fmt: skip


def _backup(connection: Connection) -> BackupRow | None:
    found = [row for row in ask(connection, "ops/engine_parts") if row["name"] == BACKUP]
    if not found:
        return None
    info = found[0]["info"] or {}
    size = info.get("bytes")
    return BackupRow(at=found[0]["at"], path=info.get("path"), bytes=int(size) if size is not None else None)
