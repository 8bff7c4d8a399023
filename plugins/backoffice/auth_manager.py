"""Who is who in Airflow: people and passwords of the business database; staff only starts its form processes.

Staff needs no Airflow page: whoever may see a run sees its XComs and logs. Operators and administrators have the
rights that Airflow's own simple manager gives to OP and ADMIN.
"""

from __future__ import annotations

import logging
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow.api_fastapi.app import API_ROOT_PATH, get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.datamodels.login import LoginBody, LoginResponse
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.auth.managers.simple.utils import parse_login_body
from airflow.configuration import conf
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse
from jwt import InvalidTokenError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse

from include.process.forms import FORMS, may_start
from include.shared.work import reading
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
TRIES, TRIES_WITHIN_SECONDS = 10, 300.0
WRONG = "Неверный логин или пароль."
TOO_MANY = "Слишком много неудачных попыток. Подождите пять минут."

_path: ContextVar[str | None] = ContextVar("backoffice_request_path", default=None)


class StaffUnavailable(Exception):
    """The business database does not answer, so nobody can be recognised now."""


class TooManyTries(Exception):
    """Somebody is guessing a password."""


class BackofficeUser(SimpleAuthManagerUser):
    """A person as Airflow knows him: the login, and the role that his access gives."""

    def __init__(self, *, username: str, role: str, person_id: int | None = None) -> None:
        super().__init__(username=username, role=role)
        self.person_id = person_id


class _Known:
    """Who a login is, remembered for a few seconds: a deactivated person loses Airflow within them."""

    def __init__(self) -> None:
        self._people: dict[str, tuple[float, Viewer | None]] = {}
        self._lock = threading.Lock()

    def get(self, login: str) -> Viewer | None:
        with self._lock:
            seen_at, person = self._people.get(login, (0.0, None))
        if time.monotonic() - seen_at < KNOWN_FOR_SECONDS and seen_at:
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


class _Tries:
    """Failed logins of one login from one address; in memory of this process, which is enough against guessing."""

    def __init__(self) -> None:
        self._failed: dict[tuple[str, str], list[float]] = {}
        self._lock = threading.Lock()

    def check(self, key: tuple[str, str]) -> None:
        with self._lock:
            recent = [one for one in self._failed.get(key, []) if time.monotonic() - one < TRIES_WITHIN_SECONDS]
        if len(recent) >= TRIES:
            raise TooManyTries(TOO_MANY)

    def failed(self, key: tuple[str, str]) -> None:
        with self._lock:
            if len(self._failed) >= MOST_KNOWN:
                self._failed.clear()
            self._failed[key] = [*self._failed.get(key, [])[1 - TRIES :], time.monotonic()]

    def forget(self, key: tuple[str, str]) -> None:
        with self._lock:
            self._failed.pop(key, None)


known = _Known()
tries = _Tries()


def log_in(login: str, password: str, address: str) -> BackofficeUser | None:
    """Return the user when login and password fit, else None; TooManyTries after ten failures in five minutes."""
    if not login or not password or len(login) > 200 or len(password) > 1000 or "\x00" in login:
        return None
    key = (login.lower(), address)
    tries.check(key)
    try:
        with reading() as session:
            person = check_password(session, login, password)
    except UnicodeEncodeError:
        return None
    except Exception as error:
        if is_outage(error):
            raise StaffUnavailable(TRY_AGAIN) from error
        raise
    if person is None:
        tries.failed(key)
        return None
    tries.forget(key)
    return BackofficeUser(username=person.login, role=ROLE_OF_ACCESS[person.access], person_id=person.person_id)


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
        """Return what the token carries: the login; rights are looked up at every request."""
        return {"sub": user.username, "role": user.role}

    def deserialize_user(self, token: dict[str, Any]) -> BackofficeUser:
        """Return the user that a token names, without any right yet."""
        return BackofficeUser(username=str(token["sub"]), role=STAFF)

    async def get_user_from_token(self, token: str) -> BackofficeUser:
        """Return the active person behind a valid token with his present access; InvalidTokenError for others."""
        user = await super().get_user_from_token(token)
        person = await run_in_threadpool(known.get, user.get_id())
        if person is None:
            msg = "The person has no access any more"
            raise InvalidTokenError(msg)
        return BackofficeUser(username=person.login, role=ROLE_OF_ACCESS[person.access], person_id=person.person_id)

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
    """Return the address that a request came from."""
    return request.client.host if request.client else ""


def _token(body: LoginBody, request: Request, seconds: int) -> LoginResponse:
    try:
        user = log_in(body.username, body.password, address_of(request))
    except TooManyTries as error:
        raise HTTPException(429, str(error)) from error
    except StaffUnavailable as error:
        raise HTTPException(503, str(error)) from error
    if user is None:
        raise HTTPException(401, WRONG)
    return LoginResponse(access_token=get_auth_manager().generate_jwt(user=user, expiration_time_in_seconds=seconds))


def _token_app() -> FastAPI:
    app = FastAPI(title="Вход в Airflow", docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/token", status_code=201)
    def create_token(request: Request, body: LoginBody = Depends(parse_login_body)) -> LoginResponse:  # noqa: B008
        """Give a token for a login and a password."""
        return _token(body, request, conf.getint("api_auth", "jwt_expiration_time"))

    @app.post("/token/cli", status_code=201)
    def create_token_cli(request: Request, body: LoginBody) -> LoginResponse:
        """Give a longer token for the command line."""
        return _token(body, request, conf.getint("api_auth", "jwt_cli_expiration_time"))

    @app.get("/{rest:path}", include_in_schema=False)
    def page(request: Request, rest: str) -> RedirectResponse:  # noqa: ARG001
        """Lead people to our login page."""
        target = request.query_params.get("next")
        return RedirectResponse(get_auth_manager().get_url_login(next_url=target), 303)

    return app
