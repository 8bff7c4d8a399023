"""Logging in and out, where a login leads, and failures in words instead of stack traces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from include.shared.work import transaction
from include.staff import admin
from include.staff.models import Account, Person
from tests.ui.api.conftest import OUR, PASSWORD, Company, client_of, forget_guesses

pytestmark = pytest.mark.db
LOGIN = "/backoffice/login"


@pytest.fixture(autouse=True)
def nobody_is_known_yet(outer_app: FastAPI) -> Iterator[None]:
    from backoffice import auth_manager

    auth_manager.known.forget()
    forget_guesses()
    yield


def log_in(outer: FastAPI, login: str, password: str, next_: str = "") -> Any:
    client = client_of(outer)
    data = {"login": login, "password": password, "next": next_}
    return client, client.post(LOGIN, data=data, headers={"Origin": OUR})


def test_a_person_logs_in_works_and_logs_out(outer_app: FastAPI, company: Company) -> None:
    from tests.ui.api.test_routes import csrf_of

    client, answer = log_in(outer_app, "manager", PASSWORD, "/backoffice/board?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/backoffice/board?x=1")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("_token="))
    assert {"httponly", "path=/", "samesite=lax"} <= {one.strip().lower() for one in cookie.split(";")}
    assert client.get("/backoffice/").status_code == 200
    token = client.cookies["_token"]
    out = client.post("/backoffice/logout", data={"csrf": csrf_of(outer_app, token)}, headers={"Origin": OUR})
    assert out.status_code == 303
    assert client.cookies.get("_token") is None
    stolen = client_of(outer_app).get("/backoffice/api/me", headers={"Authorization": f"Bearer {token}"})
    assert stolen.status_code == 401  # revoked, not only forgotten by the browser


def test_over_https_the_cookie_is_secure(outer_app: FastAPI) -> None:
    from starlette.testclient import TestClient

    client = TestClient(outer_app, base_url="https://office.example", follow_redirects=False)
    data = {"login": "manager", "password": PASSWORD}
    answer = client.post(LOGIN, data=data, headers={"Origin": "https://office.example"})
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
        "https://testserver@evil.example/", "http://testserver.evil.example/", "/\t/evil.example", "///evil.example",
        "http:evil.example", "data:text/html,x", "https:/evil.example", "ftp://testserver/", "",
    ],
)  # fmt: skip
def test_a_login_leads_only_to_our_own_pages(outer_app: FastAPI, target: str) -> None:
    from starlette.requests import Request

    from backoffice.ui.security import safe_next

    scope = {
        "type": "http", "method": "GET", "scheme": "http", "server": ("testserver", 80), "path": LOGIN,
        "root_path": "/backoffice", "query_string": b"", "headers": [(b"host", b"testserver")],
    }  # fmt: skip
    assert safe_next(Request(scope), target) == "/backoffice/"
    assert safe_next(Request(scope), f"{OUR}/dags/x?a=1#b") == "/dags/x?a=1#b"


@pytest.mark.parametrize("password", ["", "wrong", "x" * 100_000, "\x00", "пароль"])
def test_a_wrong_password_is_told_without_a_hint(outer_app: FastAPI, password: str) -> None:
    _, answer = log_in(outer_app, "manager", password)
    assert answer.status_code in (401, 422), answer.text
    assert "_token" not in answer.headers.get("set-cookie", "")
    api = client_of(outer_app).post("/backoffice/api/session", json={"login": "nobody", "password": "wrong"})
    assert api.status_code == 422
    assert api.json()["error"] == "Неверный логин или пароль."


def test_guessing_is_stopped(outer_app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    from backoffice import auth_manager

    monkeypatch.setattr(auth_manager, "check_password", lambda *_: None)
    client = client_of(outer_app)
    body = {"login": "boss", "password": "guess"}
    codes = [client.post("/backoffice/api/session", json=body).status_code for _ in range(12)]
    assert codes == [422] * 5 + [429] * 7


def test_a_deactivated_person_is_out_at_the_next_request(outer_app: FastAPI, as_: Any, company: Company) -> None:
    leaver = as_("leaver")
    assert leaver.get("/me").status_code == 200
    with transaction(company.actor("admin")) as work:
        admin.deactivate_person(work, company.people["leaver"])
    from backoffice import auth_manager

    auth_manager.known.forget()
    assert leaver.get("/me").status_code == 401


def test_a_page_asks_to_log_in_and_comes_back(outer_app: FastAPI) -> None:
    answer = client_of(outer_app).get("/backoffice/deals?q=%D1%8F")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/backoffice/login?next=%2Fbackoffice%2Fdeals%3Fq%3D%25D1%258F"


BAD_BODIES: list[bytes] = [
    b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"title": 1}', b'{"title": "\\u0000", "funnel": "goods"}',
    b'{"title": "\\ud800", "funnel": "goods"}',
    b'{"title": "x", "funnel": "goods", "company_id": 99999999999999999999}',
    b'{"title": "x", "funnel": "goods", "company_id": -1}', b'{"title": "x", "funnel": "goods", "company_id": "1; --"}',
    b'{"title": "x", "funnel": "goods", "responsible_id": 1e400}', b'{"title": "x", "funnel": "\\u0000"}',
    b'{"title": "x", "funnel": "goods", "fields": {"amount": NaN}}',
    b'{"title": "x", "funnel": "goods", "fields": {"amount": 1e999}}',
    b'{"title": "x", "funnel": "goods", "fields": {"a\\u0000": "x"}}',
    b'{"title": "x", "funnel": "goods", "fields": {"need_contract": "\\ud800"}}',
    b'{"title": "x", "funnel": "goods", "fields": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"title": "x", "funnel": "goods", "fields": {"amount": ' + b"9" * 5000 + b"}}",
    b'{"title": "' + b"x" * 400 + b'", "funnel": "goods"}', b'{"title": "x", "funnel": "goods", "unknown": 1}',
    b'{"title": "x", "funnel": "goods", "company": {"name": "\\u0000"}}',
    b'{"title": "x", "funnel": "goods", "request_key": "' + b"k" * 500 + b'"}',
    b'{"title": "x", "funnel": "goods", "request_key": "a\\nb"}',
    b'{"title": "x", "funnel": "goods", "company_id": 77777}',
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_bad_bodies_are_refused_in_words_and_change_nothing(as_: Any, body: bytes) -> None:
    from include.deals.models import Deal

    with transaction() as work:
        before = work.session.query(Deal).count()
    answer = as_("manager").post("/deals", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, (body[:80], answer.status_code, answer.text[:200])
    assert answer.json()["error"]
    assert "Traceback" not in answer.text
    with transaction() as work:
        assert work.session.query(Deal).count() == before


@pytest.mark.parametrize("number", ["0", "-1", "9223372036854775808", "1" * 400, "1.5", "x", "%00", "1%20OR%201", "١"])
def test_strange_ids_are_refused(as_: Any, anonymous: Any, tokens: dict[str, str], number: str) -> None:
    for path in ("/deals/{}", "/tasks/{}", "/companies/{}", "/requests/{}", "/deals/{}/history", "/deals/{}/waits"):
        answer = as_("admin").get(path.format(number))
        assert answer.status_code in (404, 422), (path, number, answer.text[:200])
        assert answer.json()["error"]
    anonymous.cookies.set("_token", tokens["admin"])
    for path in ("/deals/{}", "/tasks/{}", "/board/{}", "/requests/{}", "/forms/{}"):
        page = anonymous.get(f"/backoffice{path.format(number)}")
        assert page.status_code in (404, 422), (path, number, page.text[:200])


@pytest.mark.parametrize("query", ["%00", "%ED%A0%80", "%", "'; DROP TABLE deal; --", "x" * 300, "%25_%5C", "\\"])
def test_strange_searches_break_nothing(as_: Any, query: str) -> None:
    for path in ("/deals?query=", "/companies?query=", "/companies/similar?name=", "/deals/board?funnel=goods&query="):
        assert as_("manager").get(path + query).status_code in (200, 422), (path, query)


def test_large_bodies_are_refused(as_: Any) -> None:
    large = json.dumps({"title": "x" * 1_100_000, "funnel": "goods"})
    answer = as_("manager").post("/deals", content=large, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (413, "Слишком большой запрос: до 1 МБ.")

    def drops() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    answer = as_("manager").post("/deals", content=drops(), headers={"Content-Type": "application/json"})
    assert answer.status_code in (413, 422)


def test_unknown_addresses_and_methods_are_told(as_: Any, anonymous: Any) -> None:
    assert as_("manager").get("/none").json() == {"error": "Такой страницы нет."}
    assert as_("manager").delete("/deals").status_code == 405
    page = anonymous.get("/backoffice/none")
    assert page.status_code == 404
    assert "text/" in page.headers["content-type"]


def test_a_busy_database_asks_to_try_again(as_: Any, company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy import text

    deal = company.deals["mine"]
    with transaction() as work:  # holds the case longer than lock_timeout
        case_id = work.session.scalar(text("SELECT case_id FROM deal WHERE id = :id"), {"id": deal})
        work.lock_case(case_id)
        answer = as_("manager").patch(f"/deals/{deal}/fields", json={"amount": "1"})
    assert answer.status_code == 503
    assert "Повторите через несколько секунд" in answer.json()["error"]
    assert answer.headers["Retry-After"]


def test_no_database_is_an_outage_not_a_fault(
    as_: Any, outer_app: FastAPI, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.installation.installation import free_port

    monkeypatch.setenv("BACKOFFICE_DATABASE_URL", f"postgresql+psycopg://x@127.0.0.1:{free_port()}/x")
    answer = as_("manager").get("/me")
    assert answer.status_code == 503, answer.text
    assert "Повторите" in answer.json()["error"]
    assert client_of(outer_app).get("/backoffice/api/health").status_code == 503
    body = {"login": "manager", "password": PASSWORD}
    assert client_of(outer_app).post("/backoffice/api/session", json=body).status_code == 503
    client = client_of(outer_app)
    client.cookies.set("_token", tokens["manager"])
    page = client.get("/backoffice/")
    assert page.status_code == 503
    assert "Traceback" not in page.text


def test_our_own_fault_is_a_number_not_a_trace(as_: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from backoffice.ui.routes import api_staff

    def broken(*_: Any, **__: Any) -> None:
        msg = "secret detail"
        raise RuntimeError(msg)

    monkeypatch.setattr(api_staff.directory, "funnels", broken)
    answer = as_("manager").get("/funnels")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Внутренняя ошибка" in answer.json()["error"]


def test_passwords_are_kept_as_hashes(company: Company) -> None:
    with transaction() as work:
        account = work.session.get_one(Account, company.people["manager"])
        assert account.password_hash.startswith("$argon2")
        assert work.session.get_one(Person, company.people["manager"]).active
