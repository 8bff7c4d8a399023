"""Use cases of files: a new version, an old one brought back; nothing is ever deleted.

A content is stored before the transaction that names it: whatever happens between leaves at most a content that nobody
names, which is harmless, and never a version without its content.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.approvals import core as approvals
from include.deals import services as deals
from include.deals.models import Deal, DealField
from include.documents import rules, storage
from include.documents.models import FileVersion
from include.process.rules import fields_of
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.settings import value_of
from include.shared.work import Work
from include.tasks.models import Task

LIMIT_SETTING, DEFAULT_LIMIT_MB, LARGEST_LIMIT_MB = "file_limit_mb", 50, 1000


@dataclass(frozen=True)
class Kept:
    """A content that is checked and stored, and not yet anybody's."""

    name: str
    media_type: str
    content_hash: str
    size: int


def limit_bytes(session: Session) -> int:
    """Return how large a file may be, as the setting says."""
    return min(max(int(value_of(session, LIMIT_SETTING, DEFAULT_LIMIT_MB)), 1), LARGEST_LIMIT_MB) * 2**20


def keep(name: str, content: BinaryIO | bytes, limit: int) -> Kept:
    """Check a content against its name and the limit, and store it; the database is not asked.

    InvalidInput says what is wrong with the file, StorageFailed that it could not be stored.
    """
    name = rules.clean_name(name)
    kind = rules.kind_of(name)
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    sight, digest, size = rules.Sight(kind), hashlib.sha256(), 0
    for chunk in _chunks(stream):
        size += len(chunk)
        if size > limit:
            break
        digest.update(chunk)
        sight.see(chunk)
    rules.check_size(size, limit)
    sight.check(name)
    stream.seek(0)
    storage.put(digest.hexdigest(), stream)
    return Kept(name, kind.media_type, digest.hexdigest(), size)


def add_version(work: Work, case_id: int, field: str, name: str, content: BinaryIO | bytes) -> FileVersion:
    """Put a file into a file field of a case (R002-63): the next version, or the present one for the same content."""
    return record(work, case_id, field, keep(name, content, limit_bytes(work.session)))


def record(work: Work, case_id: int, field: str, kept: Kept) -> FileVersion:
    """Make a stored content the next version of a field: trace, event, waits, and approvals of the old file void (★40).

    InvalidInput when the case has no such file field, Conflict when the task that asked for it is over.
    """
    work.lock_case(case_id)
    title = _title(work.session, case_id, field)
    last = present(work.session, case_id, field)
    if last is not None and last.content_hash == kept.content_hash:
        return last
    version = FileVersion(
        case_id=case_id,
        field=field,
        number=last.number + 1 if last is not None else 1,
        content_hash=kept.content_hash,
        size=kept.size,
        name=kept.name,
        media_type=kept.media_type,
        uploaded_at=work.now,
        uploaded_by=work.actor.person_id,
    )
    work.session.add(version)
    work.session.flush()
    said = f"Загружен файл «{version.name}»: «{title}», версия {version.number}"
    if rules.task_of_field(field) is None:
        deal = work.session.scalars(select(Deal).where(Deal.case_id == case_id)).one()
        deals.set_file_field(work, deal.id, field, as_value(version), said)
    else:
        work.audit(
            "file.added", said, entity="file_version", entity_id=version.id, case_id=case_id,
            before=as_value(last) if last is not None else None, after=as_value(version),
        )  # fmt: skip
        work.touch(case_id)
    approvals.file_replaced(work, case_id, field, version)
    return version


def restore(work: Work, version_id: int) -> FileVersion:
    """Make an old version the present one: a new version with its content; the present one stays as it is."""
    old = version_of(work.session, version_id)
    return record(work, old.case_id, old.field, Kept(old.name, old.media_type, old.content_hash, old.size))


def version_of(session: Session, version_id: int) -> FileVersion:
    """Return a version; NotFound when there is none."""
    version = session.get(FileVersion, version_id)
    if version is None:
        raise NotFound(no_file(version_id))
    return version


def no_file(version_id: int) -> str:
    """Return the sentence for a file that is not there, or may not be known of."""
    return f"Файла № {version_id} нет."


def present(session: Session, case_id: int, field: str) -> FileVersion | None:
    """Return the newest version of a field, or None."""
    newest = select(FileVersion).where(FileVersion.case_id == case_id, FileVersion.field == field)
    return session.scalars(newest.order_by(FileVersion.number.desc()).limit(1)).first()


def versions(session: Session, case_id: int, field: str | None = None) -> list[FileVersion]:
    """Return the versions of a case (of one field), the newest first."""
    wanted = select(FileVersion).where(FileVersion.case_id == case_id)
    if field is not None:
        wanted = wanted.where(FileVersion.field == field)
    return list(session.scalars(wanted.order_by(FileVersion.field, FileVersion.number.desc())))


def as_value(version: FileVersion) -> dict[str, str | int]:
    """Return a version as the value of a field."""
    return {"version": version.id, "number": version.number, "name": version.name, "hash": version.content_hash}


def wanted_by(session: Session, task: Task) -> dict[str, str]:
    """Return the file fields that a task's guard or result asks for, with their titles (R002-63)."""
    read = fields_of(task.guard) if task.guard else set()
    results = [one for one in task.result_fields.get("fields", []) if one["kind"] == "file"]
    codes = read | {one["deal_field"] for one in results if one.get("deal_field")}
    found = select(DealField.code, DealField.title).where(DealField.kind == "file", DealField.code.in_(codes))
    wanted = dict(session.execute(found.order_by(DealField.position)).all()) if codes else {}
    return wanted | {rules.task_field(task.id): one["title"] for one in results if not one.get("deal_field")}


def result_value(session: Session, task: Task, result: dict[str, object]) -> dict[str, str | int] | None:
    """Return the file that stands in a task's result field now: its own, or that of the deal's field."""
    version = present(session, task.case_id, str(result.get("deal_field") or rules.task_field(task.id)))
    return as_value(version) if version is not None else None


def _title(session: Session, case_id: int, field: str) -> str:
    task_id = rules.task_of_field(field)
    if task_id is None:
        known = session.get(DealField, field)
        has_deal = session.scalar(select(Deal.id).where(Deal.case_id == case_id)) is not None
        if known is None or known.kind != "file" or not has_deal:
            raise InvalidInput(_no_field(field), "field")
        return known.title
    task = session.get(Task, task_id)
    title = wanted_by(session, task).get(field) if task is not None and task.case_id == case_id else None
    if task is None or title is None:
        raise InvalidInput(_no_field(field), "field")
    if task.state != "open":
        msg = f"Задача «{task.title}» уже закрыта: файл к ней не приложить."
        raise Conflict(msg)
    return title


def _no_field(field: str) -> str:
    return f"Поля «{field[:100]}» для файла у этого дела нет."


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while chunk := stream.read(storage.CHUNK):
        yield chunk
