"""Files of cases as a person meets them: what lies where, what he may do with it, upload and bring back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.deals import rights as deal_rights
from include.deals.facts import deal_link
from include.deals.models import Deal, DealField
from include.documents import rights, rules, storage
from include.documents import services as documents
from include.documents.difference import compare
from include.documents.models import FileVersion
from include.documents.preview import Preview, preview
from include.process.models import ProcessCase
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.work import reading, transaction
from include.staff.services import Viewer, names
from include.tasks.models import Task
from include.workplace.shapes import (
    ChangedParagraph,
    ComparisonPage,
    FileField,
    FilePage,
    FilePreview,
    FileVersionRow,
    PersonRef,
    TextPart,
)

VERSIONS_SHOWN = 100


def deal_files(session: Session, viewer: Viewer, deal_id: int) -> list[FileField]:
    """Return the file fields of a deal that the viewer may see, each with its versions, the newest first."""
    deal = deal_rights.require_seen(session, viewer, deal_id)
    definitions = session.scalars(
        select(DealField).where(DealField.kind == "file").order_by(DealField.position, DealField.code)
    )
    titles = {one.code: one.title for one in definitions if one.funnel_code in (None, deal.funnel_code)}
    return _fields(session, viewer, deal.case_id, titles, "deals", deal.id)


def task_files(session: Session, viewer: Viewer, task_id: int) -> list[FileField]:
    """Return the file fields that an open task asks for; none for a task that is over."""
    task = _seen_task(session, viewer, task_id)
    if task.state != "open":
        return []
    return _fields(session, viewer, task.case_id, documents.wanted_by(session, task), "tasks", task.id)


def upload_to_deal(viewer: Viewer, deal_id: int, field: str, name: str, content: BinaryIO | bytes) -> FileVersionRow:
    """Put a file into a field of a deal (R002-63); NotFound for a foreign deal, Forbidden without the right."""
    with reading() as session:
        case_id = deal_rights.require_seen(session, viewer, deal_id).case_id
    return _upload(viewer, case_id, field, name, content)


def upload_to_task(viewer: Viewer, task_id: int, field: str, name: str, content: BinaryIO | bytes) -> FileVersionRow:
    """Put a file that an open task asks for where it belongs: into the deal's field or the task's own result."""
    with reading() as session:
        task = _seen_task(session, viewer, task_id)
        if task.state != "open":
            msg = f"Задача «{task.title}» уже закрыта: файл к ней не приложить."
            raise Conflict(msg)
        if field not in documents.wanted_by(session, task):
            msg = "Этой задаче такой файл не нужен."
            raise InvalidInput(msg, "field")
    return _upload(viewer, task.case_id, field, name, content)


def restore(viewer: Viewer, version_id: int) -> FileVersionRow:
    """Make an old version the present one: a new version with its content."""
    with transaction(viewer.actor) as work:
        old = rights.require_read(work.session, viewer, version_id)
        work.lock_case(old.case_id)
        rights.require_upload(work.session, viewer, old.case_id, old.field)
        return _row(work.session, documents.restore(work, version_id), is_present=True)


def file_row(session: Session, viewer: Viewer, version_id: int) -> FileVersionRow:
    """Return what is known of a version that the viewer may read."""
    version = rights.require_read(session, viewer, version_id)
    newest = documents.present(session, version.case_id, version.field)
    return _row(session, version, is_present=newest is not None and newest.id == version.id)


def file_content(viewer: Viewer, version_id: int) -> tuple[FileVersionRow, BinaryIO]:
    """Return a version and its content, read through and found undamaged; the caller closes it."""
    with reading() as session:
        row = file_row(session, viewer, version_id)
    return row, storage.open_whole(row.content_hash)


def file_page(viewer: Viewer, version_id: int) -> FilePage:
    """Return a version with what of it can be shown and the other versions of its field."""
    with reading() as session:
        version = rights.require_read(session, viewer, version_id)
        rows = _rows(session, documents.versions(session, version.case_id, version.field))
        title, case, link = _whose(session, viewer, version)
        may_upload = rights.may_upload(session, viewer, version.case_id, version.field)
    shown = _preview(version)  # takes its time: no connection is held meanwhile
    return FilePage(
        file=next(one for one in rows if one.id == version.id),
        field_title=title,
        case_title=case,
        case_link=link,
        versions=rows,
        preview=FilePreview(
            kind=shown.kind, paragraphs=shown.paragraphs, rows=shown.rows, note=shown.note, cut=shown.cut
        ),
        may_upload=may_upload,
    )


def comparison(viewer: Viewer, version_id: int, older_id: int) -> ComparisonPage:
    """Return what changed between two versions of one field (★40); NotFound when they are not of one."""
    with reading() as session:
        new, old = (rights.require_read(session, viewer, one) for one in (version_id, older_id))
        if (new.case_id, new.field) != (old.case_id, old.field):
            raise NotFound(documents.no_file(older_id))
        if old.number > new.number:
            old, new = new, old
        old_row, new_row = _rows(session, [old, new])
        title, case, link = _whose(session, viewer, new)
    shown = [_preview(one) for one in (old, new)]
    unread = next((one for one in shown if one.kind not in ("text", "table")), None)
    found = compare(shown[0].lines, shown[1].lines) if unread is None else None
    return ComparisonPage(
        old=old_row,
        new=new_row,
        field_title=title,
        case_title=case,
        case_link=link,
        same_content=old.content_hash == new.content_hash,
        unread=(unread.note or "Сравнить можно только тексты и таблицы.") if unread is not None else None,
        cut=found is not None and (found.cut or any(one.cut for one in shown)),
        count=found.count if found is not None else 0,
        paragraphs=[
            ChangedParagraph(kind=one.kind, parts=[TextPart(kind=part.kind, text=part.text) for part in one.parts])
            for one in (found.changes if found is not None else ())
        ],
    )


def limit_mb(session: Session) -> int:
    """Return how many megabytes a file may have."""
    return documents.limit_bytes(session) // 2**20


def _upload(viewer: Viewer, case_id: int, field: str, name: str, content: BinaryIO | bytes) -> FileVersionRow:
    """Ask for the right, store the content outside of any transaction (it may take long), then record it."""
    with reading() as session:
        rights.require_upload(session, viewer, case_id, field)
        limit = documents.limit_bytes(session)
    kept = documents.keep(name, content, limit)
    with transaction(viewer.actor) as work:
        work.lock_case(case_id)
        rights.require_upload(work.session, viewer, case_id, field)
        return _row(work.session, documents.record(work, case_id, field, kept), is_present=True)


def _seen_task(session: Session, viewer: Viewer, task_id: int) -> Task:
    task = session.get(Task, task_id)
    if task is None or not deal_rights.task_visible(session, viewer, task):
        msg = f"Задачи № {task_id} нет."
        raise NotFound(msg)
    return task


def _fields(
    session: Session, viewer: Viewer, case_id: int, titles: dict[str, str], of: str, of_id: int
) -> list[FileField]:
    found: dict[str, list[FileVersion]] = {}
    for one in documents.versions(session, case_id):
        found.setdefault(one.field, []).append(one)
    return [
        FileField(
            code=code,
            title=title,
            may_upload=rights.may_upload(session, viewer, case_id, code),
            upload_address=f"/{of}/{of_id}/files/{code}",
            versions=_rows(session, found.get(code, [])[:VERSIONS_SHOWN]),
        )
        for code, title in titles.items()
    ]


def _rows(session: Session, versions: Iterable[FileVersion]) -> list[FileVersionRow]:
    found = list(versions)
    newest = max((one.number for one in found), default=0)
    people = names(session, {one.uploaded_by for one in found if one.uploaded_by is not None})
    return [_shape(one, people, is_present=one.number == newest) for one in found]


def _row(session: Session, version: FileVersion, *, is_present: bool) -> FileVersionRow:
    people = names(session, {version.uploaded_by} if version.uploaded_by is not None else set())
    return _shape(version, people, is_present=is_present)


def _shape(one: FileVersion, people: dict[int, str], *, is_present: bool) -> FileVersionRow:
    by = one.uploaded_by
    return FileVersionRow(
        id=one.id,
        field=one.field,
        number=one.number,
        name=one.name,
        media_type=one.media_type,
        kind=rules.by_media_type(one.media_type).title,
        size=one.size,
        size_words=rules.size_words(one.size),
        content_hash=one.content_hash,
        uploaded_at=one.uploaded_at,
        uploaded_by=PersonRef(id=by, name=people.get(by, f"№ {by}")) if by is not None else None,
        present=is_present,
        link=f"/backoffice/files/{one.id}/view",
    )


def _preview(version: FileVersion) -> Preview:
    with storage.open_whole(version.content_hash) as stream:
        return preview(version.media_type, stream)


def _whose(session: Session, viewer: Viewer, version: FileVersion) -> tuple[str, str, str | None]:
    """Return the titles of the field and the case, and the deal's card for whoever may see it.

    An approver may be shown the file alone.
    """
    case = session.get_one(ProcessCase, version.case_id).title
    deal = session.scalar(select(Deal.id).where(Deal.case_id == version.case_id))
    seen = deal is not None and deal_rights.may_see(session, viewer, deal)
    link = f"{deal_link(deal)}#field-{version.field}" if deal is not None and seen else None
    return _field_title(session, version), case, link


def _field_title(session: Session, version: FileVersion) -> str:
    definition = session.get(DealField, version.field)
    if definition is not None:
        return definition.title
    task_id = rules.task_of_field(version.field)
    task = session.get(Task, task_id) if task_id is not None else None
    return task.title if task is not None else "Файл"
