"""«Мой день» and the bell."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui import format as written
from backoffice.ui.routes.pages_common import (
    ROOT,
    Form,
    PageNumber,
    RowId,
    address,
    clean_query,
    done,
    identity,
    local_address,
    page,
    page_number,
)
from backoffice.ui.security import StaffViewer
from include.shared import clock
from include.shared.errors import NotFound
from include.shared.work import reading, transaction
from include.staff.services import Viewer
from include.workplace import day, day_groups, directory, services
from include.workplace.shapes import DayBoard
from include.workplace.surroundings import COMPANY_NAME, Surroundings, surroundings

router = APIRouter()
NOTICES_SHOWN = 100


@router.get("/")
def my_day(
    request: Request, viewer: StaffViewer, view: str = "mine", q: str = "", group: str = "", page_: PageNumber = "1"
) -> Response:
    """Show the tasks of a person or of the departments he leads, the most urgent first, grouped as he chose."""
    shown, around, query = _day(viewer, view, q, group, page_number(page_))
    return page(
        request, viewer, "my_day.html", active="day", around=around, day=shown, q=query, only=group,
        heading="Задачи отдела" if shown.scope == "department" else "Мой день", summary=_summary(shown),
        now=shown.now, **_addresses(shown, query),
    )  # fmt: skip


@router.get("/day/{group}")
def day_group(
    request: Request, viewer: StaffViewer, group: str, view: str = "mine", q: str = "", page_: PageNumber = "1"
) -> Response:
    """Return the next page of a group's tasks for an open page."""
    shown, around, query = _day(viewer, view, q, group, page_number(page_))
    found = next((one for one in shown.groups if one.code == group), None)
    if found is None:
        msg = "Больше задач нет."
        raise NotFound(msg)
    return page(
        request, viewer, "_daygroup.html", around=around, day=shown, group=found, now=shown.now,
        **_addresses(shown, query),
    )  # fmt: skip


def _day(viewer: Viewer, view: str, q: str, group: str, at: int) -> tuple[DayBoard, Surroundings, str]:
    of_department = view == "department" and (bool(viewer.led_departments) or viewer.is_admin)
    query = clean_query(q)
    with reading() as session:
        now = clock.now(session)
        frame = directory.frame(session, viewer.person_id, COMPANY_NAME)
        shown = day_groups.day_board(
            session, viewer, now, zone=frame.time_zone, scope="department" if of_department else "mine",
            grouping="deal" if frame.preferences.day_groups == "deal" else "risk", query=query, group=group, page=at,
        )  # fmt: skip
        asked = shown.approvals_total if shown.scope == "mine" else None
        around = surroundings(session, viewer, frame, asked)
    return shown, around, query


def _addresses(shown: DayBoard, query: str) -> dict[str, Any]:
    kept = {"view": "department" if shown.scope == "department" else "", "q": query}
    return {
        "per_group": day_groups.PER_GROUP,
        "here_address": lambda **new: address("/", **{**kept, **new}),
        "more_address": lambda code, at: address(f"/day/{code}", **kept, page=at),
    }


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
    if seen is None or seen.id != notice_id:
        msg = f"Уведомления № {notice_id} нет."
        raise NotFound(msg)
    return done(request, local_address(seen.link, f"{ROOT}/notices"))


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _summary(shown: DayBoard) -> str:
    if not shown.total:
        return ""
    said = written.count(shown.total, "открытая задача", "открытые задачи", "открытых задач")
    return said + (f", просрочено – {shown.overdue}" if shown.overdue else ", просроченных нет")
