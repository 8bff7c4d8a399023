"""How failures reach a person: in words, with the right HTTP status, never as a stack trace."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backoffice.auth_manager import StaffUnavailable
from backoffice.ui.security import SAFE_METHODS, NotLoggedIn, is_api, is_upload
from include.documents.storage import StorageFailed
from include.shared.clock import VirtualClockRefused
from include.shared.errors import BackofficeError, Conflict, Forbidden, GuardRefused, InvalidInput, NotFound
from include.staff.attempts import TooManyTries
from include.workplace import outages

log = logging.getLogger(__name__)

LARGEST_BODY = 1024 * 1024  # of every request but an upload, whose guard raises it for its sender
TOO_LARGE = "Слишком большой запрос: до 1 МБ."
OUR_FAULT = "Внутренняя ошибка. Сообщите администратору номер {number}."
STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (NotLoggedIn, 401),
    (NotFound, 404),
    (VirtualClockRefused, 404),
    (Forbidden, 403),
    (InvalidInput, 422),
    (GuardRefused, 409),
    (Conflict, 409),
    (TooManyTries, 429),
    (StaffUnavailable, 503),
    (StorageFailed, 503),
    (BackofficeError, 422),
)
#: (request, status, message, missing) -> a page; set by the pages
ErrorPage = Callable[[Request, int, str, list[dict[str, Any]]], Response]
HTTP_WORDS = {
    400: "Запрос нельзя прочитать.",
    404: "Такой страницы нет.",
    405: "Так сюда обращаться нельзя.",
    413: TOO_LARGE,
}
VALUE_WORDS = {
    "missing": "Заполните поле «{field}».",
    "extra_forbidden": "Поле «{field}» здесь не бывает.",
    "string_too_long": "В поле «{field}» слишком длинный текст.",
    "string_too_short": "Заполните поле «{field}».",
    "json_invalid": "Запрос не разобран: это не JSON.",
    "literal_error": "Значение поля «{field}» – не из списка.",
}


def install(app: FastAPI) -> None:
    """Make the app answer failures in words."""
    for kind, _ in STATUSES:
        app.add_exception_handler(kind, _expected)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(Calm, app_=app)
    app.add_middleware(SmallBodies)


def answer(
    request: Request,
    status: int,
    message: str,
    *,
    field: str | None = None,
    missing: list[dict[str, Any]] | None = None,
    app: FastAPI | None = None,
    retry_after: int | None = None,
) -> Response:
    """Return the failure as JSON for programs, as a page (or plain text) for people."""
    pause = 3 if status == 503 else retry_after
    headers = {"Retry-After": str(pause)} if pause is not None else None
    if is_api(request):
        body: dict[str, Any] = {"error": message}
        if field is not None:
            body["field"] = field
        if missing is not None:
            body["missing"] = missing
        return JSONResponse(body, status, headers=headers)
    owner = app or request.app
    page: ErrorPage | None = getattr(owner.state, "error_page", None)
    if page is not None:
        try:
            response = page(request, status, message, missing or [])
        except Exception:
            log.exception("The error page itself failed")
        else:
            response.headers.update(headers or {})
            return response
    return PlainTextResponse(message, status, headers=headers)


async def _expected(request: Request, error: Exception) -> Response:
    status = next(code for kind, code in STATUSES if isinstance(error, kind))
    if status == 401 and not is_api(request):
        return _to_login(request)
    missing = (
        [{"text": one.text, "link": one.link} for one in error.missing] if isinstance(error, GuardRefused) else None
    )
    return answer(
        request, status, str(error), field=getattr(error, "field", None), missing=missing,
        retry_after=getattr(error, "seconds", None),
    )  # fmt: skip


async def _not_valid(request: Request, error: Exception) -> Response:
    first = error.errors()[0] if isinstance(error, RequestValidationError) and error.errors() else {}
    place = [str(one) for one in first.get("loc", ()) if one not in ("body", "query", "path", "header")]
    field = ".".join(place) or None
    pattern = VALUE_WORDS.get(str(first.get("type")), "Значение поля «{field}» не подходит.")
    said = pattern.format(field=field or "запрос")
    if first.get("type") == "value_error" and isinstance(first.get("ctx", {}).get("error"), ValueError):
        said = str(first["ctx"]["error"])
    return answer(request, 422, _printable(said), field=None if field is None else _printable(field))


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    said = str(error.detail) if isinstance(error, BodyTooLarge) else HTTP_WORDS.get(status, "Запрос не выполнен.")
    # the framework says 400 when it cannot read the body at all
    return answer(request, 422 if status == 400 else status, said)


def _to_login(request: Request) -> Response:
    root = request.scope.get("root_path", "")
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query = f"?next={quote(target, safe='')}" if request.method in SAFE_METHODS else ""
    return RedirectResponse(f"{root}/login{query}", 303)


def _printable(said: str) -> str:
    return said.encode("utf-8", "replace").decode()[:500]


class Calm:
    """Answer what nobody expected: outages ask to try again, bad values are refused, our faults get a number."""

    def __init__(self, app: ASGIApp, app_: FastAPI) -> None:
        self.app = app
        self.owner = app_

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and catch what comes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if begun:
                raise
            status, said = self._words(error)
            response = answer(Request(scope, receive), status, said, app=self.owner)
            await response(scope, receive, send)

    def _words(self, error: Exception) -> tuple[int, str]:
        if outages.is_outage(error):
            log.warning("The business database does not answer: %s", type(error).__name__)
            return 503, outages.TRY_AGAIN
        if outages.is_not_storable(error):
            return 422, outages.NOT_STORABLE
        if outages.is_collision(error):
            log.warning("Two acts collided: %s", type(error).__name__)
            return 409, outages.CHANGED_MEANWHILE
        number = secrets.token_hex(4)
        log.exception("Unexpected failure %s", number)
        return 500, OUR_FAULT.format(number=number)


class BodyTooLarge(HTTPException):
    """More bytes than a request may have."""

    def __init__(self, said: str = TOO_LARGE) -> None:
        super().__init__(413, said)


class BodyLimit:
    """How many bytes this request may have; ``said`` is what its sender is told beyond it."""

    def __init__(self) -> None:
        self.bytes, self.said = LARGEST_BODY, TOO_LARGE


class SmallBodies:
    """Refuse a request of more than 1 MB, by its announced length and by its real one.

    Only an upload may be larger: its guard raises ``request.state.body_limit`` once it knows the sender, so nobody
    without a login can send more.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on while it is small."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = BodyLimit()
        scope.setdefault("state", {})["body_limit"] = limit
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        request = Request(scope, receive)
        if not announced.isdigit() or (int(announced[:20]) > limit.bytes and not is_upload(request)):
            response = answer(request, 413, TOO_LARGE, app=scope.get("app"))
            await response(scope, receive, send)
            return
        received = 0

        async def receiving() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit.bytes:
                raise BodyTooLarge(limit.said)
            return message

        await self.app(scope, receiving, send)
