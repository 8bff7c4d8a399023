"""Who calls, and whether he may: every route carries exactly one of the guards below (a test demands it).

A page's cookie is sent by the browser whoever made it ask, so a change asked for with the cookie must come from our
own pages (Origin) and carry a token bound to the session. A program with a Bearer token needs neither.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager, get_cookie_path
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from airflow.configuration import conf
from fastapi import Depends, HTTPException, Request
from fastapi.responses import Response
from jwt import InvalidTokenError
from starlette.concurrency import run_in_threadpool

from backoffice.auth_manager import WRONG, BackofficeUser, address_of, known, log_in, user_of
from include.shared.clock import is_virtual
from include.shared.errors import BackofficeError, Forbidden, InvalidInput, NotFound
from include.shared.work import reading
from include.staff.services import Viewer
from include.staff.services import viewer as viewer_of

Access = Literal["public", "staff", "ops", "admin", "virtual_clock"]
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"
UPLOADS = re.compile(r"(/api)?/(deals|tasks)/[0-9]+/files/[^/]+|(/api)?/money/statements/(bank|sheet)|/1c/exchange")
FOREIGN = "Запрос пришёл не с нашей страницы. Откройте страницу заново и повторите."


class NotLoggedIn(BackofficeError):
    """Nobody is logged in, or the login has ended."""


@dataclass(frozen=True)
class Guard:
    """The classification of a route, and its check."""

    access: Access

    async def __call__(self, request: Request) -> Viewer:
        """Return who calls; NotLoggedIn, Forbidden or NotFound otherwise."""
        if self.access == "virtual_clock" and not is_virtual():
            msg = "Часы настоящие: переводить их нельзя."
            raise NotFound(msg)
        viewer = await current_viewer(request)
        if self.access == "ops" and viewer.access not in ("ops", "admin"):
            msg = "Это может только администратор или сопровождение."
            raise Forbidden(msg)
        if self.access in ("admin", "virtual_clock") and not viewer.is_admin:
            msg = "Это может только администратор."
            raise Forbidden(msg)
        if changes_by_cookie(request) and not _from_our_page(request):
            raise Forbidden(FOREIGN)
        if await self.receive(request):
            await _check_token(request)
        request.state.viewer = viewer
        return viewer

    async def receive(self, _request: Request) -> bool:
        """Say whether the body may be read; a guard of uploads reads it here, now that it knows who sends it."""
        return True


@dataclass(frozen=True)
class PublicGuard:
    """The classification of a route open to everybody: a foreign page may still not make a browser change things."""

    access: Access = "public"

    async def __call__(self, request: Request) -> None:
        """Refuse a change that a foreign page asks for."""
        if request.method in SAFE_METHODS:
            return
        is_program = _is_api(request) and not _asking_origin(request)
        if not is_program and not _from_our_page(request):
            raise Forbidden(FOREIGN)


public = PublicGuard()
staff = Guard("staff")
ops = Guard("ops")
admin = Guard("admin")
virtual_clock = Guard("virtual_clock")

StaffViewer = Annotated[Viewer, Depends(staff)]
OpsViewer = Annotated[Viewer, Depends(ops)]
AdminViewer = Annotated[Viewer, Depends(admin)]
ClockKeeper = Annotated[Viewer, Depends(virtual_clock)]


async def current_viewer(request: Request) -> Viewer:
    """Return the active person behind the Bearer token or the cookie, looked up anew; NotLoggedIn for nobody."""
    try:
        user = await get_user(request, None, await bearer_scheme(request))
    except (HTTPException, InvalidTokenError) as error:
        msg = "Войдите в систему."
        raise NotLoggedIn(msg) from error
    viewer = await run_in_threadpool(_look_up, user.get_id())
    # Airflow's manager knows people for some seconds; our own pages are strict at once
    if viewer is None or not (isinstance(user, BackofficeUser) and user.is_session_of(viewer)):
        msg = "Доступ закрыт. Обратитесь к администратору."
        raise NotLoggedIn(msg)
    return viewer


async def maybe_viewer(request: Request) -> Viewer | None:
    """Return who calls, or None: for public pages."""
    try:
        return await current_viewer(request)
    except NotLoggedIn:
        return None


def start_session(request: Request, login: str, password: str) -> str:
    """Return the session's token for a fitting login and password, else InvalidInput; TooManyTries for guessing."""
    user = log_in(login, password, address_of(request))
    if user is None:
        raise InvalidInput(WRONG)
    return token_for(user)


def renew_session(request: Request, response: Response, viewer: Viewer) -> None:
    """Give the browser a session of the login's present version: his others have just ended."""
    known.forget()
    with reading() as session:
        present = viewer_of(session, viewer.login)
    if present is not None:
        set_session(request, response, token_for(user_of(present)))


def token_for(user: BackofficeUser) -> str:
    """Return a fresh token made by the auth manager's own generator."""
    return str(get_auth_manager().generate_jwt(user=user))


def set_session(request: Request, response: Response, token: str) -> None:
    """Give the browser the session's cookie, as Airflow expects it."""
    response.set_cookie(
        COOKIE_NAME_JWT_TOKEN, token, path=get_cookie_path(), httponly=True, samesite="lax", secure=_secure(request)
    )


def end_session(request: Request, response: Response) -> None:
    """Revoke the session's token and take the cookie away."""
    token = request.cookies.get(COOKIE_NAME_JWT_TOKEN)
    if token:
        get_auth_manager().revoke_token(token)
    for path in {get_cookie_path(), "/"}:
        response.delete_cookie(COOKIE_NAME_JWT_TOKEN, path=path, httponly=True, samesite="lax", secure=_secure(request))


def csrf_token(request: Request) -> str:
    """Return a token for the forms of a page: signed and bound to this session."""
    nonce = secrets.token_hex(8)
    return f"{nonce}.{_sign(nonce, request.cookies.get(COOKIE_NAME_JWT_TOKEN, ''))}"


def safe_next(request: Request, target: str | None, default: str | None = None) -> str:
    """Return the address to go to after the login as a path of this site; anything foreign gives the default."""
    fallback = default or f"{request.scope.get('root_path', '')}/"
    if not target or len(target) > 2000 or target.startswith("//") or "\\" in target:
        return fallback
    if any(ord(sign) < 33 for sign in target):
        return fallback
    try:
        parts = urlsplit(target)
    except ValueError:
        return fallback
    is_ours = f"{parts.scheme}://{parts.netloc}" in _our_origins(request)
    if (parts.scheme or parts.netloc) and not is_ours:
        return fallback
    if not parts.path.startswith("/") or parts.path.startswith("//"):
        return fallback
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{parts.path}{query}{fragment}"


def is_api(request: Request) -> bool:
    """Say whether a program asks (JSON answers) rather than a page."""
    return _is_api(request)


def changes_by_cookie(request: Request) -> bool:
    """Say whether a browser asks for a change: only then its page and its token are asked for."""
    return request.method not in SAFE_METHODS and not _has_bearer(request)


def is_upload(request: Request) -> bool:
    """Say whether the address is one where files are sent to: only there a body may be large."""
    path = str(request.scope.get("path", "")).removeprefix(request.scope.get("root_path", ""))
    return request.method == "POST" and UPLOADS.fullmatch(path) is not None


def _look_up(login: str) -> Viewer | None:
    with reading() as session:
        return viewer_of(session, login)


async def _check_token(request: Request) -> None:
    if not changes_by_cookie(request):
        return
    given = request.headers.get(CSRF_HEADER)
    if given is None and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        value = (await request.form()).get(CSRF_FIELD)
        given = value if isinstance(value, str) else None
    nonce, _, signature = (given or "").partition(".")
    expected = _sign(nonce, request.cookies.get(COOKIE_NAME_JWT_TOKEN, ""))
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
        msg = "Страница устарела. Обновите её и повторите."
        raise Forbidden(msg)


def _has_bearer(request: Request) -> bool:
    return request.headers.get("authorization", "").lower().startswith("bearer ")


def _asking_origin(request: Request) -> str | None:
    origin = request.headers.get("origin")
    if origin is not None:
        return origin
    referer = request.headers.get("referer")
    if not referer:
        return None
    try:
        parts = urlsplit(referer)
    except ValueError:
        return "null"
    return f"{parts.scheme}://{parts.netloc}"


def _from_our_page(request: Request) -> bool:
    return _asking_origin(request) in _our_origins(request)


def _our_origins(request: Request) -> set[str]:
    own = {f"{request.url.scheme}://{request.url.netloc}"}
    configured = urlsplit(conf.get("api", "base_url", fallback="") or "")
    if configured.netloc:
        own.add(f"{configured.scheme}://{configured.netloc}")
    return own


def _is_api(request: Request) -> bool:
    root = request.scope.get("root_path", "")
    path = str(request.scope.get("path", ""))
    return path.removeprefix(root).startswith("/api/")


def _sign(nonce: str, session: str) -> str:
    secret = str(conf.get("api", "secret_key")).encode()
    message = f"csrf:{nonce}:{hashlib.sha256(session.encode()).hexdigest()}".encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def _secure(request: Request) -> bool:
    return request.url.scheme == "https" or bool(conf.get("api", "ssl_cert", fallback=""))
