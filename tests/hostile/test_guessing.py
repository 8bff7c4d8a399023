"""Passwords and links are guessed slowly: by login and by address, on every way in, and nobody is locked out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from starlette.requests import Request
from starlette.testclient import TestClient

from include.shared.db import engine
from include.staff import attempts, services
from include.staff.attempts import LIMITS, LONGEST_PAUSE, TooManyTries
from tests.hostile.conftest import Watch, bearer, token_of
from tests.ui.api.conftest import PASSWORD
from tests.ui.conftest import ORIGIN, Desk

pytestmark = [pytest.mark.db, pytest.mark.usefixtures("nobody_guesses")]
FREE = LIMITS["login"].free


def client_at(app: Any, address: str = "203.0.113.5") -> TestClient:
    return TestClient(app, client=(address, 50000), follow_redirects=False, raise_server_exceptions=False)


def by_api(client: TestClient, login: str, password: str) -> Any:
    return client.post("/backoffice/api/session", json={"login": login, "password": password})


def by_page(client: TestClient, login: str, password: str) -> Any:
    sent = {"login": login, "password": password}
    return client.post("/backoffice/login", data=sent, headers={"Origin": ORIGIN})


def by_airflow(client: TestClient, login: str, password: str) -> Any:
    return client.post("/auth/token", json={"username": login, "password": password})


WAYS = {"api": by_api, "page": by_page, "airflow": by_airflow}
Way = Callable[[TestClient, str, str], Any]


@pytest.fixture
def app(desk: Desk) -> Any:
    """The app as Airflow mounts it, with the auth manager's own routes beside ours."""
    from airflow.api_fastapi.app import get_auth_manager

    if not any(getattr(one, "path", "") == "/auth" for one in desk.app.routes):
        desk.app.mount("/auth", get_auth_manager().get_fastapi_app())
    return desk.app


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_wrong_passwords_of_one_login_are_slowed_on_every_way_in(app: Any, watch: Watch, way: Way) -> None:
    client = client_at(app)
    assert {way(client, "boss", "guess").status_code for _ in range(FREE)} <= {401, 422}
    refused = way(client, "boss", PASSWORD)  # even the right one has to wait
    assert refused.status_code == 429
    assert 25 <= int(refused.headers["Retry-After"]) <= 30
    assert "Слишком много неудачных попыток. Повторите через" in refused.text
    for other in WAYS.values():  # the ways share their count
        assert other(client_at(app, "198.51.100.9"), "boss", PASSWORD).status_code == 429
    watch.later(seconds=31)
    assert way(client, "boss", PASSWORD).status_code in (201, 303)


def test_each_further_failure_doubles_the_pause_and_a_refusal_adds_nothing(app: Any, watch: Watch) -> None:
    client, pauses = client_at(app), []
    for _ in range(FREE):
        by_api(client, "boss", "guess")
    for _ in range(8):
        for _ in range(3):
            refused = by_api(client, "boss", "guess")
            assert refused.status_code == 429
        pauses.append(int(refused.headers["Retry-After"]))
        watch.later(seconds=pauses[-1] + 1)
        assert by_api(client, "boss", "guess").status_code == 422
    assert [round(one, -1) for one in pauses[:5]] == [30, 60, 120, 240, 480]
    assert max(pauses) <= LONGEST_PAUSE.total_seconds()


def test_a_right_login_forgets_the_wrong_ones(app: Any) -> None:
    client = client_at(app)
    for _ in range(3):
        for _ in range(FREE - 1):
            assert by_api(client, "boss", "guess").status_code == 422
        assert by_api(client, "boss", PASSWORD).status_code == 201


def test_many_logins_from_one_address_are_slowed_too(app: Any) -> None:
    client = client_at(app)
    free = LIMITS["address"].free
    codes = [by_api(client, f"nobody-{number}", "Summer2026").status_code for number in range(free + 2)]
    assert codes == [422] * free + [429] * 2
    assert by_api(client_at(app, "198.51.100.9"), "boss", PASSWORD).status_code == 201


def test_an_own_login_in_between_gives_no_new_tries_of_others(app: Any) -> None:
    client = client_at(app)
    free = LIMITS["address"].free
    for number in range(free):
        by_api(client, f"nobody-{number}", "guess")
        if number % 10 == 0:
            assert by_api(client, "manager", PASSWORD).status_code == 201
    assert by_api(client, "somebody-else", "guess").status_code == 429


def test_a_stranger_locks_nobody_out_where_he_was_right_before(app: Any) -> None:
    """The administrator at his own desk gets in, whoever guesses at his login from elsewhere."""
    desk_of_admin, stranger = client_at(app, "192.0.2.10"), client_at(app, "203.0.113.66")
    assert by_api(desk_of_admin, "admin", PASSWORD).status_code == 201
    for _ in range(FREE + 3):
        by_api(stranger, "admin", "guess")
    assert by_api(stranger, "admin", "guess").status_code == 429
    assert by_api(client_at(app, "198.51.100.77"), "admin", PASSWORD).status_code == 429  # a place unknown so far
    assert by_api(desk_of_admin, "admin", PASSWORD).status_code == 201
    for _ in range(FREE):  # nor may somebody at that desk guess for ever
        by_api(desk_of_admin, "admin", "guess")
    assert by_api(desk_of_admin, "admin", "guess").status_code == 429


def test_nobody_waits_longer_than_a_quarter_of_an_hour(app: Any, watch: Watch) -> None:
    stranger = client_at(app)
    for _ in range(40):
        refused = by_api(stranger, "admin", "guess")
        watch.later(seconds=int(refused.headers.get("Retry-After", 0)) + 1)
    watch.later(minutes=15)
    assert by_api(client_at(app, "198.51.100.1"), "admin", PASSWORD).status_code == 201


def test_a_hundred_tries_at_once_are_a_hundred_tries(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted before the slow hash, one after the other: no more than the free ones are judged."""
    judged: list[int] = []
    monkeypatch.setattr("backoffice.auth_manager.check_password", lambda *_: judged.append(1))
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: by_api(client_at(app), "boss", "guess").status_code, range(24)))
    assert (codes.count(422), codes.count(429)) == (FREE, 24 - FREE)
    assert len(judged) == FREE


def test_known_and_unknown_logins_are_answered_alike(app: Any, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same words, the same statuses, the same work: one hash is verified either way."""
    verified: list[str] = []
    real = services._hasher

    class Watched:
        def verify(self, stored: str, password: str) -> bool:
            verified.append(stored)
            return bool(real.verify(stored, password))

    monkeypatch.setattr(services, "_hasher", Watched())
    seen: dict[str, list[Any]] = {}
    for login in ("boss", "no-such-login"):
        client, before = client_at(app, "192.0.2.1" if login == "boss" else "192.0.2.2"), len(verified)
        answers = [by_api(client, login, "guess") for _ in range(FREE + 1)]
        seen[login] = [(one.status_code, one.json()) for one in answers] + [len(verified) - before]  # type: ignore[list-item]
    assert seen["boss"] == seen["no-such-login"]
    assert seen["boss"][-1] == FREE  # whoever waits costs no hash


def test_counting_reads_and_writes_the_same_for_both(desk: Desk, app: Any) -> None:
    asked: dict[str, int] = {}
    for login in ("boss", "no-such-login"):
        client = client_at(app, "192.0.2.3")
        with desk.questions() as statements:
            by_api(client, login, "guess")
        asked[login] = len(statements)
    assert asked["boss"] == asked["no-such-login"]


def test_what_is_typed_as_a_login_is_not_kept(desk: Desk, app: Any) -> None:
    by_api(client_at(app), "my-secret-password", "x")
    kept = desk.one("SELECT string_agg(kind || key, ' ') FROM login_attempt")
    assert "my-secret-password" not in kept


def test_old_tries_are_cleaned_away(desk: Desk, app: Any, watch: Watch) -> None:
    for number in range(5):
        by_api(client_at(app, f"192.0.2.{number}"), f"nobody-{number}", "x")
    assert by_api(client_at(app), "boss", PASSWORD).status_code == 201
    watch.later(days=61)
    by_api(client_at(app), "nobody", "x")
    assert desk.one("SELECT count(*) FROM login_attempt") == 2  # of this last one
    assert desk.one("SELECT count(*) FROM known_place") == 0


STRANGE = ["", "x" * 300, "boss\x00", "\ud800", "💥" * 50, "BOSS", " boss ", "'; DROP TABLE account; --"]


@pytest.mark.parametrize("login", STRANGE, ids=range(len(STRANGE)))
def test_strange_logins_are_refused_in_words(app: Any, login: str) -> None:
    client = client_at(app)
    for path, name in (("/backoffice/api/session", "login"), ("/auth/token", "username")):
        body = json.dumps({name: login, "password": "x"})
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (401, 422), (path, answer.status_code, answer.text)


BAD_LOGIN_BODIES = [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"username": 1}', b"[" * 9000, b'{"username": "boss"}', b"x" * 20_000,
    b'{"username": "boss", "password": "hunter-2-secret", "more": 1}',
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_LOGIN_BODIES, ids=range(len(BAD_LOGIN_BODIES)))
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
def test_bad_requests_for_a_token_of_airflow_are_refused_in_words(app: Any, body: bytes, kind: str) -> None:
    for path in ("/auth/token", "/auth/token/cli"):
        answer = client_at(app).post(path, content=body, headers={"Content-Type": kind})
        assert answer.status_code in (413, 415, 422), (answer.status_code, answer.text)
        assert re.search("[а-я]", answer.json()["detail"])
        assert "hunter-2-secret" not in answer.text


def test_a_form_gives_a_token_of_airflow_too(app: Any) -> None:
    given = client_at(app).post("/auth/token", data={"username": "boss", "password": PASSWORD})
    assert given.status_code == 201, given.text


def test_other_writings_of_a_login_are_the_same_login(app: Any) -> None:
    client = client_at(app)
    for number in range(FREE):
        by_api(client, ("boss", "BOSS", " boss ")[number % 3], "guess")
    assert by_api(client, "Boss", "guess").status_code == 429


def test_links_are_guessed_slowly(app: Any, watch: Watch) -> None:
    client, free = client_at(app), LIMITS["link"].free
    codes = [client.get(f"/backoffice/decide/guess-{number}").status_code for number in range(free + 1)]
    assert codes == [404] * free + [429]
    refused = client.post("/backoffice/decide/guess", data={"answer": "approve"}, headers={"Origin": ORIGIN})
    assert (refused.status_code, int(refused.headers["Retry-After"]) > 20) == (429, True)
    assert client_at(app, "198.51.100.2").get("/backoffice/decide/guess").status_code == 404
    watch.later(seconds=31)
    assert client.get("/backoffice/decide/guess").status_code == 404


# --- pure: pauses and addresses ---


@given(some.integers(0, 10_000), some.sampled_from(sorted(LIMITS)))
def test_a_pause_only_grows_and_ends(wrong: int, kind: str) -> None:
    limit = LIMITS[kind]
    assert timedelta(0) <= limit.pause_after(wrong) <= limit.pause_after(wrong + 1) <= LONGEST_PAUSE
    assert (limit.pause_after(wrong) == timedelta(0)) == (wrong < limit.free)


@given(some.floats(0.001, 900))
def test_what_a_person_is_told_to_wait_is_never_too_short(seconds: float) -> None:
    assert TooManyTries(timedelta(seconds=seconds)).seconds >= seconds


@given(some.ip_addresses(v=6))
def test_a_subscriber_of_ipv6_is_one_address(address: Any) -> None:
    if address.ipv4_mapped is not None:
        assert attempts.network_of(str(address)) == str(address.ipv4_mapped)
        return
    neighbour = type(address)((int(address) >> 64 << 64) + 7)
    assert attempts.network_of(str(address)) == attempts.network_of(str(neighbour))


@given(some.text(max_size=300))
def test_any_text_is_some_address(text_: str) -> None:
    assert "\x00" not in attempts.network_of(text_)


def address_seen(peer: str, *forwarded: str) -> str:
    from backoffice.auth_manager import address_of

    headers = [(b"x-forwarded-for", one.encode("latin-1", "replace")) for one in forwarded]
    return address_of(Request({"type": "http", "client": (peer, 1), "headers": headers}))


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "counts"),
    [
        ("", "10.0.0.1", ["203.0.113.9"], "10.0.0.1"),  # nobody is trusted: a header is only words
        ("10.0.0.1", "10.0.0.2", ["203.0.113.9"], "10.0.0.2"),  # not by way of the proxy
        ("10.0.0.1", "10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", "10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),  # what a client wrote himself counts nothing
        ("10.0.0.1", "10.0.0.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", ["203.0.113.9, 10.2.3.4"], "203.0.113.9"),  # two proxies of ours
        ("10.0.0.0/8, fd00::/8", "fd00::1", ["203.0.113.9, 10.2.3.4"], "203.0.113.9"),
        ("10.0.0.1", "10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", ["203.0.113.9:1234"], "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", [""], "10.0.0.1"),
        ("nonsense, 10.0.0.1", "10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ],
)
def test_which_address_counts_behind_a_proxy(
    monkeypatch: pytest.MonkeyPatch, trusted: str, peer: str, forwarded: list[str], counts: str
) -> None:
    monkeypatch.setenv("BACKOFFICE_TRUSTED_PROXIES", trusted)
    assert address_seen(peer, *forwarded) == counts


# --- sessions ---


def test_a_changed_password_ends_the_other_sessions(desk: Desk, app: Any) -> None:
    here, elsewhere, program = desk.enter("taker"), desk.enter("taker"), client_at(app)
    program.headers.update(bearer(token_of("taker")))
    assert program.get("/backoffice/api/me").status_code == 200
    new = "another-horse-9"
    sent = {"old_password": PASSWORD, "new_password": new, "repeated": new}
    assert here.post("/me/password", **sent).status_code == 200
    assert here.get("/me").status_code == 200  # he stays where he is
    assert elsewhere.get("/me", follow_redirects=False).status_code == 303
    assert program.get("/backoffice/api/me").status_code == 401
    assert by_api(client_at(app, "192.0.2.44"), "taker", new).status_code == 201


def test_a_password_given_by_the_administrator_ends_the_sessions(desk: Desk, app: Any) -> None:
    from include.shared.work import transaction
    from include.staff import admin

    program = client_at(app)
    program.headers.update(bearer(token_of("accountant")))
    assert program.get("/backoffice/api/me").status_code == 200
    with transaction(desk.company.actor("admin")) as work:
        admin.set_account(work, desk.company.people["accountant"], "accountant", "given-horse-10", "staff")
    assert program.get("/backoffice/api/me").status_code == 401


def test_whoever_is_taken_back_logs_in_anew(desk: Desk, app: Any) -> None:
    from include.shared.work import transaction
    from include.staff import admin

    program = client_at(app)
    program.headers.update(bearer(token_of("leaver")))
    with transaction(desk.company.actor("admin")) as work:
        admin.deactivate_person(work, desk.company.people["leaver"])
        admin.activate_person(work, desk.company.people["leaver"])
        admin.set_account(work, desk.company.people["leaver"], "leaver")
    assert program.get("/backoffice/api/me").status_code == 401


def test_a_login_given_to_somebody_else_does_not_carry_the_sessions_on(desk: Desk, app: Any) -> None:
    """A token says who besides the login: else the former owner would be the new one until it ends."""
    from include.shared.work import transaction
    from include.staff import admin

    program = client_at(app)
    program.headers.update(bearer(token_of("product")))
    with transaction(desk.company.actor("admin")) as work:
        admin.set_account(work, desk.company.people["product"], "orlov")
        one = admin.add_person(work, last_name="Новый", first_name="Имя")
        admin.set_account(work, one.id, "product", PASSWORD, "admin")
    assert program.get("/backoffice/api/me").status_code == 401


def test_a_token_of_the_release_before_is_good_until_the_password_changes(desk: Desk, app: Any) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    signer = get_auth_manager()._get_token_signer(expiration_time_in_seconds=60)
    program = client_at(app)
    program.headers.update(bearer(signer.generate({"sub": "manager", "role": "STAFF"})))
    assert program.get("/backoffice/api/me").status_code == 200
    with engine().begin() as connection:
        connection.exec_driver_sql("UPDATE account SET session_version = 2 WHERE login = 'manager'")
    assert program.get("/backoffice/api/me").status_code == 401
