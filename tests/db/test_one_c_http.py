"""The HTTP exchange on PostgreSQL and a disk: accounts, sessions, parts, packages, orders given (issue 5, line 5)."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from include.exchange_1c import services as exchanges
from include.one_c_http import access, giving, loading, receiving, sessions
from include.one_c_http.models import OneCPackage
from include.one_c_http.receiving import Spool
from include.one_c_http.rules import OneCRefused
from include.one_c_http.sessions import Visit
from include.shared import settings
from include.shared.db import engine
from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.work import transaction
from include.staff.attempts import TooManyTries
from tests.db.driver import Company, Driver
from tests.db.test_orders import buyer, lines

pytestmark = pytest.mark.db
MEGABYTE = 1024 * 1024
XML = '<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация>{}</КоммерческаяИнформация>'
HERE = "10.0.0.5"


class Died(BaseException):
    pass


@pytest.fixture(autouse=True)
def incoming(driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BACKOFFICE_HOME", str(tmp_path))
    driver.check = False
    with engine().begin() as connection:
        connection.execute(
            text("TRUNCATE one_c_access, one_c_session, one_c_package, one_c_file, login_attempt, known_place,"
                 " order_export, order_batch, order_look, deal_line RESTART IDENTITY CASCADE")
        )  # fmt: skip
        connection.execute(text("UPDATE setting SET value = setting.default, changed_at = NULL"))
    yield tmp_path / "exchange" / "1c" / "incoming"


@pytest.fixture
def opened(company: Company) -> tuple[int, str]:
    """An account of 1C and its password."""
    with transaction(company.viewer("admin").actor) as work:
        row, password = access.add_access(work, "ut-11", "УТ 11")
        return row.id, password


@pytest.fixture
def visit(opened: tuple[int, str]) -> Visit:
    return enter(opened)


def enter(opened: tuple[int, str]) -> Visit:
    return sessions.visit_of(sessions.open_session("ut-11", opened[1], HERE), HERE)


def spooled(content: bytes, limit: int = MEGABYTE) -> Spool:
    made = Spool(limit)
    made.write(content)
    made.finish(len(content))
    return made


def send(visit: Visit, name: str, *parts: bytes, kind: str = "catalog", total: int = 100 * MEGABYTE) -> None:
    for one in parts:
        spool = spooled(one)
        try:
            receiving.take_part(visit, kind, name, spool, total)
        finally:
            spool.drop()


def rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with engine().connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql), values)]


def shown(incoming: Path) -> list[str]:
    return sorted(one.name for one in incoming.iterdir() if not one.name.startswith("."))


# --- accounts and sessions ------------------------------------------------------------------------


def test_an_account_is_made_changed_and_closed(company: Company, opened: tuple[int, str]) -> None:
    access_id, password = opened
    ((stored,),) = rows("SELECT password_hash FROM one_c_access")
    assert stored.startswith("$argon2")
    assert password not in stored
    admin = company.viewer("admin").actor
    with transaction(admin) as work, pytest.raises(Conflict, match="уже занят"):
        access.add_access(work, "ut-11", "Ещё одна")
    before = sessions.open_session("ut-11", password, HERE)
    assert sessions.visit_of(before, HERE).login == "ut-11"
    with transaction(admin) as work:
        _, renewed = access.renew_password(work, access_id)
    with pytest.raises(OneCRefused, match="Сеанс обмена закончился"):
        sessions.visit_of(before, HERE)
    with pytest.raises(OneCRefused, match="Неверный"):
        sessions.open_session("ut-11", password, HERE)
    token = sessions.open_session("ut-11", renewed, HERE)
    with transaction(admin) as work:
        assert access.change_access(work, access_id, active=False).active is False
    for refused in (lambda: sessions.visit_of(token, HERE), lambda: sessions.open_session("ut-11", renewed, HERE)):
        with pytest.raises(OneCRefused) as error:
            refused()
        assert error.value.status == 401
    said = [one[0] for one in rows("SELECT action FROM audit WHERE entity = 'one_c_access' AND entity_id = :id"
                                   " ORDER BY id", id=access_id)]  # fmt: skip
    assert said[-3:] == ["one_c_access.added", "one_c_access.password", "one_c_access.changed"]
    assert password not in str(rows("SELECT text, before, after FROM audit"))


def test_only_an_administrator_opens_accounts(company: Company, opened: tuple[int, str]) -> None:
    with transaction(company.viewer("accountant").actor) as work:
        for act in (
            lambda: access.add_access(work, "x", "x"),
            lambda: access.renew_password(work, opened[0]),
            lambda: access.change_access(work, opened[0], active=False),
        ):
            with pytest.raises(Forbidden):
                act()
    with transaction(company.viewer("admin").actor) as work:
        with pytest.raises(NotFound):
            access.renew_password(work, 10**9)
        with pytest.raises(InvalidInput, match="не адрес"):
            access.change_access(work, opened[0], addresses="десять")


def test_only_from_its_addresses(company: Company, opened: tuple[int, str]) -> None:
    token = sessions.open_session("ut-11", opened[1], HERE)
    with transaction(company.viewer("admin").actor) as work:
        access.change_access(work, opened[0], addresses="192.168.0.0/16")
    for refused in (lambda: sessions.open_session("ut-11", opened[1], HERE), lambda: sessions.visit_of(token, HERE)):
        with pytest.raises(OneCRefused, match="адреса обмен не разрешён") as error:
            refused()
        assert error.value.status == 403
    assert sessions.visit_of(sessions.open_session("ut-11", opened[1], "192.168.7.7"), "192.168.7.7")


def test_guessing_is_slowed(driver: Driver, opened: tuple[int, str]) -> None:
    for _ in range(5):
        with pytest.raises(OneCRefused, match="Неверный логин или пароль"):
            sessions.open_session("ut-11", "не тот", HERE)
    with pytest.raises(TooManyTries):
        sessions.open_session("ut-11", opened[1], HERE)
    driver.now += timedelta(minutes=2)
    assert sessions.open_session("ut-11", opened[1], HERE)


def test_a_session_lives_while_it_is_used(driver: Driver, opened: tuple[int, str]) -> None:
    token = sessions.open_session("ut-11", opened[1], HERE)
    for _ in range(5):
        driver.now += timedelta(minutes=50)
        sessions.visit_of(token, HERE)
    driver.now += timedelta(minutes=61)
    for wrong in (token, "чужой", "", None, "x" * 500):
        with pytest.raises(OneCRefused, match="Сеанс обмена закончился"):
            sessions.visit_of(wrong, HERE)
    assert token not in str(rows("SELECT token_hash FROM one_c_session"))


# --- parts ----------------------------------------------------------------------------------------


def test_parts_are_joined_and_repeated_ones_known(visit: Visit, incoming: Path) -> None:
    send(visit, "import.xml", b"aaaa", b"aaaa", b"bbbb", b"bbbb", b"cc")
    assert shown(incoming) == []
    name = receiving.close_package(visit, "import.xml")
    assert name is not None
    assert (incoming / name / "import.xml").read_bytes() == b"aaaabbbbcc"
    said = json.loads((incoming / name / ".package.json").read_text(encoding="utf-8"))
    assert (said["source"], said["package"], said["files"]) == ("http", name, [{"name": "import.xml", "size": 10}])
    assert receiving.close_package(visit, "import.xml") == name
    assert list((incoming / ".receiving").iterdir()) == []


def test_a_file_begun_anew_replaces_what_broke_off(visit: Visit, incoming: Path) -> None:
    whole = XML.format("новое").encode()
    send(visit, "import.xml", whole[:40], b"half", whole[:40], whole[40:])
    send(visit, "offers.xml", b"<?xml version='1.0'?><a>", b"<?xml version='1.0'?><b/>")
    name = receiving.close_package(visit, "offers.xml")
    assert name is not None
    assert (incoming / name / "import.xml").read_bytes() == whole
    assert (incoming / name / "offers.xml").read_bytes() == b"<?xml version='1.0'?><b/>"


def test_files_of_one_name_without_import_are_both_kept(visit: Visit, incoming: Path) -> None:
    first, second = (XML.format(one).encode() for one in ("один", "два"))
    send(visit, "orders.xml", first, second, kind="sale")
    name = receiving.close_package(visit, "orders.xml")
    assert name is not None
    contents = {(incoming / one / "orders.xml").read_bytes() for one in shown(incoming)}
    assert contents == {first, second}


def test_files_gather_until_import_and_a_later_file_opens_another_package(visit: Visit, incoming: Path) -> None:
    send(visit, "import0_1.xml", b"1")
    send(visit, "import_files/ab/p.jpg", b"2")
    first = receiving.close_package(visit, "import0_1.xml")
    send(visit, "offers0_1.xml", b"3")
    second = receiving.close_package(visit, "offers0_1.xml")
    assert first != second
    assert receiving.close_package(visit, "import0_1.xml") == first
    assert receiving.close_package(visit, "inside_of_an_archive.xml") == second
    assert shown(incoming) == sorted([str(first), str(second)])
    assert (incoming / str(first) / "import_files" / "ab" / "p.jpg").read_bytes() == b"2"


def test_nothing_came(visit: Visit) -> None:
    assert receiving.close_package(visit, "import.xml") is None
    with pytest.raises(OneCRefused, match="пришёл пустым"):
        send(visit, "import.xml", b"")


def test_limits(visit: Visit, incoming: Path) -> None:
    spool = Spool(10)
    with pytest.raises(OneCRefused, match="больше 10 байт"):
        spool.write(b"x" * 11)
    spool.drop()
    send(visit, "a.xml", b"x" * 60, total=100)
    with pytest.raises(OneCRefused, match="Обмен больше"):
        send(visit, "b.xml", b"y" * 60, total=100)
    short = Spool(MEGABYTE)
    short.write(b"half")
    with pytest.raises(OneCRefused, match="не полностью"):
        short.finish(8)
    short.drop()
    with pytest.raises(OneCRefused, match="названы одинаково"):
        send(visit, "a.xml/b.xml", b"z")


@pytest.mark.parametrize("part", [1, 2])
def test_death_behind_the_write_doubles_nothing(
    visit: Visit, incoming: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    parts = [b"aaaa", b"bbbb", b"cc"]
    send(visit, "import.xml", *parts[:part])
    write = receiving._write

    def dies(*arguments: Any) -> None:
        write(*arguments)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(receiving, "_write", dies)
        with pytest.raises(Died):
            send(visit, "import.xml", parts[part])
    send(visit, "import.xml", *parts[part:])
    name = receiving.close_package(visit, "import.xml")
    assert (incoming / str(name) / "import.xml").read_bytes() == b"aaaabbbbcc"


def test_death_behind_the_publishing(visit: Visit, incoming: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send(visit, "import.xml", b"aaaa")

    def dies(*_: Any) -> None:
        raise Died

    for place in ("rename", None):
        with monkeypatch.context() as patch:
            if place:
                patch.setattr(Path, "rename", dies)
            else:
                patch.setattr(receiving, "_make_durable", dies)
            with pytest.raises(Died):
                receiving.close_package(visit, "import.xml")
        assert rows("SELECT state FROM one_c_package") == [("receiving",)]
    name = receiving.close_package(visit, "import.xml")
    assert shown(incoming) == [name]
    assert rows("SELECT state FROM one_c_package") == [("complete",)]


def test_a_file_behind_such_a_death_opens_another_package(
    visit: Visit, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(visit, "import.xml", b"aaaa")
    with monkeypatch.context() as patch:
        patch.setattr(receiving, "_make_durable", lambda *_: (_ for _ in ()).throw(Died))
        with pytest.raises(Died):
            receiving.close_package(visit, "import.xml")
    send(visit, "offers.xml", b"bbbb")
    second = receiving.close_package(visit, "offers.xml")
    assert len(shown(incoming)) == 2
    assert not (incoming / str(second) / "import.xml").exists()


def test_a_full_disk_is_said_and_the_part_can_come_again(
    visit: Visit, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(visit, "import.xml", b"aaaa")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(receiving.shutil, "copyfileobj", full)
        with pytest.raises(OneCRefused, match="кончилось место"):
            send(visit, "import.xml", b"bbbb")
    send(visit, "import.xml", b"bbbb")
    name = receiving.close_package(visit, "import.xml")
    assert (incoming / str(name) / "import.xml").read_bytes() == b"aaaabbbb"


def test_what_idle_sessions_left_is_ended(driver: Driver, opened: tuple[int, str], incoming: Path) -> None:
    send(enter(opened), "orders.xml", b"1", kind="sale")
    send(enter(opened), "import.xml", b"2")
    assert receiving.tidy() == []
    driver.now += timedelta(hours=2)
    (name,) = receiving.tidy()
    assert shown(incoming) == [name]
    assert (incoming / name / "orders.xml").read_bytes() == b"1"
    assert sorted(one[0] for one in rows("SELECT state FROM one_c_package")) == ["abandoned", "complete"]
    assert [one.name for one in incoming.iterdir() if one.name.startswith(".http")] == []


def test_the_beginning_of_another_upload_ends_the_one_before(visit: Visit, incoming: Path) -> None:
    send(visit, "import.xml", b"half")
    assert receiving.close_sale(visit) == []
    send(visit, "orders.xml", b"1", kind="sale")
    send(visit, "import.xml", b"2")  # another kind in the same session
    assert len(shown(incoming)) == 1
    states = rows("SELECT kind, state FROM one_c_package ORDER BY id")
    assert states == [("catalog", "abandoned"), ("sale", "complete"), ("catalog", "receiving")]


def test_the_pipeline_loads_what_came(visit: Visit) -> None:
    said = (
        "<Каталог СодержитТолькоИзменения='true'><Ид>k</Ид><Товары><Товар><Ид>http-goods-1</Ид>"
        "<Наименование>Насос</Наименование></Товар></Товары></Каталог>"
    )
    content = XML.format(said).encode()
    send(visit, "import.xml", content[:100], content[100:])
    name = receiving.close_package(visit, "import.xml")
    assert name is not None
    assert loading.loading_of(name).answer.startswith("progress\n")
    exchanges.receive(now=True)
    assert loading.loading_of(name).answer.startswith("success\n")
    assert rows("SELECT name FROM nomenclature WHERE external_id = 'http-goods-1'") == [("Насос",)]


# --- orders ---------------------------------------------------------------------------------------


@pytest.fixture
def deal(driver: Driver) -> int:
    with transaction() as work:
        settings.change(work, "order_to_folder", False)
    return order_deal(driver)


def order_deal(driver: Driver) -> int:
    made = driver.deal(company_id=buyer())
    with driver.acting("manager") as work:
        lines.add_line(work, made, {"name": "Насос", "quantity": 1, "price": "1", "vat": "vat22"})
    driver.move(made, "Комплектация", by="admin", settle=False)
    return made


def given(visit: Visit, *, went: bool = True) -> bytes:
    answer = giving.give_orders(visit)
    content = answer.content.read()
    answer.content.close()
    if went and answer.batch_id is not None:
        giving.orders_went(answer.batch_id)
    return bytes(content)


def order_states(deal: int) -> list[str]:
    return [one[0] for one in rows("SELECT state FROM order_export WHERE deal_id = :id ORDER BY version", id=deal)]


def test_orders_are_given_until_they_are_taken(visit: Visit, deal: int) -> None:
    first = given(visit)
    assert f"СД-{deal}".encode() in first
    assert given(visit) == first  # asked again in the same session: the same to the byte
    giving.orders_taken(visit)
    giving.orders_taken(visit)
    assert order_states(deal) == ["taken"]
    assert b"<\xd0\x94\xd0\xbe\xd0\xba" not in given(visit)  # no document any more


def test_asking_in_a_new_session_means_taken(opened: tuple[int, str], visit: Visit, deal: int) -> None:
    given(visit)
    assert f"СД-{deal}".encode() not in given(enter(opened))
    assert order_states(deal) == ["taken"]


def test_an_answer_that_broke_off_is_given_again(opened: tuple[int, str], visit: Visit, deal: int) -> None:
    first = given(visit, went=False)
    assert given(enter(opened)) == first
    assert order_states(deal) == ["written"]


def test_another_1c_takes_nothing_of_the_first(company: Company, visit: Visit, deal: int) -> None:
    given(visit)
    with transaction(company.viewer("admin").actor) as work:
        _, password = access.add_access(work, "bp-3", "Бухгалтерия")
    other = sessions.visit_of(sessions.open_session("bp-3", password, HERE), HERE)
    assert f"СД-{deal}".encode() not in given(other)
    giving.orders_taken(other)
    assert order_states(deal) == ["written"]


def test_statuses(visit: Visit) -> None:
    assert "Комплектация".encode("cp1251") in giving.statuses_xml()


def test_packages_are_found_by_name(visit: Visit) -> None:
    send(visit, "import.xml", b"1")
    name = receiving.close_package(visit, "C:\\temp\\import.xml")
    with transaction() as work:
        assert [one.name for one in work.session.query(OneCPackage)] == [name]
