"""An exchange as a unit (issue 5 line 2): archives, packages, full exports and their scope, the held one, its queue."""

from __future__ import annotations

import errno
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from include.companies.services import create_company
from include.exchange_1c import applying, holding, services
from include.exchange_1c import folder as places
from include.money.models import Invoice
from include.shared import settings
from include.shared.db import engine
from include.shared.errors import Conflict, Forbidden
from include.shared.work import transaction
from tests.db.driver import Driver

pytestmark = pytest.mark.db
HEAD = '<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_3" ВерсияСхемы="3.1">'
INN = "7707083893"


@pytest.fixture
def incoming(driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BACKOFFICE_HOME", str(tmp_path))
    with engine().begin() as connection:
        connection.execute(
            text(
                "TRUNCATE exchange, exchange_file, exchange_reject, exchange_change, nomenclature, offer, price, stock,"
                " one_c_document, invoice, company_twin RESTART IDENTITY CASCADE"
            )
        )
        connection.execute(text("UPDATE process_case SET key = 'old-' || id WHERE kind = 'exchange'"))
        connection.execute(text("DELETE FROM outbox_event WHERE kind = 'exchange_applied'"))
        connection.execute(text("DELETE FROM notice WHERE key LIKE 'exchange-%'"))
        connection.execute(text("UPDATE company SET inn = NULL, external_id = NULL, joined_into_id = NULL"))
        connection.execute(text("UPDATE setting SET value = setting.default, changed_at = NULL"))
    folder = tmp_path / "exchange" / "1c" / "incoming"
    folder.mkdir(parents=True)
    yield folder


def rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with engine().connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql), values)]


def one(sql: str, **values: Any) -> Any:
    return rows(sql, **values)[0][0]


def item(external_id: str, group: str = "", name: str = "") -> str:
    inside = f"<Группы><Ид>{group}</Ид></Группы>" if group else ""
    return f"<Товар><Ид>{external_id}</Ид><Наименование>{name or f'Товар {external_id}'}</Наименование>{inside}</Товар>"


def goods(*items: str, full: bool = False) -> str:
    only = "false" if full else "true"
    return (
        f'{HEAD}<Каталог СодержитТолькоИзменения="{only}"><Ид>k</Ид><Товары>{"".join(items)}</Товары></Каталог>'
        "</КоммерческаяИнформация>"
    )


def many(number: int, group: str = "", first: int = 0) -> list[str]:
    return [item(f"{group}{n}", group) for n in range(first, number)]


def document(external_id: str, operation: str, number: str, amount: str, extra: str = "") -> str:
    return (
        f"<Документ><Ид>{external_id}</Ид><Номер>{number}</Номер><Дата>2026-11-20</Дата>"
        f"<ХозОперация>{operation}</ХозОперация><Валюта>RUB</Валюта><Сумма>{amount}</Сумма>{extra}</Документ>"
    )


def documents(*said: str) -> str:
    return f"{HEAD}<Контейнер>{''.join(said)}</Контейнер></КоммерческаяИнформация>"


BUYER = (
    "<Контрагенты><Контрагент><Ид>buyer</Ид><Наименование>ООО Ромашка</Наименование>"
    f"<ОфициальноеНаименование>ООО Ромашка</ОфициальноеНаименование><ИНН>{INN}</ИНН><КПП>770701001</КПП>"
    "<Роль>Покупатель</Роль></Контрагент></Контрагенты>"
)


def put(incoming: Path, name: str, content: str) -> None:
    place = incoming / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content, encoding="utf-8")


def take(incoming: Path) -> services.Outcome:
    return services.receive(incoming, now=True)


def states() -> list[tuple[Any, ...]]:
    return rows("SELECT state FROM exchange ORDER BY id")


def active() -> int:
    return int(one("SELECT count(*) FROM nomenclature WHERE active"))


def left(incoming: Path) -> list[str]:
    return sorted(path.relative_to(incoming.parent).as_posix() for path in incoming.parent.rglob("*.xml"))


# --- archives and packages ---


def test_an_archive_is_read_with_its_parts(incoming: Path) -> None:
    with zipfile.ZipFile(incoming / "v8.zip", "w") as box:
        box.writestr("import0_1.xml", goods(item("a")))
        box.writestr("import0_2.xml", goods(item("b")))
        box.writestr("import_files/ab/x.jpg", b"x")
    outcome = take(incoming)
    assert outcome.state == "applied", outcome.text
    assert rows("SELECT external_id FROM nomenclature ORDER BY 1") == [("a",), ("b",)]
    assert rows("SELECT name, state, archive_id IS NOT NULL FROM exchange_file ORDER BY id") == [
        ("v8.zip", "unpacked", False), ("v8.zip/import0_1.xml", "applied", True),
        ("v8.zip/import0_2.xml", "applied", True), ("v8.zip/import_files/ab/x.jpg", "skipped", True),
    ]  # fmt: skip
    assert [path.name for path in (incoming.parent / "done").rglob("*.zip")] == ["v8.zip"]
    assert not list(incoming.iterdir())


def test_a_cut_archive_fails_the_whole_exchange(incoming: Path) -> None:
    with zipfile.ZipFile(incoming / "v8.zip", "w") as box:
        box.writestr("import.xml", goods(item("a")))
    whole = (incoming / "v8.zip").read_bytes()
    (incoming / "v8.zip").write_bytes(whole[: len(whole) // 2])
    put(incoming, "goods.xml", goods(item("b")))
    outcome = take(incoming)
    assert outcome.is_failed
    assert "обрывается" in outcome.text
    assert one("SELECT count(*) FROM nomenclature") == 0
    assert sorted(path.name for path in (incoming.parent / "failed").rglob("*") if path.is_file()) == [
        "goods.xml", "report.json", "report.txt", "v8.zip",
    ]  # fmt: skip


def test_each_package_is_an_exchange_and_loose_files_are_one(incoming: Path) -> None:
    put(incoming, "http-1/import.xml", goods(item("a")))
    put(incoming, "http-1/.package.json", "{}")
    put(incoming, "http-2/import.xml", goods(item("b")))
    put(incoming, "http-2/.package.json", "{}")
    put(incoming, ".http-3/import.xml", goods(item("c")))
    put(incoming, "goods.xml", goods(item("d")))
    assert services.progress("http-1").state == "waiting"
    assert take(incoming).state == "applied"
    assert rows("SELECT source, package, state FROM exchange ORDER BY id") == [
        ("http", "http-1", "applied"), ("http", "http-2", "applied"), ("folder", None, "applied"),
    ]  # fmt: skip
    assert services.progress("http-1") == services.Progress("applied", "Обмен № 1 загружен: товаров 1, контрагентов 0.")
    assert sorted(path.name for path in incoming.iterdir()) == [".http-3"], "папки пакетов убраны, чужое не тронуто"


def test_the_same_package_again_changes_nothing(incoming: Path) -> None:
    for name in ("http-1", "http-2"):
        put(incoming, f"{name}/import.xml", goods(item("a")))
        put(incoming, f"{name}/.package.json", "{}")
        take(incoming)
    assert services.progress("http-2").state == "repeated"
    assert (
        one("SELECT count(*) FROM outbox_event WHERE kind = 'exchange_applied' AND payload ->> 'exchange_id' = '2'")
        == 0
    )


# --- everything that a file holds ---


OFFERS = f"""{HEAD}<ПакетПредложений СодержитТолькоИзменения="true"><Ид>p</Ид><Наименование>П</Наименование>
<ТипыЦен><ТипЦены><Ид>retail</Ид><Наименование>Розничная</Наименование><Валюта>руб</Валюта></ТипЦены></ТипыЦен>
<Склады><Склад><Ид>w1</Ид><Наименование>Основной</Наименование></Склад></Склады>
<Предложения><Предложение><Ид>a</Ид><Наименование>Товар a</Наименование>
<Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>PRICE</ЦенаЗаЕдиницу><Валюта>руб</Валюта></Цена></Цены>
<Количество>5</Количество><Склад ИдСклада="w1" КоличествоНаСкладе="-2"/></Предложение></Предложения>
</ПакетПредложений></КоммерческаяИнформация>"""


def test_prices_stock_and_their_changes(incoming: Path) -> None:
    put(incoming, "import.xml", goods(item("a")))
    put(incoming, "offers.xml", OFFERS.replace("PRICE", "100,50"))
    first = take(incoming)
    assert first.state == "applied", first.text
    ((offer, amount, currency),) = rows("SELECT offer_external_id, amount, currency FROM price")
    assert (offer, str(amount), currency) == ("a", "100.50", "RUB")
    assert ("w1", -2) in rows("SELECT warehouse_external_id, quantity FROM stock")
    assert first.report is not None
    assert first.report["kinds"]["prices"]["added"] == 1
    put(incoming, "offers.xml", OFFERS.replace("PRICE", "120"))
    second = take(incoming)
    assert second.report is not None
    assert second.report["changes"] == {"Цена": 1}
    ((entity, title, before, after),) = rows("SELECT entity, title, before, after FROM exchange_change")
    assert (entity, title) == ("Цена", "Товар a, Розничная")
    assert (float(before["amount"]), float(after["amount"])) == (100.5, 120.0)
    put(incoming, "offers.xml", OFFERS.replace("PRICE", "120") + " ")
    third = take(incoming)
    assert third.report is not None
    assert third.report["changes"] == {}
    assert third.report["kinds"]["prices"]["unchanged"] == 1


def test_documents_are_kept_with_what_they_say(incoming: Path) -> None:
    put(incoming, "documents.xml", documents(document("o1", "Заказ товара", "СД-1", "100", BUYER)))
    assert take(incoming).state == "applied"
    ((kind, number, amount, counterparty),) = rows(
        "SELECT kind, number, amount, counterparty_external_id FROM one_c_document"
    )
    assert (kind, number, int(amount), counterparty) == ("order", "СД-1", 100, "buyer")


# --- full exports ---


def test_a_full_export_of_one_group_never_deactivates_the_rest(incoming: Path) -> None:
    put(incoming, "goods.xml", goods(*many(20, "x"), *many(20, "y"), *many(3)))
    take(incoming)
    put(incoming, "goods.xml", goods(*many(19, "x"), full=True))
    outcome = take(incoming)
    assert outcome.state == "applied", outcome.text
    assert outcome.report is not None
    assert outcome.report["goods"]["absent"] == 1
    assert rows("SELECT external_id FROM nomenclature WHERE NOT active") == [("x19",)]
    assert rows("SELECT after ->> 'why' FROM exchange_change") == [("нет в полной выгрузке",)]


def test_only_changes_deactivate_nothing_and_silence_is_no_full_export(incoming: Path) -> None:
    put(incoming, "goods.xml", goods(*many(20)))
    take(incoming)
    put(incoming, "goods.xml", goods(item("0")).replace(' СодержитТолькоИзменения="true"', ""))
    take(incoming)
    assert active() == 20


def hold(incoming: Path) -> int:
    """Twenty goods, then a full export with fifteen of them: a quarter would go."""
    put(incoming, "goods.xml", goods(*many(20)))
    take(incoming)
    put(incoming, "goods.xml", goods(*many(15), item("new"), full=True))
    outcome = take(incoming)
    assert outcome.state == "held"
    assert outcome.exchange_id is not None
    return outcome.exchange_id


def test_too_much_is_held_and_a_person_is_asked(incoming: Path, driver: Driver) -> None:
    number = hold(incoming)
    assert (active(), one("SELECT count(*) FROM nomenclature")) == (20, 20)
    report = one("SELECT report FROM exchange WHERE id = :id", id=number)
    assert (report["held"]["would_deactivate"], report["held"]["in_scope"], report["held"]["percent"]) == (
        5,
        20,
        "25.0",
    )
    assert len(report["held"]["examples"]) == 5
    assert left(incoming) == ["done/" + left(incoming)[0].removeprefix("done/"), f"held/{number}/goods.xml"]
    assert one("SELECT count(*) FROM audit WHERE action = 'exchange.held'") >= 1
    assert take(incoming).state == "empty", "без решения ничего не происходит"


@pytest.mark.parametrize(
    ("decision", "state", "number"), [("confirm", "applied", 16), ("keep", "applied", 21), ("refuse", "failed", 20)]
)
def test_a_decision_is_carried_out(incoming: Path, driver: Driver, decision: str, state: str, number: int) -> None:
    held = hold(incoming)
    holding.decide(held, decision, "сверено", driver.company.viewer("accountant"))
    with pytest.raises(Conflict, match="уже решено"):
        holding.decide(held, "keep", "передумал", driver.company.viewer("admin"))
    outcome = take(incoming)
    assert (outcome.state, outcome.exchange_id) == (state, held)
    assert active() == number
    assert not (incoming.parent / "held" / str(held)).exists()
    assert one("SELECT filed_at IS NOT NULL FROM exchange WHERE id = :id", id=held)


def test_who_does_not_handle_the_exchange_decides_nothing(incoming: Path, driver: Driver) -> None:
    held = hold(incoming)
    with pytest.raises(Forbidden):
        holding.decide(held, "confirm", "так", driver.company.viewer("manager"))
    with pytest.raises(Forbidden):
        holding.replace_by_newest(held, "так", driver.company.viewer("manager"))


def test_newer_ones_wait_in_order_and_nothing_is_lost(incoming: Path, driver: Driver) -> None:
    held = hold(incoming)
    put(incoming, "goods.xml", goods(item("0", name="Первое имя")))
    assert take(incoming).state == "queued"
    put(incoming, "http-1/goods.xml", goods(item("0", name="Второе имя")))
    put(incoming, "http-1/.package.json", "{}")
    assert take(incoming).state == "queued"
    assert services.progress("http-1").state == "held"
    assert states() == [("applied",), ("held",), ("queued",), ("queued",)]
    assert left(incoming)[1:] == [f"held/{n}/goods.xml" for n in (held, held + 1, held + 2)]
    holding.decide(held, "keep", "сверено", driver.company.viewer("accountant"))
    take(incoming)
    assert states() == [("applied",)] * 4
    assert one("SELECT name FROM nomenclature WHERE external_id = '0'") == "Второе имя"
    assert services.progress("http-1").state == "applied"


def test_the_newest_full_export_replaces_the_held_one(incoming: Path, driver: Driver) -> None:
    held = hold(incoming)
    accountant = driver.company.viewer("accountant")
    with pytest.raises(Conflict, match="никто не ждёт"):
        holding.replace_by_newest(held, "новая", accountant)
    put(incoming, "documents.xml", documents(document("o1", "Заказ товара", "СД-1", "100", BUYER)))
    take(incoming)
    put(incoming, "goods.xml", goods(item("5", name="Старое")))
    take(incoming)
    with pytest.raises(Conflict, match="не полная выгрузка"):
        holding.replace_by_newest(held, "новая", accountant)
    put(incoming, "goods.xml", goods(*many(20), full=True))
    take(incoming)
    assert holding.replace_by_newest(held, "новая", accountant) == held + 3
    outcome = take(incoming)
    assert outcome.state == "applied"
    assert states() == [("applied",), ("replaced",), ("applied",), ("replaced",), ("applied",)]
    assert one("SELECT count(*) FROM one_c_document") == 1, "документы, которые ждали, не потеряны"
    assert active() == 20
    assert one("SELECT count(*) FROM exchange WHERE filed_at IS NULL") == 0


def test_a_crash_before_the_files_are_moved_aside_loses_nothing(
    incoming: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(incoming, "goods.xml", goods(*many(20)))
    take(incoming)
    put(incoming, "goods.xml", goods(*many(15), full=True))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(services._Intake, "_move_aside", die)
        take(incoming)
    assert take(incoming).state == "empty"
    assert left(incoming)[1:] == ["held/2/goods.xml"]
    holding.decide(2, "confirm", "сверено", driver.company.viewer("accountant"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(services._Intake, "_put_away", die)
        take(incoming)
    assert take(incoming).state == "empty", "загружено; осталось довезти файлы"
    assert active() == 15
    assert [one for one in left(incoming) if one.startswith("held")] == []


def test_a_setting_says_how_much_is_too_much(incoming: Path) -> None:
    with transaction() as work:
        settings.change(work, "exchange_deactivate_percent", 30)
    put(incoming, "goods.xml", goods(*many(20)))
    take(incoming)
    put(incoming, "goods.xml", goods(*many(15), full=True))
    assert take(incoming).state == "applied"
    assert active() == 15


# --- the quarantine, once more ---


def test_what_stands_in_quarantine_is_taken_again(incoming: Path, driver: Driver) -> None:
    nameless = "<Товар><Ид>bad</Ид><Наименование></Наименование></Товар>"
    put(incoming, "goods.xml", goods(item("a"), nameless))
    first = take(incoming)
    assert first.report is not None
    assert first.report["rejects"]["count"] == 1
    accountant = driver.company.viewer("accountant")
    filed = next((incoming.parent / "done").rglob("goods.xml"))
    filed.write_text(goods(item("a", name="Чужая правка"), item("bad", name="Исправлен")), encoding="utf-8")
    made = holding.take_again(1, accountant)
    with pytest.raises(Conflict, match="уже попросили"):
        holding.take_again(1, accountant)
    outcome = take(incoming)
    assert (outcome.state, outcome.exchange_id) == ("applied", made)
    assert rows("SELECT external_id, name FROM nomenclature ORDER BY 1") == [("a", "Товар a"), ("bad", "Исправлен")]
    assert one("SELECT count(*) FROM exchange_reject WHERE resolved_at IS NULL") == 0
    with pytest.raises(Conflict, match="нет записей"):
        holding.take_again(1, accountant)


def test_a_failed_exchange_is_taken_again_whole(incoming: Path, driver: Driver) -> None:
    put(incoming, "goods.xml", goods(item("a"))[:-10])
    assert take(incoming).is_failed
    filed = next((incoming.parent / "failed").rglob("goods.xml"))
    filed.write_text(goods(item("a")), encoding="utf-8")
    holding.take_again(1, driver.company.viewer("accountant"))
    assert take(incoming).state == "applied"
    assert active() == 1
    shutil.rmtree(incoming.parent / "failed")
    put(incoming, "goods.xml", goods(item("b"))[:-10])
    take(incoming)
    shutil.rmtree(incoming.parent / "failed")
    with pytest.raises(Conflict, match="уже убраны"):
        holding.take_again(3, driver.company.viewer("accountant"))


# --- a full disk ---


def test_a_full_disk_applies_nothing_and_the_next_run_goes_on(incoming: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(incoming, "goods.xml", goods(item("a")))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(services.NoRoom, match="кончилось место"):
        patch.setattr(applying, "_load", full)
        take(incoming)
    assert one("SELECT count(*) FROM nomenclature") == 0
    assert left(incoming) == ["incoming/goods.xml"]
    with monkeypatch.context() as patch, pytest.raises(services.NoRoom):
        patch.setattr(places, "write_report", full)
        take(incoming)
    assert active() == 1, "загружено, а файлы довезёт следующий запуск"
    assert take(incoming).state == "empty"
    assert left(incoming)[0].startswith("done/")


# --- what an exchange gives to others ---


def invoice_file(amount: str = "1000", extra: str = "") -> str:
    return documents(document("inv-1", "Счет на оплату", "УТ-77", amount, BUYER + extra))


def test_an_invoice_of_1c_becomes_ours_and_follows_1c(incoming: Path, driver: Driver) -> None:
    with driver.acting("manager") as work:
        company = create_company(work, "ООО Ромашка", inn=INN, kpp="770701001").id
    put(incoming, "documents.xml", invoice_file())
    first = take(incoming)
    assert first.report is not None
    assert first.report["invoices"] == 1
    assert "Счетов из 1С внесено или изменено: 1." in first.text
    made = driver.read(lambda session: session.query(Invoice).one())
    assert (made.number, made.source, made.external_id, made.company_id, made.deal_id) == (
        "УТ-77", "one_c", "inv-1", company, None,
    )  # fmt: skip
    put(incoming, "documents.xml", invoice_file("1200"))
    take(incoming)
    put(incoming, "documents.xml", invoice_file("1200") + "\n")
    again = take(incoming)
    assert again.report is not None
    assert again.report["invoices"] == 0, "то же самое ничего не меняет"
    mark = "<ПометкаУдаления>true</ПометкаУдаления>"
    put(incoming, "documents.xml", invoice_file("1200", mark))
    take(incoming)
    ended = driver.read(lambda session: session.query(Invoice).one())
    assert (int(ended.amount), ended.state) == (1200, "cancelled")


def test_an_invoice_under_an_order_of_ours_knows_its_deal(incoming: Path, driver: Driver) -> None:
    deal = driver.deal()
    with engine().begin() as connection:
        connection.execute(
            text(
                "INSERT INTO order_export (deal_id, version, state, external_id, number, number_key, ordered_at,"
                " content, sha256, amount, queued_at, sent_at) VALUES (:deal, 1, 'taken', 'our-order', 'СД-9', 'СД-9',"
                " now(), '{}', 'x', 1000, now(), now() - interval '1 day')"
            ),
            {"deal": deal},
        )
    inside = document("inv-2", "Счет на оплату", "УТ-78", "1000").replace("Документ>", "ПодчиненныйДокумент>")
    inner = f"<ПодчиненныеДокументы>{inside}</ПодчиненныеДокументы>"
    put(incoming, "documents.xml", documents(document("our-order", "Заказ товара", "СД-9", "1000", BUYER + inner)))
    outcome = take(incoming)
    assert outcome.state == "applied", outcome.text
    assert rows("SELECT number, deal_id FROM invoice") == [("УТ-78", deal)]


def test_a_doubtful_counterparty_goes_to_a_person(incoming: Path, driver: Driver) -> None:
    with driver.acting("manager") as work:
        create_company(work, "ООО Ромашка (филиал)", inn=INN, kpp="770799001")
    put(
        incoming, "contragents.xml",
        f"{HEAD}<Контрагенты>{BUYER.removeprefix('<Контрагенты>').removesuffix('</Контрагенты>')}</Контрагенты>"
        "</КоммерческаяИнформация>",
    )  # fmt: skip
    outcome = take(incoming)
    assert outcome.report is not None
    assert outcome.report["companies"]["asked"] == 1
    assert rows("SELECT reason, state FROM company_twin") == [("same_inn", "open")]


def test_a_full_export_that_is_taken_again_is_held_as_any_other(incoming: Path, driver: Driver) -> None:
    accountant = driver.company.viewer("accountant")
    put(incoming, "goods.xml", goods(*many(20)))
    take(incoming)
    put(incoming, "goods.xml", goods(*many(15), full=True))
    take(incoming)
    holding.decide(2, "refuse", "не то", accountant)
    assert take(incoming).state == "failed"
    again = holding.take_again(2, accountant)
    assert take(incoming).state == "held"
    assert left(incoming) == [one for one in left(incoming) if one.startswith(("done/", "failed/"))]
    holding.decide(again, "confirm", "всё-таки да", accountant)
    outcome = take(incoming)
    assert (outcome.state, outcome.exchange_id) == ("applied", again)
    assert active() == 15
