"""A real 1C at ``/backoffice/1c/exchange``, played by a client of the documented sequence (issue 5, line 5)."""

from __future__ import annotations

import asyncio
import io
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import text
from starlette.testclient import TestClient

from include.companies.services import create_company
from include.one_c_http import access, receiving, services
from include.one_c_http.loading import Loading
from include.orders import lines
from include.shared import settings
from include.shared.db import engine
from include.shared.work import transaction
from tests.fakes.one_c import ADDRESS, Failure, OneC, basic
from tests.ui.conftest import ORIGIN, Desk

pytestmark = pytest.mark.db
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
GOODS = f"{HEAD}<КоммерческаяИнформация>{' '.join(str(one) for one in range(1500))}</КоммерческаяИнформация>".encode()
OFFERS = f"{HEAD}<КоммерческаяИнформация/>".encode()


class Airflow:
    """The loading of what has come; ``states`` are told one after another, the last one for ever."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.states: list[tuple[str, str]] = [("applied", "Загружено товаров: 1.")]
        self.asked = 0

    def create_run(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> bool:
        assert dag_id == "exchange_1c_nightly"
        assert conf is not None
        assert run_id == f"http__{conf['package']}"
        self.started.append(run_id.removeprefix("http__"))
        return True

    def progress(self, _package: str) -> Loading:
        self.asked += 1
        return Loading(*(self.states.pop(0) if len(self.states) > 1 else self.states[0]))


@pytest.fixture(autouse=True)
def home(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BACKOFFICE_HOME", str(tmp_path))
    with engine().begin() as connection:
        connection.execute(text("UPDATE setting SET value = setting.default, changed_at = NULL"))
        connection.execute(text("DELETE FROM login_attempt"))
    yield tmp_path / "exchange" / "1c" / "incoming"


@pytest.fixture(autouse=True)
def airflow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    from backoffice.ui.routes import one_c_http

    made = Airflow()
    monkeypatch.setattr(one_c_http.airflow_api, "create_run", made.create_run)
    monkeypatch.setattr(services, "loading_of", made.progress)
    monkeypatch.setattr(one_c_http, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(one_c_http, "ANSWER_AFTER", 0.005)
    return made


_logins = iter(range(1, 1000))


def account(desk: Desk, addresses: str = "") -> tuple[str, str]:
    login = f"ut-{next(_logins)}"
    with transaction(desk.company.actor("admin")) as work:
        return login, access.add_access(work, login, "УТ 11", addresses)[1]


@pytest.fixture
def one_c(desk: Desk) -> OneC:
    return OneC(TestClient(desk.app), *account(desk))


def setting(code: str, value: Any) -> None:
    with transaction() as work:
        settings.change(work, code, value)


def packages(home: Path) -> list[Path]:
    return sorted(one for one in home.iterdir() if not one.name.startswith(".")) if home.is_dir() else []


def contents(package: Path) -> dict[str, bytes]:
    return {
        one.relative_to(package).as_posix(): one.read_bytes()
        for one in sorted(package.rglob("*"))
        if one.is_file() and one.name != ".package.json"
    }


# --- the sequence ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("form", [False, True])
@pytest.mark.parametrize("session_in", ["cookie", "query"])
def test_an_upload(one_c: OneC, home: Path, airflow: Airflow, method: str, form: bool, session_in: str) -> None:
    one_c.method, one_c.form, one_c.session_in, one_c.part = method, form, session_in, 1000
    airflow.states = [("waiting", ""), ("loading", "Идёт загрузка."), *airflow.states]
    one_c.upload({"import.xml": GOODS, "offers.xml": OFFERS, "import_files/ab/1.jpg": b"picture"})
    (package,) = packages(home)
    assert contents(package) == {"import.xml": GOODS, "offers.xml": OFFERS, "import_files/ab/1.jpg": b"picture"}
    assert set(airflow.started) == {package.name}


def test_an_archive(one_c: OneC, home: Path) -> None:
    one_c.part = 100
    one_c.upload({"import.xml": GOODS, "offers.xml": OFFERS}, zipped=True)
    (package,) = packages(home)
    ((name, content),) = contents(package).items()
    assert name == "v8_3B8F_3e.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        assert zipped.read("import.xml") == GOODS


def test_archives_can_be_refused(one_c: OneC) -> None:
    setting("one_c_zip", False)
    one_c.enter()
    one_c.begin()
    assert not one_c.takes_zip
    with pytest.raises(Failure, match="не принимаются"):
        one_c.send("a.zip", b"PK\x03\x04")


def test_answers_are_those_of_the_protocol(one_c: OneC) -> None:
    answer = one_c.ask("catalog", "checkauth", headers={"Authorization": basic(one_c.login, one_c.password)})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    said = answer.text.split("\n")
    assert said[:2] == ["success", "backoffice_1c"]
    assert said[3] == f"sessid={said[2]}"
    one_c.cookie = (said[1], said[2])
    assert one_c.begin() == ["zip=yes", f"file_limit={20 * 1024 * 1024}"]
    setting("one_c_schema", "3.1")
    assert one_c.begin(version="3.1")[2:] == [f"sessid={said[2]}", "version=3.1"]
    for mode in ("complete", "deactivate", "success"):
        assert one_c.ask("catalog", mode).text == "success"
    info = one_c.ask("sale", "info")
    assert info.headers["content-type"] == "text/xml; charset=windows-1251"
    assert "<C".encode("cp1251") + "татусы>".encode("cp1251") in info.content


def test_answers_in_windows_1251(one_c: OneC) -> None:
    setting("one_c_answer_encoding", "windows-1251")
    one_c.enter()
    answer = one_c.ask("catalog", "import", filename="import.xml")
    assert answer.headers["content-type"] == "text/plain; charset=windows-1251"
    assert answer.content.decode("cp1251").startswith("failure\nВ этом сеансе файлы не приходили")


@pytest.mark.parametrize(
    ("state", "word"),
    [("applied", "success"), ("repeated", "success"), ("held", "success"), ("failed", "failure"),
     ("waiting", "progress"), ("loading", "progress")],
)  # fmt: skip
def test_what_1c_is_told_of_the_loading(one_c: OneC, airflow: Airflow, state: str, word: str) -> None:
    airflow.states = [(state, "Причина,\nв две строки.")]
    one_c.enter()
    one_c.begin()
    one_c.send("import.xml", OFFERS)
    answer = one_c.ask("catalog", "import", filename="import.xml")
    assert (answer.status_code, answer.text) == (200, f"{word}\nПричина, в две строки.")


def test_a_windows_path_and_cyrillic_names(one_c: OneC, home: Path) -> None:
    one_c.upload({"C:\\Temp\\v8_8789_c.xml": OFFERS, "прайс.xml": GOODS})
    (package,) = packages(home)
    assert set(contents(package)) == {"v8_8789_c.xml", "прайс.xml"}


def test_orders_sent_without_import_are_loaded_too(one_c: OneC, home: Path, airflow: Airflow) -> None:
    one_c.enter("sale")
    one_c.begin("sale")
    one_c.send("orders.xml", OFFERS, "sale")
    assert packages(home) == []
    one_c.ask("sale", "complete")
    assert [one.name for one in packages(home)] == airflow.started


def test_the_unknown_is_refused_in_words(one_c: OneC) -> None:
    one_c.enter()
    for kind, mode in (("catalog", "explode"), ("catalog", ""), ("music", "init")):
        answer = one_c.ask(kind, mode)
        assert answer.text.startswith("failure\nНеизвестн"), answer.text
    assert one_c.ask("catalog", "file", body=b"x").text.startswith("failure\nНе указано имя файла")


# --- broken connections ---------------------------------------------------------------------------


def test_a_repeated_part_is_not_doubled(one_c: OneC, home: Path) -> None:
    """Each answer is lost: 1C sends every part twice, and begins once from the start."""
    one_c.enter()
    one_c.begin()
    one_c.part = 1000
    parts = list(one_c.parts(GOODS))
    for part in (parts[0], parts[0], parts[1], parts[1], parts[0], parts[0], *parts[1:]):
        one_c.lines(one_c.ask("catalog", "file", body=part, filename="import.xml"))
    one_c.load("import.xml")
    (package,) = packages(home)
    assert contents(package) == {"import.xml": GOODS}


def test_a_part_that_broke_off_is_dropped(one_c: OneC, home: Path) -> None:
    one_c.enter()
    one_c.begin()
    whole = GOODS[:2000]
    answer = one_c.ask("catalog", "file", body=whole[:700], filename="a.xml", headers={"Content-Length": "2000"})
    assert answer.status_code == 400
    assert "не полностью" in answer.text
    assert list((home / receiving.SPOOLS).iterdir()) == []
    one_c.part = 2000
    one_c.send("a.xml", GOODS)
    one_c.load("a.xml")
    assert contents(packages(home)[0]) == {"a.xml": GOODS}


def test_an_upload_begun_anew_in_a_new_session(one_c: OneC, home: Path) -> None:
    one_c.part = 1000
    one_c.enter()
    one_c.begin()
    first = next(one_c.parts(GOODS))
    one_c.ask("catalog", "file", body=first, filename="import.xml")
    one_c.upload({"import.xml": GOODS})
    (package,) = packages(home)
    assert contents(package) == {"import.xml": GOODS}


def test_a_lost_answer_to_import(one_c: OneC, home: Path) -> None:
    one_c.upload({"import.xml": GOODS})
    one_c.load("import.xml")
    assert len(packages(home)) == 1


# --- orders ---------------------------------------------------------------------------------------


@pytest.fixture
def deal(desk: Desk) -> int:
    setting("order_to_folder", False)
    actor = desk.company.actor("manager")
    with transaction(actor) as work:
        company = create_company(work, "Иванов Пётр", kind="person", request_key=f"k{next(_logins)}").id
    made = desk.deal("Заказ для 1С", company_id=company)
    with transaction(actor) as work:
        lines.add_line(work, made, {"name": "Насос", "quantity": "2", "price": "94,50", "vat": "vat20"})
    desk.move(made, "Комплектация")
    return made


def numbers(content: bytes) -> list[str]:
    root = etree.fromstring(content)
    return [str(one) for one in root.xpath("//*[local-name()='Документ']/*[local-name()='Номер']/text()")]


def test_orders_are_taken(one_c: OneC, deal: int) -> None:
    one_c.enter("sale")
    one_c.begin("sale")
    content = one_c.orders()
    assert f"СД-{deal}" in numbers(content)
    assert one_c.orders() == content
    one_c.thanks()
    assert numbers(one_c.orders()) == []


def test_ut_11_never_says_success(one_c: OneC, deal: int) -> None:
    one_c.enter("sale")
    assert f"СД-{deal}" in numbers(one_c.orders())
    one_c.enter("sale")
    assert numbers(one_c.orders()) == []


def test_a_wrong_setting_is_said_to_1c(one_c: OneC, deal: int) -> None:
    setting("order_version", "1.0")
    one_c.enter("sale")
    answer = one_c.ask("sale", "query")
    assert answer.text.startswith("failure\nНастройка «Заказы в 1С: версия CommerceML»")


# --- who may come ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["init", "file", "import", "query", "success", "info", "complete"])
def test_without_a_session_nothing_is_answered(desk: Desk, home: Path, mode: str) -> None:
    nobody = OneC(TestClient(desk.app), "", "")
    for cookie in (("", ""), ("backoffice_1c", "guessed")):
        nobody.cookie = cookie
        answer = nobody.ask("sale", mode, body=b"x" if mode == "file" else None, filename="a.xml")
        assert answer.status_code == 401
        assert answer.text.startswith("failure\n")
    assert packages(home) == []


def test_wrong_passwords_are_refused_and_slowed(one_c: OneC) -> None:
    for header in ("", "Basic", "Bearer x", basic(one_c.login, "")):
        answer = one_c.ask("catalog", "checkauth", headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
    for _ in range(5):
        answer = one_c.ask("catalog", "checkauth", headers={"Authorization": basic(one_c.login, "угадай")})
    answer = one_c.ask("catalog", "checkauth", headers={"Authorization": basic(one_c.login, one_c.password)})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Слишком много неудачных попыток" in answer.text


def test_a_persons_password_is_none_of_1c(desk: Desk) -> None:
    from tests.ui.api.conftest import PASSWORD

    answer = OneC(TestClient(desk.app), "admin", PASSWORD).ask(
        "catalog", "checkauth", headers={"Authorization": basic("admin", PASSWORD)}
    )
    assert answer.status_code == 401


def test_only_from_allowed_addresses(desk: Desk) -> None:
    there = OneC(TestClient(desk.app, client=("192.168.1.10", 5)), *account(desk, "192.168.1.0/24"))
    there.enter()
    elsewhere = OneC(TestClient(desk.app, client=("10.0.0.1", 5)), there.login, there.password, cookie=there.cookie)
    assert elsewhere.ask("catalog", "init").status_code == 403
    answer = elsewhere.ask("catalog", "checkauth", headers={"Authorization": basic(there.login, there.password)})
    assert answer.status_code == 403
    assert "адреса обмен не разрешён" in answer.text


def test_a_browser_cannot_act_here(desk: Desk, one_c: OneC) -> None:
    one_c.enter()
    for header in ({"Origin": ORIGIN}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        one_c.headers = header
        assert one_c.ask("catalog", "init").status_code == 403
        assert one_c.ask("catalog", "file", body=b"x", filename="a.xml").status_code == 403
    one_c.headers = {}
    manager = desk.as_("manager")
    assert manager.client.get(f"{ADDRESS}?type=catalog&mode=init").status_code == 403


def test_the_cookie_of_1c_opens_no_page(desk: Desk, one_c: OneC) -> None:
    one_c.enter()
    client = TestClient(desk.app)
    for cookie in (f"backoffice_1c={one_c.cookie[1]}", f"_token={one_c.cookie[1]}"):
        answer = client.get("/backoffice/deals", headers={"Cookie": cookie}, follow_redirects=False)
        assert answer.status_code == 303


# --- sizes ----------------------------------------------------------------------------------------


def test_parts_beyond_the_limit_are_refused(one_c: OneC, home: Path) -> None:
    setting("one_c_part_mb", 1)
    one_c.enter()
    one_c.begin()
    assert one_c.limit == 1024 * 1024
    large = b"x" * (one_c.limit + 1)
    assert one_c.ask("catalog", "file", body=large, filename="a.xml").status_code == 413

    def unannounced() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    answer = one_c.ask("catalog", "file", body=unannounced(), filename="a.xml")
    assert answer.status_code == 413
    assert answer.text.startswith("failure\n")
    one_c.send("a.xml", large[:-1])
    assert list((home / receiving.SPOOLS).iterdir()) == []


def test_nobody_sends_much_without_a_session(desk: Desk) -> None:
    nobody = OneC(TestClient(desk.app), "", "")
    answer = nobody.ask("catalog", "file", body=b"x" * (2 * 1024 * 1024), filename="a.xml")
    assert answer.status_code == 401
    big = TestClient(desk.app).post(ADDRESS, content=b"x" * (2 * 1024 * 1024))  # a form without an end
    assert big.status_code in (401, 413)


async def stream(app: Any, one_c: OneC, name: str, messages: AsyncIterator[dict[str, Any]]) -> tuple[int, bytes]:
    """Send a body message by message, as a server does."""
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": ADDRESS, "raw_path": ADDRESS.encode(), "root_path": "",
        "query_string": f"type=catalog&mode=file&filename={name}".encode(), "server": ("testserver", 80),
        "client": ("testclient", 50000),
        "headers": [(b"host", b"testserver"), (b"cookie", "=".join(one_c.cookie).encode())],
    }  # fmt: skip
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    await app(scope, messages.__anext__, send)
    return said[0]["status"], b"".join(one.get("body", b"") for one in said[1:])


def test_a_connection_broken_in_the_middle_leaves_nothing(desk: Desk, one_c: OneC, home: Path) -> None:
    one_c.enter()
    one_c.begin()

    async def breaking() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "http.request", "body": GOODS[:1000], "more_body": True}
        yield {"type": "http.disconnect"}

    status, said = asyncio.run(stream(desk.app, one_c, "a.xml", breaking()))
    assert (status, said.decode()) == (400, "failure\nСвязь оборвалась: часть файла не принята.")
    assert list((home / receiving.SPOOLS).iterdir()) == []
    one_c.send("a.xml", GOODS)
    one_c.load("a.xml")
    assert contents(packages(home)[0]) == {"a.xml": GOODS}


def test_a_large_part_is_not_held_in_memory(desk: Desk, one_c: OneC, home: Path) -> None:
    setting("one_c_part_mb", 60)
    one_c.enter()
    one_c.begin()
    piece = b"y" * 64 * 1024

    async def body() -> AsyncIterator[dict[str, Any]]:
        for _ in range(800):
            yield {"type": "http.request", "body": piece, "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    tracemalloc.start()
    try:
        status, said = asyncio.run(stream(desk.app, one_c, "big.xml", body()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (status, said) == (200, b"success")
    assert peak < 8 * 1024 * 1024, peak  # of 50 MB
    one_c.load("big.xml")
    assert contents(packages(home)[0])["big.xml"] == piece * 800
