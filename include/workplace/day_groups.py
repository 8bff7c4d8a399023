"""The page «Мой день»: open tasks in groups, each group page by page, in as few questions as there are parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, RowMapping, Select, and_, case, func, literal, or_, select, text
from sqlalchemy.orm import Session

from include.approvals import inbox
from include.process.models import ProcessCase
from include.shared.db import query_text
from include.shared.names import like_pattern
from include.staff.services import Viewer
from include.tasks.models import Task
from include.workplace import day
from include.workplace.shapes import ApprovalLine, DayBoard, DayGroup, TaskRow
from include.workplace.standing import standing

PER_GROUP = 50
APPROVALS_SHOWN = 10
GROUPS = {
    "late": "Просрочено", "today": "Сегодня", "tomorrow": "Завтра", "later": "Позже", "none": "Без срока",
}  # fmt: skip
MOST_ROWS = len(GROUPS) * PER_GROUP
Grouping = Literal["risk", "deal"]


def day_board(
    session: Session, viewer: Viewer, now: datetime, *, zone: str, grouping: Grouping = "risk",
    scope: Literal["mine", "department"] = "mine", query: str = "", group: str = "", page: int = 1,
) -> DayBoard:  # fmt: skip
    """Return a person's open tasks by risk or by deal, with armed alarms and the approvals that wait for him.

    ``zone`` says where his days begin; ``group`` keeps one group only, whose ``page`` is shown.
    """
    chosen = and_(Task.state == "open", day.executors(viewer, scope), *_by_text(query))
    groups, total, overdue = tasks_in_groups(
        session, viewer, now, chosen, zone=zone, grouping=grouping, scope=scope, group=group, page=page
    )
    approvals, waiting = ([], 0) if scope == "department" else _approvals(session, viewer, now)
    return DayBoard(
        now=now,
        scope=scope,
        grouping=grouping,
        may_see_department=bool(viewer.led_departments) or viewer.is_admin,
        total=total,
        overdue=overdue,
        groups=groups,
        alarms=day.alarms(session, people=[viewer.person_id, *sorted(viewer.acts_for)]),
        approvals=approvals,
        approvals_total=waiting,
        standing=standing(session, viewer, now, scope),
    )


def tasks_in_groups(
    session: Session, viewer: Viewer, now: datetime, chosen: ColumnElement[bool], *, zone: str, grouping: Grouping,
    scope: str, group: str, page: int,
) -> tuple[list[DayGroup], int, int]:  # fmt: skip
    """Return the groups with their rows, how many tasks there are in all, and how many are overdue."""
    rows = session.execute(_statement(chosen, now, zone, grouping, group, page)).mappings().all()
    if not rows:
        return [], 0, 0
    # who acts for whom is asked only where work of others may stand in the list
    others = scope == "department" or bool(viewer.acts_for)
    tasks = day.with_stand_ins(session, rows, now) if others else day.without_stand_ins(rows, now)
    found: dict[str, list[tuple[RowMapping, TaskRow]]] = {}
    for row, task in zip(rows, tasks, strict=True):
        found.setdefault(row["group_code"], []).append((row, task))
    at = page if group else 1
    groups = [_group(code, pairs, grouping, at) for code, pairs in found.items()]
    return groups, rows[0]["total"], rows[0]["overdue"]


def _group(code: str, pairs: Sequence[tuple[RowMapping, TaskRow]], grouping: Grouping, page: int) -> DayGroup:
    row, first = pairs[0]
    count = row["in_group"]
    return DayGroup(
        code=code,
        title=GROUPS[code] if grouping == "risk" else first.case.title,
        link=None if grouping == "risk" else first.case.link,
        count=count,
        rows=[task for _, task in pairs],
        page=page,
        has_more=count > page * PER_GROUP,
    )


def _statement(
    chosen: ColumnElement[bool], now: datetime, zone: str, grouping: Grouping, group: str, page: int
) -> Select[*tuple[Any, ...]]:
    here = ZoneInfo(zone)
    tomorrow = datetime.combine(now.astimezone(here).date() + timedelta(days=1), time.min, here)
    after = datetime.combine(now.astimezone(here).date() + timedelta(days=2), time.min, here)
    late = and_(Task.due_at.is_not(None), Task.due_at <= now)
    by_risk = case(
        (Task.due_at.is_(None), "none"), (late, "late"), (Task.due_at < tomorrow, "today"),
        (Task.due_at < after, "tomorrow"), else_="later",
    )  # fmt: skip
    code: ColumnElement[Any] = by_risk if grouping == "risk" else func.concat("case-", Task.case_id)
    order = (Task.due_at.asc().nulls_last(), Task.id)
    ranked = select(
        Task.id.label("ranked_id"),
        code.label("group_code"),
        func.row_number().over(partition_by=code, order_by=order).label("place"),
        func.count().over(partition_by=code).label("in_group"),
        func.min(Task.due_at).over(partition_by=code).label("soonest"),
        func.count().over().label("total"),
        func.count().filter(late).over().label("overdue"),
    ).where(chosen)
    parts = ranked.subquery()
    skipped = (page - 1) * PER_GROUP if group else 0
    wanted = [parts.c.place > skipped, parts.c.place <= skipped + PER_GROUP]
    if group:
        wanted.append(parts.c.group_code == group)
    return (
        day.task_rows()
        .add_columns(parts.c.group_code, parts.c.in_group, parts.c.total, parts.c.overdue)
        .join(parts, parts.c.ranked_id == Task.id)
        .where(*wanted)
        .order_by(parts.c.soonest.asc().nulls_last(), parts.c.group_code, parts.c.place)
        .limit(MOST_ROWS)
    )


def _by_text(query: str) -> list[ColumnElement[bool]]:
    if not query.strip():
        return []
    pattern = like_pattern(query)
    titles = (Task.title, ProcessCase.title)
    folded = [func.translate(func.lower(one), literal('ё«»"'), literal("е")) for one in titles]
    of_cases = select(ProcessCase.id).where(folded[1].like(pattern))
    return [or_(folded[0].like(pattern), Task.case_id.in_(of_cases))]


def _approvals(session: Session, viewer: Viewer, now: datetime) -> tuple[list[ApprovalLine], int]:
    ids, total = inbox.waiting_for(session, viewer, APPROVALS_SHOWN)
    if not ids:
        return [], 0
    rows = session.execute(text(query_text("workplace/approval_lines")), {"ids": ids}).mappings().all()
    lines = [
        ApprovalLine(
            id=row["id"],
            title=row["title"],
            case_title=row["case_title"],
            due_at=row["due_at"],
            overdue=row["due_at"] is not None and row["due_at"] <= now,
            link=f"/backoffice/approvals/{row['id']}",
        )
        for row in rows
    ]
    return sorted(lines, key=lambda one: ids.index(one.id)), total
