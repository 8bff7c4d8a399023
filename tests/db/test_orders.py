"""Orders to 1C on PostgreSQL: made up once, sent once whatever dies, confirmed by what 1C sends (issue 5, line 4)."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import text

from include.companies.models import Company as Buyer
from include.exchange_1c.models import Exchange, Nomenclature
from include.orders import batches, lines, outgoing, services
from include.orders.rules import SettingsRefused
from include.shared import settings
from include.shared.db import engine
from include.shared.errors import BackofficeError, Conflict, InvalidInput, NotFound
from include.shared.names import search_key
from include.shared.numbers import number_key
from include.shared.work import INTEGRATION, reading, transaction
from tests.db.driver import Company, Driver

pytestmark = pytest.mark.db
PICKING = "Комплектация"


@pytest.fixture(autouse=True)
def folder(driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own; orders of the tests before are out of the way."""
    monkeypatch.setenv("BACKOFFICE_HOME", str(tmp_path))
    driver.check = False
    with engine().begin() as connection:
        connection.execute(
            text("TRUNCATE deal_line, order_export, order_batch, order_look, one_c_document RESTART IDENTITY CASCADE")
        )
        connection.execute(text("UPDATE setting SET value = setting.default, changed_at = NULL"))
        connection.execute(
            text("UPDATE deal SET stage_id = (SELECT id FROM stage WHERE stage.funnel_code = deal.funnel_code"
                 " ORDER BY position LIMIT 1)")
        )  # fmt: skip
    place = tmp_path / "exchange" / "1c" / "outgoing"
    place.mkdir(parents=True)
    yield place


def buyer(name: str = "ООО «Ромашка»", inn: str | None = "7707083893", **more: Any) -> int:
    with transaction(INTEGRATION) as work:
        row = Buyer(name=name, kind="legal", inn=inn, search_key=search_key(name), created_at=work.now, **more)
        work.session.add(row)
        work.session.flush()
        return row.id


def order_deal(driver: Driver, *, company: int | None = None, stage: str | None = PICKING, **line: Any) -> int:
    """A deal with one line, on the stage from which orders go."""
    deal = driver.deal(company_id=company or buyer())
    add(driver, deal, **line)
    if stage:
        driver.move(deal, stage, by="admin", settle=False)
    return deal


def add(driver: Driver, deal: int, request_key: str | None = None, **values: Any) -> Any:
    wanted = {"name": "Насос", "quantity": "2", "price": "61", "vat": "vat22", **values}
    with driver.acting("manager") as work:
        return lines.add_line(work, deal, wanted, request_key)


def setting(code: str, value: Any) -> None:
    with transaction() as work:
        settings.change(work, code, value)


def rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with engine().connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql), values)]


def states(deal: int) -> list[str]:
    return [one[0] for one in rows("SELECT state FROM order_export WHERE deal_id = :deal ORDER BY version", deal=deal)]


def files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if not one.name.startswith("."))


def numbers(path: Path) -> list[str]:
    return [str(one) for one in etree.parse(path).xpath("//*[local-name()='Документ']/*[local-name()='Номер']/text()")]


def document(driver: Driver, number: str, **more: Any) -> int:
    """What an exchange has brought of an order, and what our side makes of it; returns how many were confirmed."""
    driver.now += timedelta(minutes=5)
    with transaction(INTEGRATION) as work:
        exchange = Exchange(source="folder", state="received", started_at=work.now, digest=str(work.now))
        work.session.add(exchange)
        work.session.flush()
        values = {
            "external_id": f"1c-{number}", "kind": "order", "number": number, "number_key": number_key(number),
            "date": work.now.date(), "amount": Decimal("122.00"), "currency": "RUB", "is_deleted": False,
            "is_cancelled": False, "details": "{}", "exchange": exchange.id, **more,
        }  # fmt: skip
        work.session.execute(
            text(
                "INSERT INTO one_c_document (external_id, kind, number, number_key, date, amount, currency, is_deleted,"
                " is_cancelled, details, changed_at, first_exchange_id, last_exchange_id)"
                " VALUES (:external_id, :kind, :number,"
                " :number_key, :date, :amount, :currency, :is_deleted, :is_cancelled, CAST(:details AS jsonb), now(),"
                " :exchange, :exchange) ON CONFLICT (external_id) DO UPDATE SET is_deleted = excluded.is_deleted,"
                " is_cancelled = excluded.is_cancelled, last_exchange_id = excluded.last_exchange_id,"
                " amount = excluded.amount"
            ),
            values,
        )
        return services.confirm_from_documents(work, exchange.id)


# --- lines ----------------------------------------------------------------------------------------


def test_lines_are_added_changed_removed_and_brought_back(driver: Driver) -> None:
    deal = driver.deal()
    first = add(driver, deal)
    add(driver, deal, name="Доставка", quantity=1, price="10,50", vat="none")
    assert first.amount == Decimal("122.00")
    with driver.acting("manager") as work:
        changed = lines.change_line(work, deal, first.id, {"quantity": "3", "price": "1 000"})
        assert changed.amount == Decimal("3000.00")
        lines.remove_line(work, deal, first.id)
        assert lines.total_of(work.session, deal) == Decimal("10.50")
        removed = lines.last_removed(work.session, deal)
        assert removed is not None
        assert removed.id == first.id
        lines.restore_line(work, deal, first.id)
        assert lines.lines_of(work.session, deal)[0].id == first.id  # at its own place again
        assert lines.take_amount(work, deal) == Decimal("3010.50")
    assert rows("SELECT amount FROM deal WHERE id = :deal", deal=deal) == [(Decimal("3010.50"),)]
    said = rows("SELECT action FROM audit WHERE entity = 'deal_line' AND entity_id = :id ORDER BY id", id=first.id)
    assert [one[0] for one in said] == [f"deal_line.{one}" for one in ("added", "changed", "removed", "restored")]


def test_a_line_sent_twice_is_one(driver: Driver) -> None:
    deal = driver.deal()
    assert add(driver, deal, "k1").id == add(driver, deal, "k1").id
    assert len(rows("SELECT id FROM deal_line WHERE deal_id = :deal", deal=deal)) == 1


def test_goods_say_what_the_line_does_not(driver: Driver) -> None:
    deal = driver.deal()
    with transaction(INTEGRATION) as work:
        goods = Nomenclature(
            external_id=f"g-{deal}", name="Болт М8", unit_code="166", unit_name="кг", vat="vat20", sku="Б-8",
            search_key=search_key("Болт М8"), changed_at=work.now,
        )  # fmt: skip
        work.session.add(goods)
        work.session.flush()
        goods_id = goods.id
    line = add(driver, deal, name=None, vat=None, nomenclature_id=goods_id)
    assert (line.name, line.unit_code, line.unit_name, line.vat) == ("Болт М8", "166", "кг", "vat20")
    with reading() as session:
        assert [one.id for one in lines.find_goods(session, "болт")][:1] == [goods_id]
        assert [one.id for one in lines.find_goods(session, "Б-8")][:1] == [goods_id]
    with pytest.raises(InvalidInput, match="Такого товара нет"):
        add(driver, deal, nomenclature_id=10**9)


def test_a_foreign_or_gone_line_is_refused(driver: Driver) -> None:
    deal, other = driver.deal(), driver.deal()
    line = add(driver, deal)
    with driver.acting("manager") as work, pytest.raises(NotFound):
        lines.change_line(work, other, line.id, {"price": "1"})
    with driver.acting("manager") as work:
        lines.remove_line(work, deal, line.id)
    for act in (lambda work: lines.remove_line(work, deal, line.id),
                lambda work: lines.change_line(work, deal, line.id, {"price": "1"})):  # fmt: skip
        with driver.acting("manager") as work, pytest.raises(Conflict, match="уже убрали"):
            act(work)
    with driver.acting("manager") as work, pytest.raises(Conflict, match="нет строк"):
        lines.take_amount(work, deal)


# --- what goes ------------------------------------------------------------------------------------


def test_an_order_goes_once(driver: Driver, folder: Path) -> None:
    deal = order_deal(driver)
    assert "в очередь: 1" in services.send_to_folder()
    (path,) = files(folder)
    assert numbers(path) == [f"СД-{deal}"]
    assert states(deal) == ["written"]
    path.unlink()  # 1C has taken it
    for _ in range(2):
        services.send_to_folder()
    assert files(folder) == []
    assert states(deal) == ["taken"]


def test_only_agreed_and_won_deals_go(driver: Driver) -> None:
    early = order_deal(driver, stage="Счет/КП")
    won = order_deal(driver, stage="Сделка успешна")
    services.prepare()
    assert (states(early), states(won)) == ([], ["waiting"])


def test_old_deals_do_not_go(driver: Driver) -> None:
    setting("order_since", "01.12.2026")
    deal = order_deal(driver)
    services.prepare()
    assert states(deal) == []


def test_what_it_lacks_is_said_and_put_right(driver: Driver) -> None:
    company = buyer(inn=None)
    deal = order_deal(driver, company=company, vat=None)
    assert services.prepare().kept_back == 1
    ((problems,),) = rows("SELECT problems FROM order_look WHERE deal_id = :deal", deal=deal)
    assert [one["code"] for one in problems] == ["no_inn", "no_vat"]
    assert services.prepare().kept_back == 0  # nothing has changed since
    with engine().begin() as connection:
        connection.execute(text("UPDATE company SET inn = '7707083893' WHERE id = :id"), {"id": company})
    ((line,),) = rows("SELECT id FROM deal_line WHERE deal_id = :deal", deal=deal)
    with driver.acting("manager") as work:
        lines.change_line(work, deal, line, {"vat": "vat22"})
    assert services.prepare().queued == 1
    assert states(deal) == ["waiting"]


def test_a_change_is_a_new_version_and_no_change_is_none(driver: Driver, folder: Path) -> None:
    deal = order_deal(driver)
    services.send_to_folder()
    driver.fill(deal, amount="5000", settle=False)  # nothing of the order
    services.send_to_folder()
    assert states(deal) == ["written"]
    add(driver, deal, name="Ещё насос")
    services.send_to_folder()
    assert states(deal) == ["written", "written"]
    _, second = files(folder)
    said = etree.parse(second)
    assert said.xpath("//*[local-name()='Комментарий']/text()")[0].endswith("(изменение 1)")
    assert len(said.xpath("//*[local-name()='Товар']")) == 2
    first_date = rows("SELECT DISTINCT ordered_at FROM order_export WHERE deal_id = :deal", deal=deal)
    assert len(first_date) == 1


def test_a_waiting_order_is_brought_up_to_date(driver: Driver) -> None:
    deal = order_deal(driver)
    services.prepare()
    add(driver, deal, name="Ещё насос")
    services.prepare()
    assert states(deal) == ["waiting"]
    assert rows("SELECT amount FROM order_export WHERE deal_id = :deal", deal=deal) == [(Decimal("244.00"),)]


def test_a_lost_deal_is_withdrawn_or_cancelled(driver: Driver, folder: Path) -> None:
    waiting, sent = order_deal(driver), order_deal(driver)
    services.prepare()
    driver.move(waiting, "Счет/КП", by="admin", settle=False)
    services.send_to_folder()
    assert states(waiting) == ["replaced"]
    assert states(sent) == ["written"]
    with engine().begin() as connection:
        connection.execute(
            text("UPDATE deal SET stage_id = (SELECT id FROM stage WHERE kind = 'lost' AND funnel_code ="
                 " deal.funnel_code LIMIT 1) WHERE id = :id"), {"id": sent}
        )  # fmt: skip
        connection.execute(
            text("UPDATE process_case SET seq = seq + 1 FROM deal WHERE case_id = process_case.id AND deal.id = :id"),
            {"id": sent},
        )
    services.send_to_folder()
    assert states(sent) == ["written", "written"]
    said = etree.parse(files(folder)[-1])
    values = said.xpath("//*[local-name()='ЗначениеРеквизита'][*[text()='Отменен']]/*[local-name()='Значение']/text()")
    assert values == ["true"]
    services.send_to_folder()
    assert len(states(sent)) == 2


def test_a_wrong_setting_stops_nothing_halfway(driver: Driver, folder: Path) -> None:
    deal = order_deal(driver)
    setting("order_version", "1.0")
    with pytest.raises(SettingsRefused, match="версия CommerceML"):
        services.send_to_folder()
    assert (states(deal), files(folder)) == ([], [])
    setting("order_version", "3.1")
    setting("order_encoding", "windows-1251")
    setting("order_file_name", "order.xml")
    services.send_to_folder()
    (path,) = files(folder)
    assert path.name == "order.xml"
    assert b"windows-1251" in path.read_bytes()[:80]


def test_a_fixed_name_waits_until_it_is_taken(driver: Driver, folder: Path) -> None:
    setting("order_file_name", "order.xml")
    first = order_deal(driver)
    services.send_to_folder()
    second = order_deal(driver)
    assert "ещё не забран" in services.send_to_folder()
    assert (states(first), states(second)) == (["written"], ["waiting"])
    (folder / "order.xml").unlink()
    services.send_to_folder()
    assert numbers(folder / "order.xml") == [f"СД-{second}"]


def test_orders_for_http_stay_out_of_the_folder(driver: Driver, folder: Path) -> None:
    setting("order_to_folder", False)
    deal = order_deal(driver)
    assert "по HTTP" in services.send_to_folder()
    assert (states(deal), files(folder)) == (["waiting"], [])


# --- whatever dies --------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["_write_aside", "prepared", "rename", "batch_sent"])
def test_death_in_the_middle_doubles_and_loses_nothing(
    driver: Driver, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    deal = order_deal(driver)

    class Died(BaseException):
        pass

    def dies(*_: Any, **__: Any) -> Any:
        raise Died

    with monkeypatch.context() as patch:
        if place == "_write_aside":
            patch.setattr(outgoing, "_write_aside", dies)
        elif place == "prepared":
            patch.setattr(outgoing.clock, "machine_now", lambda: driver.now if not aside(folder) else dies())
        elif place == "rename":
            patch.setattr(Path, "rename", dies)
        else:
            patch.setattr(batches, "batch_sent", dies)
        with pytest.raises(Died):
            services.send_to_folder()
    services.send_to_folder()
    (path,) = files(folder)
    assert numbers(path) == [f"СД-{deal}"]
    assert states(deal) == ["written"]
    assert [one.name for one in folder.iterdir()] == [path.name]


def aside(folder: Path) -> bool:
    return any(one.name.endswith(".ready") for one in folder.iterdir())


def test_taken_before_we_could_note_it(driver: Driver, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deal = order_deal(driver)
    with monkeypatch.context() as patch:
        patch.setattr(batches, "batch_sent", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            services.send_to_folder()
    files(folder)[0].unlink()
    services.send_to_folder()
    services.send_to_folder()
    assert files(folder) == []
    assert states(deal) == ["taken"]


def test_a_full_disk_is_said(driver: Driver, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deal = order_deal(driver)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(outgoing, "write_file", full)
        with pytest.raises(BackofficeError, match="на диске нет места"):
            services.send_to_folder()
    assert list(folder.iterdir()) == []
    services.send_to_folder()
    assert states(deal) == ["written"]


def test_two_at_once_do_not_write_together(driver: Driver) -> None:
    order_deal(driver)
    services.prepare()
    with engine().connect() as other:
        other.execute(text("SELECT pg_advisory_lock(:key)"), {"key": outgoing.OUTGOING_LOCK})
        with pytest.raises(outgoing.OutgoingBusy):
            outgoing.write_folder()
        other.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": outgoing.OUTGOING_LOCK})
    outgoing.write_folder()


# --- what 1C says ---------------------------------------------------------------------------------


def test_the_next_exchange_confirms(driver: Driver) -> None:
    deal = order_deal(driver)
    services.send_to_folder()
    said = '{"number_1c": "УТ-000015", "at_1c": "2026-11-23T12:00:00+03:00"}'
    own = {"external_id": f"backoffice-deal-{deal}", "details": said}
    assert document(driver, f"СД-{deal}", **own) == 1
    assert states(deal) == ["confirmed"]
    assert rows("SELECT number_1c, date_1c::text FROM order_export WHERE deal_id = :deal", deal=deal) == [
        ("УТ-000015", "2026-11-23")
    ]
    assert document(driver, f"СД-{deal}", **own) == 0  # said again
    services.send_to_folder()
    assert states(deal) == ["confirmed"]


def test_it_is_known_by_its_number_typed_in_latin(driver: Driver) -> None:
    setting("order_prefix", "ВК")
    deal = order_deal(driver)
    services.send_to_folder()
    assert document(driver, f"BK{deal}", external_id="guid-of-1c-x", kind="shipment") == 0
    assert document(driver, f"BK{deal}", external_id="guid-of-1c") == 1
    assert states(deal) == ["confirmed"]


def test_one_of_that_number_made_before_is_another(driver: Driver) -> None:
    deal = order_deal(driver)
    services.send_to_folder()
    day = datetime(2026, 1, 1, tzinfo=driver.now.tzinfo).date()
    assert document(driver, f"СД-{deal}", external_id="old", date=day) == 0


def test_one_that_never_went_is_not_confirmed(driver: Driver) -> None:
    deal = order_deal(driver)
    services.prepare()
    assert document(driver, f"СД-{deal}", external_id=f"backoffice-deal-{deal}") == 0
    assert states(deal) == ["waiting"]


def test_a_cancelled_document_says_that_it_failed(driver: Driver) -> None:
    deal = order_deal(driver)
    services.send_to_folder()
    own = {"external_id": f"backoffice-deal-{deal}"}
    document(driver, f"СД-{deal}", **own)
    assert document(driver, f"СД-{deal}", **own, is_cancelled=True) == 1
    assert states(deal) == ["failed"]
    assert document(driver, f"СД-{deal}", **own) == 1  # taken up again there
    assert states(deal) == ["confirmed"]


def test_a_change_in_the_folder_is_not_confirmed_by_the_version_before(driver: Driver, folder: Path) -> None:
    deal = order_deal(driver)
    services.send_to_folder()
    add(driver, deal, name="Ещё насос")
    services.send_to_folder()
    own = {"external_id": f"backoffice-deal-{deal}"}
    assert document(driver, f"СД-{deal}", **own) == 1
    assert states(deal) == ["confirmed", "written"]
    assert document(driver, f"СД-{deal}", **own, amount=Decimal("244.00")) == 1
    assert states(deal) == ["confirmed", "confirmed"]


def test_versions_that_1c_took_together_are_answered_together(driver: Driver, folder: Path) -> None:
    deal = order_deal(driver)
    services.send_to_folder()
    add(driver, deal, name="Ещё насос")
    services.send_to_folder()
    for path in files(folder):
        path.unlink()
    services.send_to_folder()
    assert states(deal) == ["taken", "taken"]
    assert document(driver, f"СД-{deal}", external_id=f"backoffice-deal-{deal}") == 1
    assert states(deal) == ["replaced", "confirmed"]


def test_it_can_be_sent_again(driver: Driver, folder: Path, company: Company) -> None:
    deal = order_deal(driver)
    services.send_to_folder()
    ((first,),) = rows("SELECT id FROM order_export WHERE deal_id = :deal", deal=deal)
    with driver.acting("accountant") as work:
        services.send_again(work, first)
    assert states(deal) == ["written", "waiting"]
    for wrong, error in ((first, Conflict), (10**9, NotFound)):
        with driver.acting("accountant") as work, pytest.raises(error):
            services.send_again(work, wrong)
    services.send_to_folder()
    assert numbers(files(folder)[-1]) == [f"СД-{deal}"]


def test_a_settings_change_makes_new_versions(driver: Driver, folder: Path) -> None:
    deal = order_deal(driver)
    services.send_to_folder()
    setting("order_warehouse", "Основной склад")
    services.send_to_folder()
    assert states(deal) == ["written", "written"]
    assert "Основной склад" in files(folder)[-1].read_text(encoding="utf-8-sig")


def test_many_orders_cost_few_questions(driver: Driver, folder: Path) -> None:
    from sqlalchemy import event

    company = buyer()
    for _ in range(12):
        order_deal(driver, company=company)
    asked: list[str] = []

    def seen(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(engine(), "before_cursor_execute", seen)
    try:
        services.prepare()
    finally:
        event.remove(engine(), "before_cursor_execute", seen)
    selects = [one for one in asked if one.lstrip().upper().startswith(("SELECT", "WITH"))]
    assert len(selects) < 45, selects
    services.send_to_folder()
    assert len(numbers(files(folder)[0])) == 12
