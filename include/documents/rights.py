"""Who may read a file and who may upload one; the same rules for pages and API."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.approvals import inbox as approvals
from include.approvals.models import Approval
from include.deals import rights as deal_rights
from include.deals.models import Deal
from include.documents import rules
from include.documents.models import FileVersion
from include.documents.services import no_file, wanted_by
from include.shared import clock
from include.shared.errors import Forbidden, NotFound
from include.staff.services import Viewer, is_over
from include.tasks.models import Task


def may_read_file(session: Session, viewer: Viewer, version: FileVersion) -> bool:
    """Say whether the viewer may read a file: he sees its deal or task, or an approval of it (R002-64)."""
    if deal_rights.may_see_case(session, viewer, version.case_id):
        return True
    task_id = rules.task_of_field(version.field)
    task = session.get(Task, task_id) if task_id is not None else None
    if task is not None and deal_rights.task_visible(session, viewer, task):
        return True
    return _decides(session, viewer, version)


def require_read(session: Session, viewer: Viewer, version_id: int) -> FileVersion:
    """Return a file that the viewer may read; NotFound for a foreign one, as if it did not exist."""
    version = session.get(FileVersion, version_id)
    if version is None or not may_read_file(session, viewer, version):
        raise NotFound(no_file(version_id))
    return version


def may_upload(session: Session, viewer: Viewer, case_id: int, field: str) -> bool:
    """Say whether the viewer may upload: whoever may change the deal, and whoever has an open task that asks for it."""
    mine = {viewer.person_id, *viewer.acts_for}
    task_id = rules.task_of_field(field)
    if task_id is None:
        deal = session.scalars(select(Deal).where(Deal.case_id == case_id)).first()
        if deal is not None and deal_rights.may_edit(session, viewer, deal):
            return True
    asking = select(Task).where(Task.case_id == case_id, Task.state == "open")
    asking = asking.where(Task.executor_id.in_(mine)) if task_id is None else asking.where(Task.id == task_id)
    return any(
        field in wanted_by(session, task) and is_over(session, viewer, task.executor_id)
        for task in session.scalars(asking)
    )


def require_upload(session: Session, viewer: Viewer, case_id: int, field: str) -> None:
    """Raise Forbidden unless the viewer may upload into this field of a case that he sees."""
    if not may_upload(session, viewer, case_id, field):
        msg = (
            "Нет прав: файл загружает ответственный за сделку, кто его замещает, его руководитель, администратор или"
            " исполнитель задачи, которой этот файл нужен."
        )
        raise Forbidden(msg)


def _decides(session: Session, viewer: Viewer, version: FileVersion) -> bool:
    about = select(Approval).where(Approval.case_id == version.case_id, Approval.field == version.field)
    now = clock.now(session)
    return any(approvals.may_see(session, viewer, one, now) for one in session.scalars(about))
