"""Shapes of the ops page and its API."""

from __future__ import annotations

from datetime import datetime

from include.workplace.shapes import Shape


class FindingRow(Shape):
    """One thing that is wrong, and what to do."""

    code: str
    text: str
    action: str


class CaseLink(Shape):
    """The case that something is about; without a page of its own no link."""

    title: str
    link: str | None


class StuckStep(Shape):
    """A failed or marked step of a process that goes on: the case stands here."""

    id: int
    title: str
    state: str  # failed | marked
    reason: str
    since: datetime | None
    retried: bool  # repeated, and not ended since
    case: CaseLink
    process: str
    process_title: str
    run_id: str
    run_link: str


class DeadLetter(Shape):
    """An event that could not be handled and was put aside."""

    id: int
    listen_key: str
    error: str
    attempts: int
    created_at: datetime
    case: CaseLink | None


class PartRow(Shape):
    """A program or a part of the engine, and when it last said that it works."""

    title: str
    name: str
    instance: str
    age_seconds: float
    alive: bool
    note: str | None = None


class NightlyRow(Shape):
    """Scheduled work: its last run and the next one."""

    dag_id: str
    title: str
    paused: bool
    state: str | None
    started_at: datetime | None
    ended_at: datetime | None
    next_at: datetime
    run_link: str | None


class DiskRow(Shape):
    """A disk that holds something of ours."""

    holds: str
    folder: str
    free: int
    total: int
    low: bool


class BackupRow(Shape):
    """The last backup."""

    at: datetime
    path: str | None
    bytes: int | None


class ReconciledRow(Shape):
    """What ops did in Airflow or here, as its case's history says it."""

    at: datetime
    text: str
    who: str | None
    case: CaseLink | None


class OpsState(Shape):
    """The whole page: what is wrong first, then everything that can pile up or stand still."""

    now: datetime
    findings: list[FindingRow]
    stuck: list[StuckStep]
    stuck_total: int
    dead: list[DeadLetter]
    dead_total: int
    parts: list[PartRow]
    nightly: list[NightlyRow]
    disks: list[DiskRow]
    backup: BackupRow | None
    reconciled: list[ReconciledRow]
    numbers: dict[str, float]


class OpsSummary(Shape):
    """Whether all is well."""

    ok: bool
    findings: list[FindingRow]
