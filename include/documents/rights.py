"""Who may read a file and who may upload one; the same rules for pages and API."""

from __future__ import annotations

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from include.approvals.models import Approval, ApprovalSeat
from include.deals import rights as deal_rights
from include.deals.models import Deal
from include.documents import rules
from include.documents.models import FileVersion
from include.documents.services import no_file, wanted_by
from include.shared.errors import Forbidden, NotFound
from include.staff.services import Viewer, is_over
from include.tasks.models import Task


def may_read_file(session: Session, viewer: Viewer, version: FileVersion) -> bool:
    """Say whether the viewer may read a file: he sees its deal or task, or decides (or decided) about it (R002-64)."""
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
    mine = (viewer.person_id, *sorted(viewer.acts_for))
    named = [f"person:{one}" for one in mine]
    keys = [*named, *(f"role:{one}" for one in sorted(viewer.roles))]
    asked = and_(ApprovalSeat.state == "asked", or_(ApprovalSeat.holder.in_(keys), ApprovalSeat.fallback.in_(keys)))
    statement = (
        select(ApprovalSeat.id)
        .join(Approval, Approval.id == ApprovalSeat.approval_id)
        .where(Approval.case_id == version.case_id, Approval.field == version.field)
        .where(or_(asked, ApprovalSeat.decided_by.in_(mine), ApprovalSeat.decided_for.in_(mine)))
        .limit(1)
    )
    return session.scalar(statement) is not None
