"""Files that people send: taken up to the setting's limit, by known senders only, and judged beside their form."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from backoffice.ui.errors import BodyLimit, BodyTooLarge
from backoffice.ui.security import Guard, is_api
from include.documents import services as documents
from include.documents.rules import too_large
from include.documents.storage import NO_SPACE, StorageFailed
from include.shared.errors import InvalidInput
from include.shared.work import reading
from include.staff.services import Viewer

FILE_FIELD = "file"
AROUND = 64 * 1024  # what a form has besides its file


@dataclass(frozen=True)
class Sent:
    """The file of a form, or why it was not even read; ``take`` says it in words."""

    name: str = ""
    stream: BinaryIO | None = None
    refused: str = ""

    def take(self) -> tuple[str, BinaryIO]:
        """Return the file's name and content; InvalidInput when there is none."""
        if self.stream is None or not self.name:
            raise InvalidInput(self.refused or "Выберите файл.", FILE_FIELD)
        return self.name, self.stream


class UploadGuard(Guard):
    """A guard whose route takes one file: the sender is known before his file is read."""

    async def receive(self, request: Request) -> bool:
        """Read the form with its file, up to the limit, into a temporary place.

        A page is told of a larger one by its route (there is nothing that ``take`` would give it); a program here.
        """
        request.state.sent = Sent()
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            return True
        limit: BodyLimit = request.state.body_limit
        limit.bytes, limit.said = await run_in_threadpool(_limit)
        try:
            await _read(request, limit)
        except BodyTooLarge:
            if is_api(request):
                raise
            request.state.sent = Sent(refused=limit.said)
            return False
        return True


async def _read(request: Request, limit: BodyLimit) -> None:
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced[:20]) > limit.bytes:
        raise BodyTooLarge(limit.said)
    try:
        form = await request.form(max_files=1, max_fields=20)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFailed(NO_SPACE) from error
        raise
    file = form.get(FILE_FIELD)
    if isinstance(file, UploadFile):
        request.state.sent = Sent(file.filename or "", file.file)


def _limit() -> tuple[int, str]:
    with reading() as session:
        limit = documents.limit_bytes(session)
    return limit + AROUND, too_large(limit)


def _sent(request: Request) -> Sent:
    sent: Sent = request.state.sent
    return sent


upload = UploadGuard("staff")
UploadViewer = Annotated[Viewer, Depends(upload)]
SentFile = Annotated[Sent, Depends(_sent)]
