"""API: files of cases and their versions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from backoffice.ui.routes.api_common import RowId, Text, failures
from backoffice.ui.routes.pages_files import content_response
from backoffice.ui.security import StaffViewer
from backoffice.ui.uploads import SentFile, UploadViewer
from include.shared.work import reading
from include.workplace import files
from include.workplace.shapes import ComparisonPage, FileField, FileVersionRow

router = APIRouter(tags=["Файлы"])
FieldCode = Annotated[Text, Path(max_length=100, description="Код поля, например contract_draft")]
#: The guard reads the form itself, once it knows the sender; so the form is described here by hand.
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
#: A file is sent as what it is: a picture, a PDF, a spreadsheet.
CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("/deals/{deal_id}/files", summary="Файлы сделки с версиями", responses=failures(404))
def deal_files(viewer: StaffViewer, deal_id: RowId) -> list[FileField]:
    """Return the file fields of a deal, each with its versions, the newest first."""
    with reading() as session:
        return files.deal_files(session, viewer, deal_id)


@router.post(
    "/deals/{deal_id}/files/{field}", status_code=201, summary="Загрузить файл в поле сделки",
    responses=failures(403, 404, 409, 413), openapi_extra=FORM,
)  # fmt: skip
def upload_to_deal(viewer: UploadViewer, deal_id: RowId, field: FieldCode, sent: SentFile) -> FileVersionRow:
    """Put a file into a field: the next version, or the present one when the content is the same."""
    return files.upload_to_deal(viewer, deal_id, field, *sent.take())


@router.post(
    "/tasks/{task_id}/files/{field}", status_code=201, summary="Загрузить файл, которого просит задача",
    responses=failures(403, 404, 409, 413), openapi_extra=FORM,
)  # fmt: skip
def upload_to_task(viewer: UploadViewer, task_id: RowId, field: FieldCode, sent: SentFile) -> FileVersionRow:
    """Put a file where the task wants it: into the deal's field or into its own result."""
    return files.upload_to_task(viewer, task_id, field, *sent.take())


@router.get("/files/{version_id}", summary="Версия файла", responses=failures(404))
def version(viewer: StaffViewer, version_id: RowId) -> FileVersionRow:
    """Return what is known of a version."""
    with reading() as session:
        return files.file_row(session, viewer, version_id)


@router.get(
    "/files/{version_id}/content", summary="Содержимое версии", response_class=Response,
    responses=failures(404) | CONTENT,
)  # fmt: skip
def content(request: Request, viewer: StaffViewer, version_id: RowId) -> Response:
    """Send the content, read through and found undamaged."""
    return content_response(request, *files.file_content(viewer, version_id))


@router.get("/files/{version_id}/changes/{older_id}", summary="Что изменилось с другой версии", responses=failures(404))
def changes(viewer: StaffViewer, version_id: RowId, older_id: RowId) -> ComparisonPage:
    """Return the difference of the texts of two versions of one field."""
    return files.comparison(viewer, version_id, older_id)


@router.post(
    "/files/{version_id}/restore", status_code=201, summary="Вернуть прежнюю версию", responses=failures(403, 404, 409)
)
def restore(viewer: StaffViewer, version_id: RowId) -> FileVersionRow:
    """Make an old version the present one: a new version with its content."""
    return files.restore(viewer, version_id)
