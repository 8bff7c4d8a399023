"""The exchange with 1C on PostgreSQL: one transaction, repeatable after a crash, nothing lost or doubled (R002-8)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from include.exchange_1c import applying, services, staging, staging_rows
from include.exchange_1c import folder as places
from include.exchange_1c.records import Limits
from include.installation.places import Places
from include.installation.postgres import EmbeddedPostgres, wait_until_accepts
from include.shared.db import Base, engine
from tests.unit.exchange_1c.test_reader import independent

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "commerceml"
TABLES = "exchange_reject, exchange_file, nomenclature, exchange, outbox_event, company, contact, process_case, audit"
HEAD = '<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_3" ВерсияСхемы="3.1">'
INN, KPP = "7707083893", "773601001"


def _import_models() -> None:
    import include.models

    assert include.models.metadata


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1]) - 3


@pytest.fixture(scope="module")
def _database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("exchange_1c")
    server = EmbeddedPostgres(Places(home, port=_free_port()), password="throw-away", durable=False)
    server.prepare()
    process = subprocess.Popen(
        server.command(), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **server.identity()
    )
    before = os.environ.get("BACKOFFICE_DATABASE_URL")
    try:
        assert wait_until_accepts(server.url(), 30)
        server.create_databases({"airflow": "a", "backoffice": "b"})
        url = server.url("backoffice", "backoffice", "b").replace("postgresql://", "postgresql+psycopg://")
        os.environ["BACKOFFICE_DATABASE_URL"] = url
        _import_models()
        Base.metadata.create_all(engine())
        yield
        engine().dispose()
    finally:
        if before is None:
            os.environ.pop("BACKOFFICE_DATABASE_URL", None)
        else:
            os.environ["BACKOFFICE_DATABASE_URL"] = before
        process.send_signal(signal.SIGINT)  # fast shutdown: no waiting for clients
        process.wait(20)


@pytest.fixture
def incoming(_database: None, tmp_path: Path) -> Path:
    with engine().begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE"))
    folder = tmp_path / "exchange" / "1c" / "incoming"
    folder.mkdir(parents=True)
    return folder


def rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with engine().connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql), values)]


def one(sql: str, **values: Any) -> Any:
    return rows(sql, **values)[0][0]


def goods(*items: str, only_changes: str = "true") -> str:
    return (
        f'{HEAD}<Каталог СодержитТолькоИзменения="{only_changes}"><Ид>k</Ид><Товары>{"".join(items)}</Товары>'
        "</Каталог></КоммерческаяИнформация>"
    )


def item(external_id: str, name: str = "Подшипник 6205", extra: str = "") -> str:
    return f"<Товар><Ид>{external_id}</Ид><Наименование>{name}</Наименование>{extra}</Товар>"


def counterparties(*items: str) -> str:
    return f"{HEAD}<Контрагенты>{''.join(items)}</Контрагенты></КоммерческаяИнформация>"


def counterparty(external_id: str, name: str, inn: str = "", kpp: str = "", extra: str = "") -> str:
    return (
        f"<Контрагент><Ид>{external_id}</Ид><Наименование>{name}</Наименование>"
        f"<ОфициальноеНаименование>{name}</ОфициальноеНаименование><ИНН>{inn}</ИНН><КПП>{kpp}</КПП>{extra}</Контрагент>"
    )


def put(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body, encoding="utf-8")
    return path


def staff_company(name: str, inn: str | None = None, kpp: str | None = None) -> int:
    return int(
        one_written(
            "INSERT INTO company (name, inn, kpp, search_key, phone, created_at)"
            " VALUES (:name, :inn, :kpp, lower(:name), '+7 900', now()) RETURNING id",
            name=name,
            inn=inn,
            kpp=kpp,
        )
    )


def one_written(sql: str, **values: Any) -> Any:
    with engine().begin() as connection:
        return connection.execute(text(sql), values).scalar_one()


def test_empty_folder_ends_well(incoming: Path) -> None:
    outcome = services.receive(incoming, now=True)
    assert (outcome.state, outcome.is_failed) == ("empty", False)
    assert "нет" in outcome.text


def test_goods_and_counterparties_come_in_with_one_event(incoming: Path) -> None:
    put(
        incoming,
        "goods/goods_1_1.xml",
        goods(item("a"), item("b", extra="<БазоваяЕдиница>796 </БазоваяЕдиница>")),
    )
    put(
        incoming,
        "contragents/contragents_1.xml",
        counterparties(counterparty("c", "ООО «Ромашка»", INN, KPP)),
    )
    outcome = services.receive(incoming, now=True)
    assert outcome.state == "applied"
    assert rows("SELECT external_id, unit_code FROM nomenclature ORDER BY 1") == [("a", None), ("b", "796")]
    assert rows("SELECT name, inn, kpp, kind, active, search_key FROM company") == [
        ("ООО «Ромашка»", INN, KPP, "legal", True, "ооо ромашка")
    ]
    events = rows("SELECT kind, listen_key, visit, payload, case_id FROM outbox_event")
    assert len(events) == 1
    kind, key, visit, payload, case_id = events[0]
    assert (kind, key, visit) == (
        "exchange_applied",
        "on:event:exchange_applied",
        f"exchange-{outcome.exchange_id}",
    )
    assert payload["goods"]["added"] == 2
    assert rows("SELECT key, kind FROM process_case WHERE id = :id", id=case_id) == [
        (f"exchange-{outcome.exchange_id}", "exchange")
    ]
    assert one("SELECT count(*) FROM audit WHERE action = 'exchange.applied'") == 1
    target = next((incoming.parent / "done").iterdir())
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*.*")) == [
        "contragents/contragents_1.xml",
        "goods/goods_1_1.xml",
        "report.json",
        "report.txt",
    ]
    assert json.loads((target / "report.json").read_text())["companies"]["added"] == 1
    assert places.look(incoming) == []


def test_same_files_again_change_nothing(incoming: Path) -> None:
    body = goods(item("a"))
    put(incoming, "goods.xml", body)
    first = services.receive(incoming, now=True)
    stamp = one("SELECT xmin::text FROM nomenclature")
    put(incoming, "goods.xml", body)
    again = services.receive(incoming, now=True)
    assert again.state == "repeated"
    assert f"№ {first.exchange_id}" in again.text
    assert one("SELECT xmin::text FROM nomenclature") == stamp
    assert one("SELECT count(*) FROM outbox_event") == 1


def test_equal_rows_are_not_rewritten_and_changed_ones_are(incoming: Path) -> None:
    put(incoming, "goods.xml", goods(item("a"), item("b")))
    put(incoming, "contragents.xml", counterparties(counterparty("c", "ООО Ромашка", INN, KPP)))
    services.receive(incoming, now=True)
    stamps = rows("SELECT external_id, xmin::text FROM nomenclature ORDER BY 1")
    company = one("SELECT xmin::text FROM company")
    put(incoming, "goods.xml", goods(item("a"), item("b", "Подшипник 6206"), item("n")))
    put(incoming, "contragents.xml", counterparties(counterparty("c", "ООО Ромашка", INN, KPP)))
    outcome = services.receive(incoming, now=True)
    assert outcome.report is not None
    counts = outcome.report["goods"]
    assert (counts["added"], counts["changed"], counts["unchanged"]) == (1, 1, 1)
    after = dict(rows("SELECT external_id, xmin::text FROM nomenclature"))
    assert after["a"] == dict(stamps)["a"]
    assert after["b"] != dict(stamps)["b"]
    assert one("SELECT xmin::text FROM company") == company
    assert one("SELECT name FROM nomenclature WHERE external_id = 'b'") == "Подшипник 6206"


def test_only_marks_deactivate_and_a_bare_mark_keeps_the_name(incoming: Path) -> None:
    put(incoming, "goods.xml", goods(item("a"), item("b"), item("c")))
    services.receive(incoming, now=True)
    put(
        incoming,
        "goods.xml",
        goods(
            "<Товар><Ид>b</Ид><ПометкаУдаления>true</ПометкаУдаления></Товар>",
            item("a"),
            only_changes="true",
        ),
    )
    outcome = services.receive(incoming, now=True)
    assert rows("SELECT external_id, active, name FROM nomenclature ORDER BY 1") == [
        ("a", True, "Подшипник 6205"),
        ("b", False, "Подшипник 6205"),
        ("c", True, "Подшипник 6205"),
    ]
    assert outcome.report is not None
    assert outcome.report["goods"]["deactivated"] == 1


def test_rejects_stand_in_quarantine_until_the_record_comes_right(incoming: Path) -> None:
    rate = "<СтавкаНалога><Наименование>НДС</Наименование><Ставка>{}</Ставка></СтавкаНалога>"
    tax = f"<СтавкиНалогов>{rate}</СтавкиНалогов>"
    put(incoming, "goods.xml", goods(item("a", extra=tax.format("33")), item("b", extra=tax.format("22"))))
    outcome = services.receive(incoming, now=True)
    assert outcome.state == "applied"
    assert rows("SELECT external_id, vat FROM nomenclature") == [("b", "vat22")]
    assert rows("SELECT entity, external_id, resolved_at FROM exchange_reject") == [("Товар", "a", None)]
    assert "ставка НДС «33»" in outcome.text
    put(incoming, "goods.xml", goods(item("a", extra=tax.format("20"))))
    services.receive(incoming, now=True)
    assert one("SELECT resolved_at IS NOT NULL FROM exchange_reject") is True


def test_last_of_doubled_ids_wins_with_a_warning(incoming: Path) -> None:
    put(incoming, "goods_1_1.xml", goods(item("a", "первый"), item("a", "второй")))
    put(incoming, "goods_1_2.xml", goods(item("a", "третий")))
    outcome = services.receive(incoming, now=True)
    assert rows("SELECT name FROM nomenclature") == [("третий",)]
    assert outcome.report is not None
    assert outcome.report["goods"]["doubled"] == 2
    assert "встречается несколько раз" in outcome.text


def counts_of(outcome: services.Outcome) -> dict[str, int]:
    assert outcome.report is not None
    return dict(outcome.report["goods"])


@pytest.mark.parametrize("portion", [1, 4_000])
def test_a_new_record_that_comes_again_counts_once(
    incoming: Path, portion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "BATCH", portion)  # new goods go into their table portion by portion
    deleted = "<Товар><Ид>gone</Ид><ПометкаУдаления>true</ПометкаУдаления></Товар>"
    items = (item("a", "первый"), item("gone", "был"), item("b"), item("a", "второй"), deleted)
    put(incoming, "goods.xml", goods(*items))
    outcome = services.receive(incoming, now=True)
    assert rows("SELECT external_id, name FROM nomenclature ORDER BY 1") == [("a", "второй"), ("b", "Подшипник 6205")]
    assert rows("SELECT DISTINCT first_exchange_id = last_exchange_id FROM nomenclature") == [(True,)]
    wanted = {"taken": 3, "added": 2, "changed": 0, "deactivated": 0, "unchanged": 0, "doubled": 2}
    assert counts_of(outcome) == wanted
    put(incoming, "goods.xml", goods(item("a", "третий"), item("b"), item("a", "второй"), item("c"), only_changes="no"))
    again = services.receive(incoming, now=True)
    wanted = {"taken": 3, "added": 1, "changed": 0, "deactivated": 0, "unchanged": 2, "doubled": 1}
    assert counts_of(again) == wanted


def test_a_file_that_breaks_after_a_portion_leaves_nothing(incoming: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "BATCH", 2)
    whole = goods(*(item(f"a{n}") for n in range(9)))
    put(incoming, "goods.xml", whole[: whole.rindex("<Товар>") + 20])
    assert services.receive(incoming, now=True).state == "failed"
    assert one("SELECT count(*) FROM nomenclature") == 0


def test_what_the_database_refuses_in_a_portion_fails_the_exchange(
    incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "BATCH", 2)
    monkeypatch.setattr(staging_rows, "_json", lambda _: "{")
    put(incoming, "goods.xml", goods(*(item(f"a{n}") for n in range(9))))
    outcome = services.receive(incoming, now=True)
    assert outcome.is_failed
    assert "База отказала" in outcome.text
    assert one("SELECT count(*) FROM nomenclature") == 0


@pytest.mark.parametrize("kpp", [KPP, None])
def test_staff_company_meets_its_twin(incoming: Path, kpp: str | None) -> None:
    inn = INN if kpp else "500100732259"
    company_id = staff_company("Ромашка (от Иванова)", inn, kpp)
    put(incoming, "contragents.xml", counterparties(counterparty("c", "ООО Ромашка", inn, kpp or "")))
    outcome = services.receive(incoming, now=True)
    assert rows("SELECT id, external_id, name, phone FROM company") == [(company_id, "c", "ООО Ромашка", "+7 900")]
    assert outcome.report is not None
    assert outcome.report["companies"]["joined"] == 1
    assert rows("SELECT entity_id, before ->> 'name' FROM audit WHERE action = 'company.joined'") == [
        (company_id, "Ромашка (от Иванова)")
    ]


@pytest.mark.parametrize(
    ("staff", "record"),
    [
        ([("ООО Ромашка", None, None)], counterparty("c", "ООО Ромашка", INN, KPP)),  # never by name
        ([("Ромашка", INN, "503245001")], counterparty("c", "ООО Ромашка", INN, KPP)),  # a branch
        (
            [("Ромашка", INN, KPP), ("Ещё одна", INN, KPP)],
            counterparty("c", "ООО Ромашка", INN, KPP),
        ),  # which?
        (
            [("Ромашка", INN, KPP)],
            counterparty("c", "ООО Ромашка", INN, KPP, "<ПометкаУдаления>true</ПометкаУдаления>"),
        ),
    ],
)
def test_doubtful_twins_stay_apart(
    incoming: Path, staff: list[tuple[str, str | None, str | None]], record: str
) -> None:
    for company in staff:
        staff_company(*company)
    put(incoming, "contragents.xml", counterparties(record))
    services.receive(incoming, now=True)
    assert one("SELECT count(*) FROM company") == len(staff) + 1
    assert one("SELECT count(*) FROM company WHERE external_id IS NULL AND active") == len(staff)


def test_company_without_valid_inn_is_loaded_with_a_warning(incoming: Path) -> None:
    put(incoming, "contragents.xml", counterparties(counterparty("c", "ООО Ромашка", "0000000000", KPP)))
    outcome = services.receive(incoming, now=True)
    assert rows("SELECT inn, details #>> '{one_c,raw,inn}' FROM company") == [(None, "0000000000")]
    assert "из одних нулей" in outcome.text


def test_what_staff_entered_survives_empty_fields_of_1c(incoming: Path) -> None:
    put(incoming, "contragents.xml", counterparties(counterparty("c", "ООО Ромашка", INN, KPP)))
    services.receive(incoming, now=True)
    with engine().begin() as connection:
        connection.execute(
            text("UPDATE company SET active = false, email = 'a@b.ru', details = details || '{\"note\": 1}'")
        )
    put(incoming, "contragents.xml", counterparties(counterparty("c", "ООО Ромашка 2")))
    services.receive(incoming, now=True)
    assert rows("SELECT name, inn, kpp, email, active, details ->> 'note' FROM company") == [
        ("ООО Ромашка 2", INN, KPP, "a@b.ru", False, "1")
    ]


def test_cut_file_fails_the_whole_exchange(incoming: Path) -> None:
    put(incoming, "goods_1_1.xml", goods(item("a")))
    put(incoming, "goods_1_2.xml", goods(*[item(f"n{i}") for i in range(6000)])[:-3000])
    outcome = services.receive(incoming, now=True)
    assert outcome.is_failed
    assert "обрывается" in outcome.text
    assert one("SELECT count(*) FROM nomenclature") == 0
    assert one("SELECT count(*) FROM outbox_event") == 0
    assert rows("SELECT state FROM exchange") == [("failed",)]
    target = next((incoming.parent / "failed").iterdir())
    assert sorted(path.name for path in target.iterdir()) == [
        "goods_1_1.xml",
        "goods_1_2.xml",
        "report.json",
        "report.txt",
    ]


def test_foreign_files_do_not_stop_the_others(incoming: Path) -> None:
    put(incoming, "goods.xml", goods(item("a")))
    (incoming / "v8_1.rar").write_bytes(b"Rar!")
    (incoming / "old.xml").write_bytes(
        '<?xml version="1.0" encoding="windows-1251"?><КоммерческаяИнформация><Каталог Идентификатор="1"/>'
        "</КоммерческаяИнформация>".encode("cp1251")
    )
    put(incoming, "import_files/ab/x.jpg", "картинка")
    outcome = services.receive(incoming, now=True)
    assert outcome.state == "applied"
    assert one("SELECT count(*) FROM nomenclature") == 1
    assert "Такие архивы не принимаются" in outcome.text
    assert "CommerceML 1.x" in outcome.text
    failed = next((incoming.parent / "failed").iterdir())
    assert {path.name for path in failed.iterdir()} == {"v8_1.rar", "old.xml", "report.json", "report.txt"}
    assert places.look(incoming) == []


def test_refused_files_are_told_with_the_event(incoming: Path) -> None:
    put(incoming, "goods_1.xml", goods(item("a")))
    put(incoming, "old.rar", "PK")
    services.receive(incoming, now=True)
    (payload,) = rows("SELECT payload FROM outbox_event")[0]
    assert (payload["rejects"], payload["refused_files"]) == (0, 1)


def test_a_name_that_is_not_utf8_is_made_readable(incoming: Path) -> None:
    """Windows writes names in cp1251: neither the database nor a report can hold such a name."""
    import os

    raw = os.path.join(os.fsencode(incoming), "Товары.xml".encode("cp1251"))  # noqa: PTH118 - bytes
    Path(os.fsdecode(raw)).write_text(goods(item("a")), encoding="utf-8")
    assert services.receive(incoming, now=True).state == "applied"
    assert rows("SELECT name FROM exchange_file") == [("Товары.xml",)]
    assert list(incoming.iterdir()) == []


def test_old_reports_do_not_overwrite_ours(incoming: Path) -> None:
    """Somebody moves a failed exchange back together with its report."""
    put(incoming, "report.txt", "прежний отчёт")
    put(incoming, "goods_1.xml", goods(item("a"))[:80])
    outcome = services.receive(incoming, now=True)
    assert outcome.state == "failed"
    report = next((incoming.parent / "failed").rglob("report.txt"))
    assert report.read_text(encoding="utf-8") != "прежний отчёт"


def test_nothing_readable_fails(incoming: Path) -> None:
    (incoming / "v8_1.rar").write_bytes(b"Rar!")
    assert services.receive(incoming, now=True).is_failed
    assert places.look(incoming) == []


def test_crash_between_commit_and_move_is_finished_by_the_next_run(
    incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(incoming, "goods.xml", goods(item("a")))
    put(incoming, "groups.xml", goods())

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(places, "move", crash)
        services.receive(incoming, now=True)
    assert rows("SELECT state, filed_at FROM exchange") == [("applied", None)]
    replaced = put(incoming, "groups.xml", goods(item("z")))  # 1C has already written the next one
    outcome = services.receive(incoming, now=True)
    assert outcome.state == "applied"  # the new groups.xml
    assert one("SELECT count(*) FROM exchange WHERE filed_at IS NULL") == 0
    assert rows("SELECT external_id FROM nomenclature ORDER BY 1") == [("a",), ("z",)]
    assert one("SELECT count(*) FROM outbox_event") == 2
    assert not replaced.exists()


def test_crash_before_commit_leaves_nothing_and_the_next_run_takes_all(
    incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(incoming, "goods.xml", goods(*[item(str(i)) for i in range(20)]))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(applying, "_tell", crash)
        services.receive(incoming, now=True)
    assert one("SELECT count(*) FROM nomenclature") == 0
    assert services.receive(incoming, now=True).state == "applied"
    assert one("SELECT count(*) FROM nomenclature") == 20
    assert rows("SELECT state, filed_at IS NOT NULL FROM exchange ORDER BY id") == [
        ("failed", True),
        ("applied", True),
    ]


def test_file_overwritten_while_read_applies_nothing(incoming: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(incoming, "goods.xml", goods(item("a")))
    monkeypatch.setattr(places.Arrived, "is_same", lambda _: False)
    with pytest.raises(services.FileChanged):
        services.receive(incoming, now=True)
    assert one("SELECT count(*) FROM nomenclature") == 0
    assert len(places.look(incoming)) == 1


def test_second_run_at_once_says_so(incoming: Path) -> None:
    put(incoming, "goods.xml", goods(item("a")))
    with services._alone(), pytest.raises(services.ExchangeBusy, match="уже идёт"):
        services.receive(incoming, now=True)
    assert services.receive(incoming, now=True).state == "applied"


def test_many_runs_at_once_apply_once(incoming: Path) -> None:
    put(incoming, "goods.xml", goods(*[item(str(i)) for i in range(500)]))
    states: list[str] = []

    def run() -> None:
        try:
            states.append(services.receive(incoming, now=True).state)
        except services.ExchangeBusy:
            states.append("busy")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states.count("applied") == 1
    assert set(states) <= {"applied", "busy", "empty"}
    assert one("SELECT count(*) FROM outbox_event") == 1


def test_growing_file_is_left_alone(incoming: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(incoming, "goods.xml", goods(item("a")))

    def grow(_: float) -> None:
        with path.open("a") as file:
            file.write(" ")

    monkeypatch.setattr(places.time, "sleep", grow)
    assert services.receive(incoming, settle_seconds=0.01).state == "waiting"
    assert path.exists()


def test_huge_field_becomes_a_reject_row(incoming: Path) -> None:
    put(incoming, "goods.xml", goods(item("a", extra=f"<Описание>{'я' * 200}</Описание>"), item("b")))
    outcome = services.receive(incoming, now=True, limits=Limits(field_chars=100))
    assert outcome.state == "applied"
    assert rows("SELECT external_id FROM nomenclature") == [("b",)]
    assert "длиннее 100 знаков" in outcome.text


def test_database_refusal_fails_the_exchange_and_says_so(incoming: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(incoming, "goods.xml", goods(item("a")))
    monkeypatch.setattr(applying, "not_loaded", lambda _: {"x": "\x00"})
    outcome = services.receive(incoming, now=True)
    assert outcome.is_failed
    assert "База отказала" in outcome.text
    assert one("SELECT count(*) FROM nomenclature") == 0


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="нет папки с образцами выгрузок ../shared/samples/commerceml")
def test_every_sample_in_one_exchange(incoming: Path) -> None:
    for path in SAMPLES.glob("*.xml"):
        shutil.copy(path, incoming / path.name)
    outcome = services.receive(incoming, now=True)
    assert outcome.state == "applied", outcome.text
    assert outcome.report is not None
    assert one("SELECT count(*) FROM company") == 37
    assert rows("SELECT kind, count(*) FROM company GROUP BY 1 ORDER BY 1") == [
        ("legal", 18),
        ("person", 5),
        ("sole", 14),
    ]
    counts = outcome.report["goods"]
    assert counts["taken"] + counts["doubled"] + outcome.report["rejects"]["count"] == 1279
    kinds, expected = outcome.report["kinds"], Counter[str]()
    for path in SAMPLES.glob("*.xml"):
        if path.name != "cml1_77_sale_win1251.xml":
            expected += independent(path)[0]
    rejected = Counter(dict(rows("SELECT entity, count(*) FROM exchange_reject GROUP BY entity")))
    for key, entity in (("offers", "Предложение"), ("prices", "Цена"), ("stock", "Остаток")):
        least = (
            0 if entity == "Предложение" else expected[entity] - rejected[entity]
        )  # nameless offers give prices alone
        assert least <= kinds[key]["taken"] + kinds[key].get("doubled", 0), key
    for table, key in (("one_c_document", "documents"), ("offer", "offers"), ("price", "prices"), ("stock", "stock")):
        assert one(f"SELECT count(*) FROM {table}") == kinds[key]["added"], table
    assert 0 < kinds["documents"]["added"] <= expected["Документ"]
    said: Counter[str] = Counter()
    for (counts_of_file,) in rows("SELECT counts FROM exchange_file WHERE state = 'applied'"):
        said += Counter(counts_of_file)
    for entity in ("Товар", "Предложение", "Цена", "Документ", "Группа", "Контрагент", "Склад", "ТипЦены"):
        assert said[entity] == expected[entity], entity
    refused = [file["name"] for file in outcome.report["files"] if file["state"] == "refused"]
    assert refused == ["cml1_77_sale_win1251.xml"]
    assert places.look(incoming) == []
