"""API: people, directions, forms, notices, settings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from backoffice.ui.routes.api_common import (
    AnyValue,
    BeforeId,
    Body,
    FilterId,
    IdempotencyKey,
    Moment,
    Number,
    PerPage,
    RowId,
    Text,
    Values,
    failures,
)
from backoffice.ui.security import AdminViewer, StaffViewer
from include.notices import services as bell
from include.process.forms import FORMS, may_start
from include.shared import clock
from include.shared.work import reading, transaction
from include.workplace import card, day, directory, services
from include.workplace.shapes import FunnelRow, NoticeRow, PersonRow, RequestPage, SettingRow

router = APIRouter()


class FormDescription(BaseModel):
    """A form process that the person may start, with the JSON schema of its form."""

    process: str
    title: str
    form: dict[str, Any]


class Started(BaseModel):
    """The request that a form became."""

    id: int
    key: str


class Chosen(Body):
    """Which notices are read; without the list all are."""

    ids: Annotated[list[Number] | None, Field(max_length=1000)] = None


class Read(BaseModel):
    """How many notices were read, and the moment by which that can be taken back."""

    count: int
    at: datetime


class TakenBack(Body):
    """The moment of the reading to be taken back."""

    at: Moment


class HowMany(BaseModel):
    """How many rows changed."""

    count: int


class Unread(BaseModel):
    """How many notices are unread, and the id of the newest one (0 without any)."""

    count: int
    newest: int


class NewValue(Body):
    """The new value of a setting."""

    value: AnyValue


@router.get("/people", tags=["Справочники"], summary="Сотрудники", responses=failures())
def people(_viewer: StaffViewer, department_id: FilterId = None) -> list[PersonRow]:
    """Return the active people by name."""
    with reading() as session:
        return directory.people(session, department_id=department_id)


@router.get("/funnels", tags=["Справочники"], summary="Направления, их стадии и поля", responses=failures())
def funnels(_viewer: StaffViewer) -> list[FunnelRow]:
    """Return all directions."""
    with reading() as session:
        return directory.funnels(session)


@router.get("/forms", tags=["Процессы"], summary="Процессы, которые можно запустить", responses=failures())
def forms(viewer: StaffViewer) -> list[FormDescription]:
    """Return the forms that the person may start."""
    with reading() as session:
        allowed = [process for process in FORMS if may_start(session, process, viewer.person_id)]
    return [
        FormDescription(process=one, title=FORMS[one].title, form=FORMS[one].model.model_json_schema())
        for one in allowed
    ]


@router.post(
    "/forms/{process}", tags=["Процессы"], status_code=201, summary="Запустить процесс", responses=failures(403, 404)
)
def start_form(
    viewer: StaffViewer,
    process: Annotated[Text, Path(max_length=100)],
    body: Values,
    key: IdempotencyKey = None,
) -> Started:
    """Submit a form; its process starts within seconds."""
    with transaction(viewer.actor) as work:
        case = services.submit_form(work, viewer, process, body, key)
        return Started(id=case.id, key=case.key)


@router.get("/requests/{request_id}", tags=["Процессы"], summary="Что стало с обращением", responses=failures(404))
def request(viewer: StaffViewer, request_id: RowId) -> RequestPage:
    """Return what became of a submitted form: its line and the deal made from it."""
    with reading() as session:
        return card.request_page(session, viewer, request_id, clock.now(session))


@router.get("/notices", tags=["Уведомления"], summary="Мои уведомления", responses=failures())
def notices(
    viewer: StaffViewer,
    unread: Annotated[bool, Query(description="Только непрочитанные")] = False,
    before_id: BeforeId = None,
    per_page: PerPage = 30,
) -> list[NoticeRow]:
    """Return the person's newest notices."""
    with reading() as session:
        return day.notices(session, viewer, limit=per_page, before_id=before_id, unread=unread)


@router.post("/notices/read", tags=["Уведомления"], summary="Отметить прочитанными", responses=failures(403))
def read_notices(viewer: StaffViewer, body: Chosen) -> Read:
    """Mark notices as read."""
    with transaction(viewer.actor) as work:
        return Read(count=services.read_notices(work, viewer, body.ids), at=work.now)


@router.post("/notices/unread", tags=["Уведомления"], summary="Вернуть непрочитанными", responses=failures(403))
def unread_notices(viewer: StaffViewer, body: TakenBack) -> HowMany:
    """Take back one act of reading."""
    with transaction(viewer.actor) as work:
        return HowMany(count=services.unread_notices(work, viewer, body.at))


@router.get(
    "/notices/unread", tags=["Уведомления"], summary="Сколько не прочитано", response_model=Unread,
    responses=failures(),
)  # fmt: skip
def unread_mark(http: Request, viewer: StaffViewer) -> Response:
    """Return what a bell needs to know; 304 while nothing has changed since the given ETag."""
    with reading() as session:
        count, newest = bell.unread_mark(session, viewer.person_id)
    mark = {"ETag": f'W/"{count}-{newest}"'}
    if http.headers.get("if-none-match") == mark["ETag"]:
        return Response(status_code=304, headers=mark)
    return JSONResponse(Unread(count=count, newest=newest).model_dump(), headers=mark)


@router.get("/settings", tags=["Настройки"], summary="Настройки", responses=failures(403))
def settings(_viewer: AdminViewer) -> list[SettingRow]:
    """Return all settings."""
    with reading() as session:
        return directory.settings(session)


@router.put("/settings/{code:path}", tags=["Настройки"], summary="Изменить настройку", responses=failures(403, 404))
def change_setting(
    viewer: AdminViewer, code: Annotated[Text, Path(max_length=200)], body: NewValue
) -> list[SettingRow]:
    """Change a setting; processes read it when they next need it."""
    with transaction(viewer.actor) as work:
        services.change_setting(work, viewer, code, body.value)
        work.session.flush()
        return [one for one in directory.settings(work.session) if one.code == code]
