"""Nothing that tells a secret, a person or our code stands in an answer to a stranger or in a log."""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from starlette.testclient import TestClient

from include.shared import masking
from include.shared.masking import masked, masked_value, names_of_query
from tests.hostile.conftest import bearer
from tests.ui.api.conftest import PASSWORD
from tests.ui.conftest import ORIGIN, Desk

FERNET = "Zm9yLXRlc3RzLW9ubHktMzItYnl0ZXMtb2Yta2V5IQ=="
PLANTED = {
    "phone": "+7 (912) 345-67-89", "bare phone": "89123456789", "e-mail": "ivanova.secret@example.ru",
    "full name": "Тайнова Мария Сергеевна", "short name": "Тайнова М. С.",
    "inn": "7707083893", "own inn": "500100732259",
    "fernet key": FERNET, "link secret": "secret-of-the-tests", "database password": "pg-password-98765",
}  # fmt: skip


# --- the masks -------------------------------------------------------------------------------------------------------


@pytest.mark.unit
@pytest.mark.parametrize(
    ("line", "gone"),
    [
        ("звонил +7 (912) 345-67-89 утром", "345"),
        ("звонил 8 912 345 67 89", "345"),
        ("WhatsApp +44 20 7946 0958", "7946"),
        ("письмо на ivanova.secret@mail.example.ru ушло", "ivanova"),
        ("ИНН 7707083893 уже есть", "7707083893"),
        ("физлицо 500100732259", "500100732259"),
        ("сотрудник Тайнова Мария Сергеевна не найден", "Тайнова"),
        ("сотрудник Мамин-Сибиряк Дмитрий Наркисович", "Сибиряк"),
        ("за Тайнову М. С. решил", "Тайнову"),
        ("postgresql+psycopg://backoffice:s3cr3t-pass@127.0.0.1/backoffice", "s3cr3t-pass"),
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ("token=eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhIn0.c2ln", "eyJzdWIi"),
        ("GET /backoffice/decide/WzEsImFiYyIsMl0.c2lnbmF0dXJl HTTP/1.1", "WzEsImFiYyIsMl0"),
        ("next=%2Fbackoffice%2Fdecide%2FWzEsImFiYyIsMl0.c2ln&x=1", "WzEsImFiYyIsMl0"),
        ('{"password": "correct-horse"}', "correct-horse"),
        ("password='correct-horse'", "correct-horse"),
        ("argon $argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", "c2FsdA"),
        ("gAAAAABlZm9yLXRlc3RzLW9ubHktMzItYnl0ZXMtb2Yta2V5IQ==", "LXRlc3Rz"),
        ("[SQL: INSERT]\n[parameters: {'last_name': 'Тайнова', 'n': [1]}]\n(Background on this error", "Тайнова"),
        ("DETAIL:  Key (lower(name), inn)=(ооо тайна (юг), 1) already exists.", "тайна"),
        ("DETAIL:  Failing row contains (1, Тайна, null).", "Тайна"),
        ('invalid input syntax for type bigint: "Тайна"', "Тайна"),
        ("Input should be a valid integer [type=int, input_value='Тайна', input_type=str]", "Тайна"),
    ],
)  # fmt: skip
def test_what_is_masked(line: str, gone: str) -> None:
    assert gone not in masked(line)
    assert masking.MASK in masked(line)
    assert masked(masked(line)) == masked(line)


@pytest.mark.unit
@pytest.mark.parametrize(
    "line",
    [
        "The business database does not answer: OperationalError", "deal-42-visit-417 started in 1763775601 s",
        "2026-11-22T10:15:30.123456+00:00 [info] request finished", "Прогон deal-7 процесса goods_quote снят",
        "step 8 of 12", "Задача № 9123 закрыта", "9780306406157", "127.0.0.1:8080",
        'File "/work/x.py", line 12, in look', "Отдел Продаж",
        "version 3.11.7+build", "relay: 12 events, 3 processes", "ключ /backoffice/deals/42?view=",
    ],
)  # fmt: skip
def test_what_is_needed_to_mend_things_stays(line: str) -> None:
    assert masked(line) == line


@pytest.mark.unit
@given(
    some.recursive(
        some.text() | some.integers() | some.none(), lambda one: some.lists(one) | some.dictionaries(some.text(), one)
    )
)
def test_any_value_can_be_masked_and_only_once(value: Any) -> None:
    once = masked_value(value)
    assert masked_value(once) == once


@pytest.mark.unit
@given(some.text(max_size=200))
def test_masking_never_takes_long(text_: str) -> None:
    masked(text_ * 20)  # a pattern that tries everything would not come back


@pytest.mark.unit
def test_a_query_keeps_its_names() -> None:
    assert names_of_query("q=Тайнова&page=2&x") == "q=***&page=***&x=***"


@pytest.mark.unit
def test_the_secrets_of_this_program_are_known_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", FERNET)
    monkeypatch.setenv("AIRFLOW__CELERY__RESULT_BACKEND", "db+postgresql://u:p%40ssw0rd-x@h/d")
    masking.forget_secrets()
    try:
        said = masked(f"odd place {FERNET}| p@ssw0rd-x | p%40ssw0rd-x")
    finally:
        masking.forget_secrets()
    assert said == "odd place ***| *** | ***"


# --- the whole server ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planted(desk: Desk) -> dict[str, int]:
    """Somebody and a company with everything about them."""
    from include.companies.services import create_company
    from include.shared.work import transaction
    from include.staff import admin

    with transaction(desk.company.actor("admin")) as work:
        one = admin.add_person(
            work, last_name="Тайнова", first_name="Мария", middle_name="Сергеевна", email=PLANTED["e-mail"]
        )
        admin.set_account(work, one.id, "tainova", PASSWORD)
    with transaction(desk.company.actor("manager")) as work:
        firm = create_company(
            work, "ИП Тайнова Мария Сергеевна", inn="500100732259", kind="sole", email=PLANTED["e-mail"],
            phone=PLANTED["phone"],
        )  # fmt: skip
    desk.company.people["tainova"] = one.id
    return {"person": one.id, "company": firm.id}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What Airflow's own logging writes, made as its programs make it, with our masks."""
    import structlog
    from airflow._shared.logging import structlog as airflow_logging

    from backoffice import masking as of_programs

    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", PLANTED["fernet key"])
    monkeypatch.setenv("BACKOFFICE_SECRET", PLANTED["link secret"])
    monkeypatch.setenv("BACKOFFICE_DATABASE_PASSWORD", PLANTED["database password"])
    masking.forget_secrets()
    before, handlers, level = structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level
    kept = io.StringIO()
    airflow_logging.configure_logging(log_level="DEBUG", output=kept, colors=False)
    of_programs.install()
    yield kept
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    masking.forget_secrets()


def leaks(text_: str, allowed: tuple[str, ...] = ()) -> list[str]:
    found = [name for name, value in PLANTED.items() if name not in allowed and value in text_]
    found += ["password"] if PASSWORD in text_ else []
    found += [name for name in ("JWT_SECRET", "API__SECRET_KEY") for key in os.environ if key.endswith(name)
              and os.environ[key] in text_]  # fmt: skip
    found += ["a token"] if re.search(r"eyJ[\w-]{8,}", text_) else []
    return found + (["a link"] if re.search(r"/decide/(?!\*\*\*)[\w-]", text_) else [])


@pytest.mark.db
def test_logs_of_a_server_hold_no_secret_and_no_person(
    desk: Desk, planted: dict[str, int], tokens: dict[str, str], written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.common.http_access_log import HttpAccessLogMiddleware

    from include.workplace import directory

    client = TestClient(HttpAccessLogMiddleware(desk.app), raise_server_exceptions=False, follow_redirects=False)
    api, admin = "/backoffice/api", bearer(tokens["admin"])
    drive(client, api, admin, planted)

    def broken(*_: Any, **__: Any) -> None:
        secrets = [os.environ["AIRFLOW__API_AUTH__JWT_SECRET"], os.environ["AIRFLOW__API__SECRET_KEY"]]
        text_ = f"cannot handle {PLANTED} of {PASSWORD=} with {tokens['admin']} and {secrets}"
        raise RuntimeError(text_)

    monkeypatch.setattr(directory, "people", broken)
    monkeypatch.setattr(directory, "company", broken)
    monkeypatch.setattr(directory, "absences", broken)
    for path in (f"{api}/people", f"{api}/companies/{planted['company']}", "/backoffice/me"):
        answer = client.get(path, headers=admin)
        assert answer.status_code == 500
        assert leaks(answer.text) == []
    logged = written.getvalue()
    assert logged.count("Unexpected failure") == 3, "the failures must be in the log, with their traces"
    assert "RuntimeError: cannot handle" in logged
    assert "request finished" in logged
    assert leaks(logged, allowed=()) == [], logged[:5000]


def drive(client: TestClient, api: str, admin: dict[str, str], planted: dict[str, int]) -> None:
    """Calls of every kind with the planted things in every place: path, query, header, body; right and wrong."""
    for login, password in (("tainova", PASSWORD), ("tainova", "wrong-" + PASSWORD), (PLANTED["e-mail"], PASSWORD)):
        client.post(f"{api}/session", json={"login": login, "password": password})
        sent = {"login": login, "password": password}
        client.post("/backoffice/login", data=sent, headers={"Origin": ORIGIN})
    client.cookies.clear()
    for value in PLANTED.values():
        for path in ("/search", "/companies", "/deals"):
            client.get(f"{api}{path}", params={"q": value, "query": value}, headers=admin)
        client.get("/backoffice/search", params={"q": value}, headers=admin)
        client.get("/backoffice/login", params={"next": f"/backoffice/search?q={value}"})
        client.get(f"/backoffice/decide/{value}")
        client.get(f"{api}/me", headers=[(b"Authorization", f"Bearer {value}".encode())])
        client.post(f"{api}/companies", json={"name": value, "inn": "1", "email": value}, headers=admin)
        client.post(f"{api}/companies", content=value.encode(), headers={**admin, "Content-Type": "application/json"})
        client.post(f"{api}/forms/client_request", json={"phone": value, "fio": value}, headers=admin)
        client.patch(f"{api}/deals/1/fields", json={value: value}, headers=admin)
    token = admin["Authorization"].split()[1]
    client.get("/backoffice/decide/" + token)
    client.get(f"{api}/me", params={"token": token}, headers=admin)
    client.get(f"{api}/companies/{planted['company']}", headers=admin)
    twice = {"name": "Вторая", "inn": "500100732259", "kind": "sole"}
    assert client.post(f"{api}/companies", json=twice, headers=admin).status_code == 409


@pytest.mark.db
def test_an_error_of_the_database_is_logged_without_its_values(desk: Desk, written: io.StringIO) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    from include.shared.work import transaction

    login, again = (
        "-".join(["секретный", "вход"]),
        "INSERT INTO account (person_id, login, password_hash) VALUES (:id, :login, 'x')",
    )
    try:
        with transaction() as work:
            work.session.execute(text(again), {"id": desk.company.people["boss"], "login": login})
    except IntegrityError:
        logging.getLogger("backoffice").exception("it failed")
    said = written.getvalue()
    assert "IntegrityError" in said
    assert login not in said


@pytest.mark.db
def test_a_line_of_json_is_masked_and_stays_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """The triggerer and the workers write JSON."""
    import structlog
    from airflow._shared.logging import structlog as airflow_logging

    from backoffice import masking as of_programs

    before, handlers = structlog.get_config(), logging.getLogger().handlers[:]
    kept = io.BytesIO()
    try:
        airflow_logging.configure_logging(json_output=True, log_level="INFO", output=kept)
        of_programs.install()
        structlog.get_logger("x").info(
            "звонил", phone=PLANTED["phone"], inside=[{"inn": PLANTED["inn"], "n": 7707083893}]
        )
        try:
            raise ValueError(PLANTED["e-mail"])
        except ValueError:
            structlog.get_logger("x").exception("упало")
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers[:] = handlers
    lines = [json.loads(one) for one in kept.getvalue().splitlines()]
    assert len(lines) == 2
    assert leaks(json.dumps(lines, ensure_ascii=False), allowed=("inn",)) == []
    assert lines[0]["inside"][0] == {"inn": "***", "n": 7707083893}  # a number is no text: JSON must stay readable
    assert "ValueError" in json.dumps(lines[1])


@pytest.mark.db
def test_strangers_are_told_nothing_of_people_and_code(desk: Desk, planted: dict[str, int]) -> None:
    """Every address, asked by nobody, with every method: no person, no path of a file, no name of a class or table."""
    from tests.ui.api.test_routes import calls

    client = TestClient(desk.app, raise_server_exceptions=False, follow_redirects=False)
    for method, address, _ in calls(desk.app):
        for headers in ({}, {"Origin": ORIGIN}):
            answer = client.request(method, address, headers=headers)
            where = (method, address, answer.text[:300])
            assert leaks(answer.text) == [], where
            assert not re.search(
                r"Traceback|File \"|site-packages|sqlalchemy|psycopg|/include/|/plugins/", answer.text
            ), where
            assert not {"x-powered-by", "server"} & set(answer.headers), where
