"""Every route is classified, and does what its class says; the lists are made from the app itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from tests.ui.api.conftest import OUR, Company, client_of

pytestmark = pytest.mark.db
CHANGES = ("POST", "PUT", "PATCH", "DELETE")
OPEN_MOUNTS = {"/static", "/vendor"}


def sub_app(outer: FastAPI) -> FastAPI:
    return next(one.app for one in outer.routes if isinstance(one, Mount) and one.path == "/backoffice")  # type: ignore[return-value]


def guards(dependant: Dependant) -> Iterator[Any]:
    from backoffice.ui.security import Guard, PublicGuard

    for one in dependant.dependencies:
        if isinstance(one.call, Guard | PublicGuard):
            yield one.call
        yield from guards(one)


def access_of(route: APIRoute) -> str | None:
    found = {one.access for one in guards(route.dependant)}
    return found.pop() if len(found) == 1 else None


def routes(outer: FastAPI) -> list[APIRoute]:
    return [one for one in sub_app(outer).routes if isinstance(one, APIRoute)]


def guarded_mounts(outer: FastAPI) -> list[Mount]:
    """Apps behind a door that asks a guard before anything of theirs."""
    from backoffice.ui.admin.guard import AdministratorsOnly

    return [one for one in sub_app(outer).routes if isinstance(one, Mount) and isinstance(one.app, AdministratorsOnly)]


def calls(outer: FastAPI) -> Iterator[tuple[str, str, str]]:
    """Each (method, address with plausible values, access)."""
    for mount in guarded_mounts(outer):
        for route in mount.routes:
            assert isinstance(route, Route), f"{route}: behind the door only routes"
            address = f"/backoffice{mount.path}" + re.sub(r"\{[^}]+\}", "1", route.path)
            for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, address, mount.app.guard.access
    for route in routes(outer):
        address = "/backoffice" + re.sub(r"\{[^}]+\}", "1", route.path)
        for method in sorted(route.methods - {"HEAD", "OPTIONS"}):
            yield method, address, str(access_of(route))


def test_every_route_is_classified(outer_app: FastAPI) -> None:
    for route in sub_app(outer_app).routes:
        if isinstance(route, APIRoute):
            assert access_of(route) in {"public", "staff", "ops", "admin", "virtual_clock"}, (
                f"{route.path}: put exactly one of public, staff, ops, admin, virtual_clock on it"
            )
        else:
            assert isinstance(route, Mount), route
            if route not in guarded_mounts(outer_app):
                assert route.path in OPEN_MOUNTS, f"{route.path}: a mount is open to everybody"


def test_the_registers_are_for_administrators(outer_app: FastAPI) -> None:
    (mount,) = guarded_mounts(outer_app)
    assert mount.path == "/admin"
    assert mount.app.guard.access == "admin"
    behind = [address for _, address, _ in calls(outer_app) if address.startswith("/backoffice/admin")]
    assert len(behind) >= 10, behind


def test_public_routes_are_the_known_ones(outer_app: FastAPI) -> None:
    found = {address.removeprefix("/backoffice") for _, address, access in calls(outer_app) if access == "public"}
    assert found <= {
        "/login", "/api/session", "/api/health", "/api/openapi.json", "/decide/1", "/decide/1/file",
        "/1c/exchange",
    }  # fmt: skip


def test_without_login_nothing_is_answered(outer_app: FastAPI) -> None:
    client = client_of(outer_app)
    for method, address, access in calls(outer_app):
        if access == "public":
            continue
        answer = client.request(method, address, json={} if "/api/" in address else None, headers={"Origin": OUR})
        if "/api/" in address:
            assert answer.status_code == 401, (method, address, answer.text)
            assert set(answer.json()) == {"error"}
        else:
            assert answer.status_code == 303, (method, address, answer.status_code)
            assert answer.headers["location"].startswith("/backoffice/login")


def test_a_forged_or_revoked_token_is_nobody(outer_app: FastAPI) -> None:
    client = client_of(outer_app)
    for token in ("x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJBRE1JTiJ9."):
        answer = client.get("/backoffice/api/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        client.cookies.set("_token", token)
        assert client.get("/backoffice/api/me").status_code == 401
        client.cookies.clear()


def test_wrong_access_is_refused(outer_app: FastAPI, tokens: dict[str, str]) -> None:
    client = client_of(outer_app)
    checked = 0
    for method, address, access in calls(outer_app):
        if access not in ("ops", "admin", "virtual_clock"):
            continue
        for login in ("manager", "boss", *(() if access == "ops" else ("ops",))):
            headers = {"Authorization": f"Bearer {tokens[login]}"}
            answer = client.request(method, address, json={"value": 1, "to": "2030-01-01T00:00:00Z"}, headers=headers)
            assert answer.status_code == 403, (method, address, login, answer.text)
            checked += 1
    assert checked >= 12


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://testserver:81", "https://testserver"])
def test_a_foreign_page_changes_nothing(outer_app: FastAPI, tokens: dict[str, str], origin: str | None) -> None:
    checked = 0
    for method, address, access in calls(outer_app):
        if method not in CHANGES or (origin is None and address.endswith("/api/session")):
            continue  # a program without a cookie may ask for its token
        client = client_of(outer_app)
        client.cookies.set("_token", tokens["admin"])
        headers = {"Origin": origin} if origin else {}
        is_api = "/api/" in address
        answer = client.request(method, address, json={} if is_api else None, headers=headers)
        assert answer.status_code == 403, (method, address, access, answer.text)
        if is_api:
            assert "не с нашей страницы" in answer.json()["error"]
        checked += 1
    assert checked >= 15


def test_our_page_without_its_token_changes_nothing(outer_app: FastAPI, tokens: dict[str, str]) -> None:
    from backoffice.ui.security import CSRF_HEADER

    others = csrf_of(outer_app, tokens["manager"])
    for method, address, access in calls(outer_app):
        if method not in CHANGES or access == "public":
            continue
        for wrong in (None, "", "x", "a.b", others):
            client = client_of(outer_app)
            client.cookies.set("_token", tokens["admin"])
            headers = {"Origin": OUR} | ({CSRF_HEADER: wrong} if wrong is not None else {})
            is_api = "/api/" in address
            answer = client.request(method, address, json={} if is_api else None, headers=headers)
            assert answer.status_code == 403, (method, address, wrong, answer.text)


def test_our_page_with_its_token_may(outer_app: FastAPI, tokens: dict[str, str], company: Company) -> None:
    from backoffice.ui.security import CSRF_FIELD, CSRF_HEADER

    client = client_of(outer_app)
    client.cookies.set("_token", tokens["manager"])
    token = csrf_of(outer_app, tokens["manager"])
    answer = client.post("/backoffice/api/notices/read", json={}, headers={"Origin": OUR, CSRF_HEADER: token})
    assert answer.status_code == 200, answer.text
    # a browser may leave the Origin out and send the page's address instead
    answer = client.post(
        "/backoffice/notices/read", data={CSRF_FIELD: token}, headers={"Referer": f"{OUR}/backoffice/notices"}
    )
    assert answer.status_code == 303, answer.text


def csrf_of(outer: FastAPI, session: str) -> str:
    from starlette.requests import Request

    from backoffice.ui.security import csrf_token

    return csrf_token(Request({"type": "http", "headers": [(b"cookie", f"_token={session}".encode())]}))


def test_every_answer_carries_the_safe_headers(outer_app: FastAPI, tokens: dict[str, str]) -> None:
    client = client_of(outer_app)
    for address in (
        "/backoffice/login",
        "/backoffice/",
        "/backoffice/api/me",
        "/backoffice/none",
        "/backoffice/api/none",
    ):
        headers = client.get(address).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_pages_have_no_inline_code(outer_app: FastAPI, tokens: dict[str, str]) -> None:
    client = client_of(outer_app)
    client.cookies.set("_token", tokens["admin"])
    for route in routes(outer_app):
        if "GET" not in route.methods or route.path.startswith("/api"):
            continue
        page = client.get("/backoffice" + re.sub(r"\{[^}]+\}", "1", route.path))
        assert page.status_code < 500, (route.path, page.text[:300])
        assert not re.search(
            r"<script(?![^>]*\b(src|nonce))[^>]*>|\son\w+=|javascript:|https?://(?!testserver)[\w.]*cdn", page.text
        ), route.path


def test_the_clock_cannot_be_moved_where_it_is_real(
    outer_app: FastAPI, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKOFFICE_CLOCK", "real")
    from backoffice.ui.app import create_app

    real = create_app()
    assert not [one for one in real.routes if getattr(one, "path", "") in ("/api/clock/advance", "/api/clock/jump")]
    outer = FastAPI()
    outer.mount("/backoffice", real)
    for client in (client_of(outer), client_of(outer_app)):  # also where the route exists but the clock is real now
        headers = {"Authorization": f"Bearer {tokens['admin']}"}
        answer = client.post("/backoffice/api/clock/jump", json={"to": "2030-01-01T00:00:00Z"}, headers=headers)
        assert answer.status_code == 404, answer.text
    described = client_of(outer).get("/backoffice/api/openapi.json").json()
    assert "/api/clock/advance" not in described["paths"]


def test_the_api_describes_itself(outer_app: FastAPI) -> None:
    described = client_of(outer_app).get("/backoffice/api/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert described["servers"] == [{"url": "/backoffice"}]
    for path, methods in described["paths"].items():
        assert path.startswith("/api/"), path
        for method, one in methods.items():
            assert re.search("[а-яА-Я]", one["summary"]), (method, path)
            assert {"401", "422", "503"} <= set(one["responses"]), (method, path)
            ok = next(body for code, body in one["responses"].items() if code.startswith("2"))
            assert ok["content"], (method, path)
            assert all(one["schema"] for one in ok["content"].values()), (method, path)
