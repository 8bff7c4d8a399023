"""The one line of a live case: why it waits, on whom, until when, what comes next (★20); set-based, never per case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from include.process.scheme import HUMAN_WORDS
from include.shared.db import query_text
from include.staff.services import names
from include.staff.stand_in import Away, away
from include.workplace.shapes import PersonRef, WaitLine
from include.workplace.words import local_moment

KINDS: Mapping[str, Literal["alarm", "approval"]] = {
    "Alarm": "alarm", "Repeat": "alarm", "Approval": "approval", "Rework": "approval",
}  # fmt: skip
WHO_MAY_RETRY = "повторить может администратор"
WHO_MAY_MOVE = "его руководитель или администратор"


def waits_of(
    session: Session, case_ids: Iterable[int], now: datetime, *, first: bool = False
) -> dict[int, list[WaitLine]]:
    """Return all lines of each case, or only its ``first``, the most telling first; every case has at least one."""
    cases = sorted(set(case_ids))
    if not cases:
        return {}
    steps = text(query_text("workplace/waiting_steps"))
    rows = session.execute(steps, {"cases": cases, "first": first}).mappings().all()
    with_rows = {int(row["case_id"]) for row in rows}
    without = [one for one in cases if one not in with_rows]
    silent = _without_waits(session, without)
    involved = _people_of(rows, silent)
    people, absent = names(session, involved), away(session, involved, now)
    lines: dict[int, list[WaitLine]] = {one: [] for one in cases}
    for row in rows:
        lines[row["case_id"]].append(_of_step(row, people, absent, now))
    for row in silent:
        lines[row["case_id"]].append(_computed(row, people, absent))
    return lines


def lines_of(session: Session, case_ids: Iterable[int], now: datetime) -> dict[int, WaitLine]:
    """Return the one line of each case."""
    return {case: lines[0] for case, lines in waits_of(session, case_ids, now, first=True).items() if lines}


def _without_waits(session: Session, cases: list[int]) -> list[RowMapping]:
    if not cases:
        return []
    return list(session.execute(text(query_text("workplace/cases_without_waits")), {"cases": cases}).mappings())


def _people_of(rows: Iterable[RowMapping], silent: Iterable[RowMapping]) -> set[int]:
    found = {one for row in rows for one in row["waits_on"] or []}
    return found | {row["responsible_id"] for row in silent if row["responsible_id"] is not None}


def _of_step(row: RowMapping, people: dict[int, str], absent: dict[int, Away], now: datetime) -> WaitLine:
    if row["state"] != "waiting":
        return _stuck(row)
    on = [PersonRef(id=one, name=people.get(one, f"№ {one}")) for one in row["waits_on"] or []]
    is_task = row["word"] in HUMAN_WORDS
    until = row["moment"] or (row["due_at"] if is_task else None)
    overdue = is_task and until is not None and until <= now
    waits_for = row["waits_for"] or row["title"]
    parts = [f"Ждёт: {waits_for}"]
    unnamed = [_with_stand_in(one, absent) for one in on if one.name not in waits_for]
    for one in on:
        parts[0] = parts[0].replace(one.name, _with_stand_in(one, absent)) if one.name in waits_for else parts[0]
    if unnamed:
        parts.append(("скажет: " if row["word"] == "Alarm" else "на ком: ") + ", ".join(unnamed))
    if until is not None:
        parts.append(("срок был " if overdue else "до ") + local_moment(until, row["time_zone"]))
    after = row["comes_next"]
    if after is None and is_task and row["next_stage"]:  # the last work of a stage: what comes next is the next stage
        after = f"перевод на «{row['next_stage']}»"
    if after:
        parts.append(f"дальше: {after}")
    return WaitLine(
        kind=KINDS.get(row["word"], "task" if is_task else "sensor"),
        text="; ".join(parts), waits_for=waits_for, on=on, until=until, overdue=overdue, comes_next=after,
        process=row["process"], step=row["step"], step_title=row["title"], task_id=row["task_id"],
        approval_id=row["approval_id"],
    )  # fmt: skip


def _stuck(row: RowMapping) -> WaitLine:
    """Say why a case stands at a step, and who can have it repeated."""
    kind: Literal["starting", "failed"]
    if row["retried"]:
        said = f"шаг «{row['title']}» повторяется"
        kind, text_, waits_for = "starting", _sentence(said), said
    else:
        what = "отмечен в Airflow" if row["state"] == "marked" else "не выполнен"
        waits_for = row["reason"] or "причина не записана"
        kind, text_ = "failed", f"Шаг «{row['title']}» {what}: {waits_for} – {WHO_MAY_RETRY}"
    return WaitLine(
        kind=kind, text=text_, waits_for=waits_for, process=row["process"], step=row["step"],
        step_title=row["title"], task_id=row["task_id"],
    )  # fmt: skip


def _computed(row: RowMapping, people: dict[int, str], absent: dict[int, Away]) -> WaitLine:
    if row["dead"]:
        said = "процесс не начался: событие в списке неразобранных, нужен администратор"
        return WaitLine(kind="failed", text=_sentence(said), waits_for=said)
    if row["pending"]:
        return WaitLine(kind="starting", text="Начинается процесс", waits_for="запуск процесса")
    unmet = row["open_tasks"] or []
    if row["running"]:
        said = "начинается следующий шаг: " + ", ".join(f"«{one}»" for one in row["running"])
        return WaitLine(kind="starting", text=_sentence(said), waits_for=said)
    if row["deal_id"] is None:
        return WaitLine(kind="closed", text="Завершено", waits_for="")
    tail = "; не выполнено: " + ", ".join(f"«{one}»" for one in unmet) if unmet else ""
    if row["stage_kind"] != "open":
        return WaitLine(kind="closed", text=f"Завершена: «{row['stage']}»{tail}", waits_for="")
    who = PersonRef(id=row["responsible_id"], name=people.get(row["responsible_id"], ""))
    target = f"«{row['next_stage']}»" if row["next_stage"] else "следующую стадию"
    text_ = f"Ждёт перевода на {target}: {_with_stand_in(who, absent)}, {WHO_MAY_MOVE}{tail}"
    return WaitLine(kind="manual", text=text_, waits_for=f"перевод на {target}", on=[who], comes_next=row["next_stage"])


def _with_stand_in(one: PersonRef, absent: dict[int, Away]) -> str:
    """Return «Иванова А. П. (замещает Петров Б. В.)» for somebody away, else the name alone."""
    return f"{one.name} ({absent[one.id].in_words()})" if one.id in absent else one.name


def _sentence(said: str) -> str:
    return said[:1].upper() + said[1:]
