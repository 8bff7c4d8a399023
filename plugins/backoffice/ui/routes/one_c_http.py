"""1C's own «обмен с сайтом» at ``/backoffice/1c/exchange``: every answer is plain text (orders and ``info`` are XML).

It is called by 1C with an account of its own, never by a browser: what comes with a person's cookie or from a page is
refused, so no page can make a browser act here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated, BinaryIO

from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from backoffice import airflow_api
from backoffice.auth_manager import address_of
from backoffice.ui.errors import BodyLimit, BodyTooLarge
from backoffice.ui.security import FOREIGN, PublicGuard
from include.one_c_http import rules, services, sessions
from include.one_c_http.rules import Asked, OneCRefused
from include.one_c_http.services import Given, HttpSettings
from include.one_c_http.sessions import Visit
from include.shared.errors import BackofficeError, Forbidden
from include.staff.attempts import TooManyTries
from include.workplace.outages import is_outage

log = logging.getLogger(__name__)
router = APIRouter()

LOADER = "exchange_1c_nightly"
ANSWER_AFTER = 10.0  # seconds that an ``import`` waits for the loading before 1C is told to ask again
LOOK_EVERY = 0.5
GATHERED = 256 * 1024  # bytes of a body that are written to the disk at once
AROUND = 64 * 1024
PIECE = 64 * 1024


class OneCGuard(PublicGuard):
    """The classification of the address: open to whoever has an account of 1C, closed to browsers."""

    async def __call__(self, request: Request) -> None:
        """Refuse what a browser sends."""
        if any(request.headers.get(one) for one in ("origin", "referer", "sec-fetch-site")):
            raise Forbidden(FOREIGN)
        if COOKIE_NAME_JWT_TOKEN in request.cookies:
            raise Forbidden(FOREIGN)


one_c = OneCGuard()


@router.api_route("/1c/exchange", methods=["GET", "POST"])
async def exchange(request: Request, _guard: Annotated[None, Depends(one_c)]) -> Response:
    """Answer one request of the exchange; a refusal is «failure» with its reason."""
    made = await run_in_threadpool(services.http_settings)
    try:
        return await _answered(request, made)
    except TooManyTries as error:
        refused = _text(f"failure\n{rules.one_line(str(error))}", made, 429)
        refused.headers["Retry-After"] = str(error.seconds)
        return refused
    except OneCRefused as error:
        refused = _text(f"failure\n{rules.one_line(str(error))}", made, error.status)
        if error.status == 401:
            refused.headers["WWW-Authenticate"] = 'Basic realm="1C", charset="UTF-8"'
        return refused
    except BodyTooLarge as error:
        return _text(f"failure\n{rules.one_line(str(error.detail))}", made, 413)
    except BackofficeError as error:
        return _text(f"failure\n{rules.one_line(str(error))}", made)


async def _answered(request: Request, made: HttpSettings) -> Response:
    asked = rules.asked_of(request.scope.get("query_string", b""))
    if not asked.mode and request.method == "POST":
        asked = rules.asked_of(await request.body())  # a form; of at most 1 MB, nobody is known yet
    if asked.mode == "checkauth":
        return await _checkauth(request, made)
    token = asked.session or request.cookies.get(rules.COOKIE)
    visit = await run_in_threadpool(sessions.visit_of, token, address_of(request))
    if asked.mode == "file":
        return await _file(request, visit, asked, made)
    if asked.mode == "import":
        return await _import(visit, asked, made)
    if asked.mode == "query":
        return await _query(visit)
    if asked.mode == "info":
        return Response(await run_in_threadpool(services.statuses_xml), media_type="text/xml; charset=windows-1251")
    if asked.mode == "init":
        said, published = await run_in_threadpool(services.begin, visit, asked, made, token or "")
        await _start_loading(published)
        return _text(said, made)
    if asked.mode in ("success", "complete", "deactivate"):
        if asked.mode == "success":
            await run_in_threadpool(services.orders_taken, visit)
        else:
            await _start_loading(await run_in_threadpool(services.sale_ended, visit))
        return _text("success", made)
    known = ", ".join(sorted(rules.MODES))
    msg = f"Неизвестное действие (mode). Есть: {known}."
    raise OneCRefused(msg)


async def _checkauth(request: Request, made: HttpSettings) -> Response:
    header = request.headers.get("authorization")
    said, token = await run_in_threadpool(services.check_access, header, address_of(request))
    response = _text(said, made)
    response.set_cookie(
        rules.COOKIE, token, path=request.url.path, httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return response


async def _file(request: Request, visit: Visit, asked: Asked, made: HttpSettings) -> Response:
    """Write the body aside as it comes, then put it where it belongs: memory stays flat, a broken one is dropped."""
    limit: BodyLimit = request.state.body_limit
    limit.bytes, limit.said = made.part_bytes + AROUND, "Часть файла больше file_limit."
    announced = request.headers.get("content-length", "")
    length = int(announced[:20]) if announced.isdigit() else None
    if length is not None and length > made.part_bytes:
        raise OneCRefused(services.too_large(made.part_bytes), 413)
    spool = await run_in_threadpool(services.Spool, made.part_bytes)
    try:
        gathered = bytearray()
        async for chunk in request.stream():
            gathered += chunk
            if len(gathered) >= GATHERED:
                await run_in_threadpool(spool.write, bytes(gathered))
                gathered.clear()
        await run_in_threadpool(spool.write, bytes(gathered))
        await run_in_threadpool(spool.finish, length)
        return _text(await run_in_threadpool(services.take_part, visit, asked, spool, made), made)
    except ClientDisconnect as error:
        msg = "Связь оборвалась: часть файла не принята."
        raise OneCRefused(msg, 400) from error
    finally:
        await run_in_threadpool(services.end_part, spool)


async def _import(visit: Visit, asked: Asked, made: HttpSettings) -> Response:
    package = await run_in_threadpool(services.import_package, visit, asked)
    loading = await run_in_threadpool(services.import_state, package)
    if loading.goes_on:
        await _start_loading([package])
        until = asyncio.get_running_loop().time() + ANSWER_AFTER
        while loading.goes_on and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(LOOK_EVERY)
            loading = await run_in_threadpool(services.import_state, package)
    return _text(loading.answer, made)


async def _query(visit: Visit) -> Response:
    """Send the orders; that they went is recorded only when the last byte has been handed over."""
    given = await run_in_threadpool(services.give_orders, visit)
    sending = _Sending(given)
    return StreamingResponse(
        sending.pieces(), media_type=f"text/xml; charset={given.encoding}", background=BackgroundTask(sending.went)
    )


class _Sending:
    """An answer of orders on its way."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self.is_whole = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the answer piece by piece and close it."""
        content: BinaryIO = self.given.content
        try:
            while piece := await run_in_threadpool(content.read, PIECE):
                yield piece
            self.is_whole = True
        finally:
            content.close()

    async def went(self) -> None:
        """Record that the answer went out whole: a server runs this only behind the last byte."""
        if self.is_whole and self.given.batch_id is not None:
            await run_in_threadpool(services.orders_went, self.given.batch_id)


async def _start_loading(packages: list[str]) -> None:
    """Have Airflow load what has come now; where it cannot be asked the nightly run takes it."""
    for package in packages:
        try:
            await run_in_threadpool(airflow_api.create_run, LOADER, f"http__{package}", {"package": package})
        except (LookupError, airflow_api.RunIdTaken) as error:
            log.warning("Загрузка %s не начата сразу: %s", package, error)
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("Загрузка %s не начата сразу: Airflow не отвечает (%s)", package, type(error).__name__)


def _text(said: str, made: HttpSettings, status: int = 200) -> Response:
    content, encoding = rules.answer_bytes(said, made.encoding)
    return Response(content, status, media_type=f"text/plain; charset={encoding}")
