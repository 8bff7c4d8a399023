"""«Мой день» and the bell."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui import format as written
from backoffice.ui.routes.pages_common import (
    ROOT,
    Form,
    PageNumber,
    RowId,
    address,
    done,
    identity,
    local_address,
    page,
    page_number,
)
from backoffice.ui.security import StaffViewer
from include.shared import clock
from include.shared.work import reading, transaction
from include.workplace import day, services
from include.workplace.shapes import MyDay, TaskRow

router = APIRouter()
NOTICES_SHOWN = 100


@router.get("/")
def my_day(request: Request, viewer: StaffViewer, view: str = "mine", page_: PageNumber = "1") -> Response:
    """Show the tasks of a person or of the departments he leads, the most urgent first."""
    of_department = view == "department" and (bool(viewer.led_departments) or viewer.is_admin)
    number = page_number(page_)
    with reading() as session:
        now = clock.now(session)
        shown = day.my_day(session, viewer, now, scope="department" if of_department else "mine", page=number)
    return page(
        request, viewer, "my_day.html", active="day", heading="Задачи отдела" if of_department else "Мой день",
        of_department=of_department, may_lead=shown.may_see_department, groups=_groups(shown, now), alarms=shown.alarms,
        total=shown.tasks.total, summary=_summary(shown), paging=shown.tasks, now=now,
        page_address=lambda at: address("/", view="department" if of_department else "", page=at),
    )  # fmt: skip


@router.get("/notices")
def notices(request: Request, viewer: StaffViewer, before: str = "", undo: str = "") -> Response:
    """Show what a person was told, newest first; ``undo`` offers to take the last reading back."""
    with reading() as session:
        rows = day.notices(session, viewer, limit=NOTICES_SHOWN + 1, before_id=identity(before))
    shown = rows[:NOTICES_SHOWN]
    older = shown[-1].id if len(rows) > NOTICES_SHOWN else None
    return page(
        request, viewer, "notices.html", notices=shown, older=older, earlier=bool(before),
        undo=undo if _moment(undo) else "",
    )  # fmt: skip


@router.get("/notices/bell")
def bell(request: Request, viewer: StaffViewer) -> Response:
    """Return the inside of the bell: what an open page shows without being loaded anew."""
    return page(request, viewer, "_bell.html")


@router.post("/notices/read")
def read_all(request: Request, viewer: StaffViewer, form: Form) -> Response:
    """Mark all notices of the person as read; the page of notices offers to take it back."""
    with transaction(viewer.actor) as work:
        read = services.read_notices(work, viewer)
        at = work.now.isoformat()
    back = local_address(form.get("back"), f"{ROOT}/notices")
    if read and back.partition("?")[0] == f"{ROOT}/notices":
        back = address("/notices", undo=at)
    return done(request, back)


@router.post("/notices/unread")
def unread(request: Request, viewer: StaffViewer, form: Form) -> Response:
    """Take the last reading of notices back."""
    at = _moment(form.get("at", ""))
    if at is not None:
        with transaction(viewer.actor) as work:
            services.unread_notices(work, viewer, at)
    return done(request, f"{ROOT}/notices")


@router.post("/notices/{notice_id}/open")
def open_notice(request: Request, viewer: StaffViewer, notice_id: RowId) -> Response:
    """Mark a notice as read and go to what it is about."""
    with transaction(viewer.actor) as work:
        services.read_notices(work, viewer, [notice_id])
        seen = next((one for one in day.notices(work.session, viewer, limit=1, before_id=notice_id + 1)), None)
    link = seen.link if seen is not None and seen.id == notice_id else None
    return done(request, local_address(link, f"{ROOT}/notices"))


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _summary(shown: MyDay) -> str:
    if not shown.tasks.total:
        return ""
    said = written.count(shown.tasks.total, "открытая задача", "открытые задачи", "открытых задач")
    return said + (f", просрочено – {shown.overdue_count}" if shown.overdue_count else ", просроченных нет")


def _groups(shown: MyDay, now: datetime) -> list[dict[str, Any]]:
    zone = ZoneInfo(written.OFFICE_ZONE)
    today = now.astimezone(zone).date()

    def place(task: TaskRow) -> str:
        if task.overdue:
            return "late"
        if task.due_at is None:
            return "none"
        due = task.due_at.astimezone(zone).date()
        return "today" if due <= today else "tomorrow" if due == today + timedelta(days=1) else "later"

    titles = {
        "late": "Просрочено",
        "today": "Сегодня",
        "tomorrow": "Завтра",
        "later": "Позже",
        "none": "Без срока",
    }
    rows: dict[str, list[TaskRow]] = {code: [] for code in titles}
    for task in shown.tasks.items:
        rows[place(task)].append(task)
    whole = shown.tasks.pages == 1
    return [
        {
            "code": code, "title": title, "rows": rows[code],
            "count": shown.overdue_count if code == "late" else len(rows[code]) if whole else None,
        }
        for code, title in titles.items()
        if rows[code]
    ]  # fmt: skip
