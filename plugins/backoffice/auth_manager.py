"""Who is who in Airflow: people and passwords of the business database; staff only starts its form processes.

Staff needs no Airflow page: whoever may see a run sees its XComs and logs. Operators and administrators have the
rights that Airflow's own simple manager gives to OP and ADMIN.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from airflow.api_fastapi.app import API_ROOT_PATH, get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.datamodels.login import LoginBody, LoginResponse
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.configuration import conf
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse
from jwt import InvalidTokenError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse

from include.process.forms import FORMS, may_start
from include.shared.texts import storable
from include.shared.work import reading
from include.staff import attempts
from include.staff.attempts import TooManyTries
from include.staff.services import Viewer, check_password, viewer
from include.workplace.outages import TRY_AGAIN, is_outage

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
    from airflow.api_fastapi.common.types import MenuItem
    from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger(__name__)

LOGIN_PATH = f"{API_ROOT_PATH}backoffice/login"
STAFF, OP, ADMIN = "STAFF", "OP", "ADMIN"
ROLE_OF_ACCESS = {"staff": STAFF, "ops": OP, "admin": ADMIN}
KNOWN_FOR_SECONDS = 5.0
MOST_KNOWN = 5000
LONGEST_LOGIN, LONGEST_PASSWORD = 200, 1000
LARGEST_LOGIN = 16 * 1024  # bytes of a request for a token
FIRST_VERSION = 1  # of the sessions of a login; tokens of a release before 0.3 do not say theirs
TRUSTED_PROXIES = "BACKOFFICE_TRUSTED_PROXIES"
WRONG = "Неверный логин или пароль."

_path: ContextVar[str | None] = ContextVar("backoffice_request_path", default=None)


class StaffUnavailable(Exception):
    """The business database does not answer, so nobody can be recognised now."""


class BackofficeUser(SimpleAuthManagerUser):
    """A person as Airflow knows him: the login, the role that his access gives, the version of his sessions."""

    def __init__(
        self, *, username: str, role: str, person_id: int | None = None, session_version: int = FIRST_VERSION
    ) -> None:
        super().__init__(username=username, role=role)
        self.person_id = person_id
        self.session_version = session_version

    def is_session_of(self, person: Viewer) -> bool:
        """Say whether a token with these claims is still good for the person who has this login now."""
        return self.session_version == person.session_version and self.person_id in (None, person.person_id)


class _Known:
    """Who a login is, remembered for a few seconds: a deactivated person loses Airflow within them."""

    def __init__(self) -> None:
        self._people: dict[str, tuple[float, Viewer | None]] = {}
        self._lock = threading.Lock()

    def get(self, login: str, *, anew: bool = False) -> Viewer | None:
        with self._lock:
            seen_at, person = self._people.get(login, (0.0, None))
        if time.monotonic() - seen_at < KNOWN_FOR_SECONDS and seen_at and not anew:
            return person
        try:
            with reading() as session:
                person = viewer(session, login)
        except Exception as error:
            if is_outage(error):
                raise StaffUnavailable(TRY_AGAIN) from error
            raise
        with self._lock:
            if len(self._people) >= MOST_KNOWN:
                self._people.clear()
            self._people[login] = (time.monotonic(), person)
        return person

    def forget(self) -> None:
        with self._lock:
            self._people.clear()


known = _Known()


def log_in(login: str, password: str, address: str) -> BackofficeUser | None:
    """Return the user when login and password fit, else None; TooManyTries for guessing (``staff.attempts``)."""
    if not login or not password:
        return None
    try:
        counted = attempts.try_login(login, address)
        person = _judged(login, password)
        if person is not None:
            attempts.right(counted)
    except Exception as error:
        if is_outage(error):
            raise StaffUnavailable(TRY_AGAIN) from error
        raise
    return user_of(person) if person is not None else None


def user_of(person: Viewer) -> BackofficeUser:
    """Return a person as Airflow knows him, with what a token of his says."""
    return BackofficeUser(
        username=person.login, role=ROLE_OF_ACCESS[person.access], person_id=person.person_id,
        session_version=person.session_version,
    )  # fmt: skip


def _judged(login: str, password: str) -> Viewer | None:
    if len(login) > LONGEST_LOGIN or len(password) > LONGEST_PASSWORD or not storable([login, password]):
        return None
    with reading() as session:
        return check_password(session, login, password)


class BackofficeAuthManager(SimpleAuthManager):
    """Airflow's simple manager with people from the business database and no right for staff but its forms."""

    def init(self) -> None:
        """Begin without users of the configuration, password file and printed passwords."""
        BaseAuthManager.init(self)

    def get_url_login(self, **kwargs: Any) -> str:
        """Return our login page; ``next_url`` comes back after it (checked there)."""
        next_url = kwargs.get("next_url")
        return f"{LOGIN_PATH}?{urlencode({'next': next_url})}" if next_url else LOGIN_PATH

    def serialize_user(self, user: SimpleAuthManagerUser) -> dict[str, Any]:
        """Return what a token says: who, and the version of his sessions; rights are looked up at every request."""
        claims: dict[str, Any] = {"sub": user.username, "role": user.role}
        if isinstance(user, BackofficeUser):
            claims |= {"person": user.person_id, "version": user.session_version}
        return claims

    def deserialize_user(self, token: dict[str, Any]) -> BackofficeUser:
        """Return the user that a token names, without any right yet."""
        return BackofficeUser(
            username=str(token["sub"]), role=STAFF, person_id=token.get("person"),
            session_version=token.get("version", FIRST_VERSION),
        )  # fmt: skip

    async def get_user_from_token(self, token: str) -> BackofficeUser:
        """Return the active person behind a valid token with his present access; InvalidTokenError for others."""
        claimed = await super().get_user_from_token(token)
        assert isinstance(claimed, BackofficeUser)  # noqa: S101 - made by ``deserialize_user``
        person = await run_in_threadpool(known.get, claimed.get_id())
        if person is not None and not claimed.is_session_of(person):  # the token may be newer than what is remembered
            person = await run_in_threadpool(known.get, claimed.get_id(), anew=True)
        if person is None or not claimed.is_session_of(person):
            msg = "The person has no access any more"
            raise InvalidTokenError(msg)
        return user_of(person)

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """Let staff trigger the form processes it may start and read their own entry; nothing else."""
        if user.role != STAFF:
            return bool(
                super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
            )
        dag_id = details.id if details is not None else None
        if dag_id is None or dag_id not in FORMS or not isinstance(user, BackofficeUser):
            return False
        reads = method == "GET" and access_entity is None
        starts = method == "POST" and access_entity is DagAccessEntity.RUN
        # the same right would allow other acts on runs: only the one address that starts a run is let through
        if not reads and not (starts and (_path.get() or "").endswith(f"/api/v2/dags/{dag_id}/dagRuns")):
            return False
        with reading() as session:
            return may_start(session, dag_id, user.person_id)

    def is_authorized_team(self, *, method: Any, user: SimpleAuthManagerUser, details: Any = None) -> bool:
        """Give teams to operators and administrators only."""
        return user.role != STAFF and bool(super().is_authorized_team(method=method, user=user, details=details))

    def is_authorized_hitl_task(self, *, assigned_users: set[str], user: SimpleAuthManagerUser) -> bool:
        """Leave Airflow's own questions to operators."""
        return user.role != STAFF and bool(super().is_authorized_hitl_task(assigned_users=assigned_users, user=user))

    def filter_authorized_menu_items(
        self, menu_items: list[MenuItem], *, user: SimpleAuthManagerUser
    ) -> list[MenuItem]:
        """Show no menu of Airflow to staff."""
        return [] if user.role == STAFF else menu_items

    def get_fastapi_middlewares(self) -> list[Any]:
        """Register what tells an outage of the business database in words."""
        return [(Doorkeeper, {})]

    def get_fastapi_app(self) -> FastAPI:
        """Return the app under ``/auth``: tokens for programs; people log in on our page."""
        return _token_app()

    def _get_teams(self) -> set[str]:
        return set()

    @staticmethod
    def _is_admin(user: SimpleAuthManagerUser) -> bool:
        return user.role == ADMIN

    @staticmethod
    def _is_authorized(
        *, method: Any, allow_role: Any, user: Any, allow_get_role: Any = None, team_name: Any = None
    ) -> bool:
        if user.role not in (OP, ADMIN):
            return False
        return bool(
            SimpleAuthManager._is_authorized(
                method=method, allow_role=allow_role, user=user, allow_get_role=allow_get_role, team_name=team_name
            )
        )


class Doorkeeper:
    """Keep the address of the request for the rights of staff; answer 503 in words when nobody can be recognised."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = _path.set(scope["path"])
        begun = False

        async def sending(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except StaffUnavailable as error:
            if begun:
                raise
            wants_page = "text/html" in Headers(scope=scope).get("accept", "")
            answer = (
                PlainTextResponse(str(error), 503, headers={"Retry-After": "3"})
                if wants_page
                else JSONResponse({"detail": str(error)}, 503, headers={"Retry-After": "3"})
            )
            await answer(scope, receive, send)
        finally:
            _path.reset(seen)


def address_of(request: Request) -> str:
    """Return the address that a request came from, as far as it can be trusted.

    ``X-Forwarded-For`` is believed only from a proxy that BACKOFFICE_TRUSTED_PROXIES names (addresses and networks,
    by commas), and only back to the first address that is none of them: anybody can write what stands before.
    """
    peer = request.client.host if request.client else ""
    proxies = _networks(os.environ.get(TRUSTED_PROXIES, ""))
    hops = [one.strip() for one in ",".join(request.headers.getlist("x-forwarded-for")).split(",")]
    while hops and _is_one_of(peer, proxies):
        before = hops.pop()
        if _ip(before) is None:
            break
        peer = before
    return peer


@lru_cache(maxsize=4)
def _networks(said: str) -> tuple[IPv4Network | IPv6Network, ...]:
    found = []
    for one in filter(None, (part.strip() for part in said.split(","))):
        try:
            found.append(ip_network(one, strict=False))
        except ValueError:
            log.error("%s names no address or network: %r; it is not trusted", TRUSTED_PROXIES, one)
    return tuple(found)


def _is_one_of(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    known = _ip(address)
    return known is not None and any(known in one for one in networks if one.version == known.version)


def _ip(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None


def _token(body: LoginBody, request: Request, seconds: int) -> LoginResponse:
    try:
        user = log_in(body.username, body.password, address_of(request))
    except TooManyTries as error:
        raise HTTPException(429, str(error), {"Retry-After": str(error.seconds)}) from error
    except StaffUnavailable as error:
        raise HTTPException(503, str(error), {"Retry-After": "3"}) from error
    if user is None:
        raise HTTPException(401, WRONG)
    return LoginResponse(access_token=get_auth_manager().generate_jwt(user=user, expiration_time_in_seconds=seconds))


async def _login_body(request: Request) -> LoginBody:
    """Read a login and a password, as JSON or as a form; what is neither is told without repeating what was sent."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in READERS:
        raise HTTPException(415, "Пришлите логин и пароль как JSON или как форму.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_LOGIN:
            raise HTTPException(413, "Слишком большой запрос.")
    try:
        return LoginBody(**READERS[kind](body))
    except (ValueError, TypeError, RecursionError):  # of a ValidationError, too, which would repeat the password
        raise HTTPException(422, "Нужны username и password.") from None


READERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "application/json": json.loads,
    "application/x-www-form-urlencoded": lambda body: dict(parse_qsl(body.decode(), max_num_fields=10)),
}


def _token_app() -> FastAPI:
    app = FastAPI(title="Вход в Airflow", docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/token", status_code=201)
    def create_token(request: Request, body: LoginBody = Depends(_login_body)) -> LoginResponse:  # noqa: B008
        """Give a token for a login and a password."""
        return _token(body, request, conf.getint("api_auth", "jwt_expiration_time"))

    @app.post("/token/cli", status_code=201)
    def create_token_cli(request: Request, body: LoginBody = Depends(_login_body)) -> LoginResponse:  # noqa: B008
        """Give a longer token for the command line."""
        return _token(body, request, conf.getint("api_auth", "jwt_cli_expiration_time"))

    @app.get("/{rest:path}", include_in_schema=False)
    def page(request: Request, rest: str) -> RedirectResponse:  # noqa: ARG001
        """Lead people to our login page."""
        target = request.query_params.get("next")
        return RedirectResponse(get_auth_manager().get_url_login(next_url=target), 303)

    return app
