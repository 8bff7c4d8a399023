"""What Airflow lets staff, operators and administrators do, asked of the real auth manager."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from include.shared.work import transaction
from include.staff import admin
from tests.ui.api.conftest import PASSWORD, PEOPLE, Company

pytestmark = pytest.mark.db


@pytest.fixture
def manager(outer_app: FastAPI) -> Any:
    from airflow.api_fastapi.app import get_auth_manager

    return get_auth_manager()


def user(company: Company, login: str) -> Any:
    from backoffice.auth_manager import ROLE_OF_ACCESS, BackofficeUser

    return BackofficeUser(username=login, role=ROLE_OF_ACCESS[PEOPLE[login][2]], person_id=company.people[login])


def asked(method: str, path: str) -> Any:
    """Say what request Airflow is answering, as the middleware does."""
    from backoffice import auth_manager

    return auth_manager._path.set(path)


def test_staff_starts_only_its_forms(manager: Any, company: Company) -> None:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

    person = user(company, "manager")
    form, other = DagDetails(id="client_request"), DagDetails(id="goods_identification")

    def may(method: str, details: Any, entity: Any = None) -> bool:
        return bool(manager.is_authorized_dag(method=method, user=person, access_entity=entity, details=details))

    asked("POST", "/api/v2/dags/client_request/dagRuns")
    assert may("POST", form, DagAccessEntity.RUN)
    assert not may("POST", other, DagAccessEntity.RUN)
    assert may("GET", form)
    assert not may("GET", other)
    assert not may("GET", None)
    for entity in DagAccessEntity:
        for method in ("GET", "PUT", "DELETE", *(("POST",) if entity is not DagAccessEntity.RUN else ())):
            assert not may(method, form, entity), (method, entity)
    for address in ("/api/v2/dags/client_request/dagRuns/x/clear", "/api/v2/dags/other/dagRuns", "/ui/backfills"):
        asked("POST", address)
        assert not may("POST", form, DagAccessEntity.RUN), address


def test_staff_has_nothing_else_of_airflow(manager: Any, company: Company) -> None:
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.common.types import MenuItem

    person = user(company, "manager")
    for what in ("configuration", "connection", "asset", "asset_alias", "pool", "variable", "team"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            assert not getattr(manager, f"is_authorized_{what}")(method=method, user=person), (what, method)
    assert not any(manager.is_authorized_view(access_view=one, user=person) for one in AccessView)
    assert not manager.is_authorized_custom_view(method="GET", resource_name="x", user=person)
    assert not manager.is_authorized_hitl_task(assigned_users={"manager"}, user=person)
    assert manager.filter_authorized_menu_items(list(MenuItem), user=person) == []
    assert manager.filter_authorized_dag_ids(dag_ids={"client_request", "x"}, user=person) == {"client_request"}


def test_operators_keep_runs_and_administrators_everything(manager: Any, company: Company) -> None:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.common.types import MenuItem

    details = DagDetails(id="goods_identification")
    for login in ("ops", "admin"):
        person = user(company, login)
        for entity in (DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.TASK_LOGS):
            for method in ("GET", "POST", "PUT", "DELETE"):
                assert manager.is_authorized_dag(method=method, user=person, access_entity=entity, details=details)
        assert manager.is_authorized_connection(method="PUT", user=person)
        assert manager.filter_authorized_menu_items(list(MenuItem), user=person)


async def _who(manager: Any, token: str) -> Any:
    return await manager.get_user_from_token(token)


def test_rights_come_from_the_database_not_from_the_token(manager: Any, company: Company) -> None:
    import asyncio

    from jwt import InvalidTokenError

    from backoffice.auth_manager import BackofficeUser, known

    known.forget()
    forged = manager.generate_jwt(BackofficeUser(username="colleague", role="ADMIN"))
    assert asyncio.run(_who(manager, forged)).role == "STAFF"
    unknown = manager.generate_jwt(BackofficeUser(username="nobody", role="ADMIN"))
    with pytest.raises(InvalidTokenError):
        asyncio.run(_who(manager, unknown))


def test_a_deactivated_person_is_known_for_seconds_only(manager: Any, company: Company, monkeypatch: Any) -> None:
    import asyncio

    from jwt import InvalidTokenError

    from backoffice import auth_manager

    with transaction(company.actor("admin")) as work:
        one = admin.add_person(work, last_name="Временный", first_name="Имя")
        admin.set_account(work, one.id, "temp", PASSWORD, "ops")
    token = manager.generate_jwt(auth_manager.BackofficeUser(username="temp", role="OP"))
    assert asyncio.run(_who(manager, token)).role == "OP"
    with transaction(company.actor("admin")) as work:
        admin.deactivate_person(work, one.id)
    assert auth_manager.KNOWN_FOR_SECONDS <= 10
    monkeypatch.setattr(auth_manager, "KNOWN_FOR_SECONDS", 0.0)
    with pytest.raises(InvalidTokenError):
        asyncio.run(_who(manager, token))


def test_tokens_for_programs(manager: Any, company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    app = TestClient(manager.get_fastapi_app(), raise_server_exceptions=False, follow_redirects=False)
    given = app.post("/token", json={"username": "ops", "password": PASSWORD})
    assert given.status_code == 201
    assert given.json()["access_token"].count(".") == 2
    assert app.post("/token/cli", json={"username": "ops", "password": PASSWORD}).status_code == 201
    for wrong in ({"username": "ops", "password": "x"}, {"username": "ops\x00", "password": "x"}):
        assert app.post("/token", json=wrong).status_code == 401
    assert app.post("/token", json={"username": ""}).status_code in (400, 422)
    assert PASSWORD not in "".join(capsys.readouterr())
    login = app.get("/login?next=/dags/x")
    assert (login.status_code, login.headers["location"]) == (303, "/backoffice/login?next=%2Fdags%2Fx")


def test_no_database_is_told_in_words(company: Company) -> None:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from backoffice.auth_manager import Doorkeeper, StaffUnavailable

    def page(request: Any) -> PlainTextResponse:
        raise StaffUnavailable("База данных сейчас занята.")

    app = Starlette(routes=[Route("/x", page)], middleware=[Middleware(Doorkeeper)])
    client = TestClient(app, raise_server_exceptions=False)
    answer = client.get("/x")
    assert (answer.status_code, answer.json()) == (503, {"detail": "База данных сейчас занята."})
    assert client.get("/x", headers={"Accept": "text/html"}).text == "База данных сейчас занята."
