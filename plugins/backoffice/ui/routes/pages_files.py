"""The files of a case: upload, versions, preview, what changed between two of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Annotated, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from backoffice.ui.routes import pages_deals, pages_tasks
from backoffice.ui.routes.pages_common import ROOT, Errors, Form, RowId, done, identity, page
from backoffice.ui.security import StaffViewer
from backoffice.ui.uploads import FILE_FIELD, Sent, SentFile, UploadViewer
from include.shared.errors import BackofficeError, Forbidden, NotFound
from include.shared.work import reading
from include.workplace import files
from include.workplace.shapes import FileVersionRow

router = APIRouter()
PIECE = 64 * 1024
FieldCode = Annotated[str, Path(max_length=100)]
OtherVersion = Annotated[str, Query(alias="with")]
#: A file that somebody uploaded never runs anything on our site, whatever a browser takes it for.
SEALED = "sandbox; default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
IMAGE = "sandbox; default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
#: A browser's own PDF viewer does not work in a sandbox; without any script source nothing else works here either.
PDF = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'self'"
INLINE = {"image/png": IMAGE, "image/jpeg": IMAGE, "application/pdf": PDF}


@router.post("/deals/{deal_id}/files/{field}")
def upload_to_deal(
    request: Request, viewer: UploadViewer, deal_id: RowId, field: FieldCode, sent: SentFile
) -> Response:
    """Put a file into a field of the deal; a refused one is told beside the field."""
    try:
        row = files.upload_to_deal(viewer, deal_id, field, *sent.take())
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return pages_deals.show(request, viewer, deal_id, _refused(error, field, sent))
    return done(request, f"{ROOT}/deals/{deal_id}#field-{field}", _taken(row))


@router.post("/tasks/{task_id}/files/{field}")
def upload_to_task(
    request: Request, viewer: UploadViewer, task_id: RowId, field: FieldCode, sent: SentFile
) -> Response:
    """Put a file that a task asks for where it belongs; a refused one is told beside the field."""
    try:
        row = files.upload_to_task(viewer, task_id, field, *sent.take())
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return pages_tasks.show(request, viewer, task_id, _refused(error, field, sent))
    return done(request, f"{ROOT}/tasks/{task_id}", _taken(row))


@router.get("/files/{version_id}")
def download(request: Request, viewer: StaffViewer, version_id: RowId) -> Response:
    """Send a file to be kept."""
    return content_response(request, *files.file_content(viewer, version_id))


@router.get("/files/{version_id}/inline")
def inline(request: Request, viewer: StaffViewer, version_id: RowId) -> Response:
    """Send an image or a PDF to be shown by the browser itself; anything else is only sent to be kept."""
    row, content = files.file_content(viewer, version_id)
    policy = INLINE.get(row.media_type)
    if policy is None:
        return content_response(request, row, content)
    request.state.framed = "SAMEORIGIN"
    return content_response(request, row, content, policy, "inline")


@router.get("/files/{version_id}/view")
def view(request: Request, viewer: StaffViewer, version_id: RowId) -> Response:
    """Show a version as far as it can be shown, with the other versions of its field."""
    shown = files.file_page(viewer, version_id)
    older = next((one for one in shown.versions if one.number < shown.file.number), None)
    return page(request, viewer, "file.html", active="deals", page=shown, file=shown.file, older=older)


@router.get("/files/{version_id}/compare")
def compare(request: Request, viewer: StaffViewer, version_id: RowId, older: OtherVersion = "") -> Response:
    """Show what changed between two versions of one field (★40)."""
    older_id = identity(older)
    if older_id is None:
        msg = "Выберите версию, с которой сравнить."
        raise NotFound(msg)
    found = files.comparison(viewer, version_id, older_id)
    runs = [(kind, list(group)) for kind, group in groupby(found.paragraphs, key=lambda one: one.kind)]
    return page(request, viewer, "file_compare.html", active="deals", page=found, runs=runs)


@router.post("/files/{version_id}/restore")
def restore(request: Request, viewer: StaffViewer, version_id: RowId, form: Form) -> Response:
    """Make an old version the present one, after a question."""
    with reading() as session:
        row = files.file_row(session, viewer, version_id)
    if form.get("confirmed") != "yes":
        return page(
            request, viewer, "confirm.html", active="deals", title=f"Вернуть версию {row.number}?",
            text=f"Действующим станет файл «{row.name}», загруженный раньше.",
            consequences=["Он станет новой версией; нынешняя останется в списке.",
                          "Согласия, данные другому содержимому, перестанут действовать."],
            action=f"{ROOT}/files/{version_id}/restore", back=row.link, tone="primary", hidden={},
            button="Вернуть эту версию",
        )  # fmt: skip
    new = files.restore(viewer, version_id)
    return done(request, new.link, f"Версия {row.number} возвращена: теперь это версия {new.number}.")


def content_response(
    request: Request, row: FileVersionRow, content: BinaryIO, policy: str = SEALED, how: str = "attachment"
) -> Response:
    """Return a file as an answer under a policy of its own; its name travels as RFC 5987 says."""
    request.state.policy = policy
    plain = "".join(one if one.isascii() and (one.isalnum() or one in " ._-") else "_" for one in row.name)
    headers = {
        "Content-Disposition": f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(row.name, safe='')}",
        "Content-Length": str(row.size),
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return StreamingResponse(_pieces(content), media_type=row.media_type, headers=headers)


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    with content:
        while piece := content.read(PIECE):
            yield piece


def _refused(error: BackofficeError, field: str, sent: Sent) -> Errors:
    errors = Errors.of(error, f"{FILE_FIELD}-{field}")
    errors.status = 413 if sent.refused else errors.status
    return errors


def _taken(row: FileVersionRow) -> str:
    return f"Файл «{row.name}» загружен: версия {row.number}."
