"""Retention: what is old of ended cases goes, in batches and again after a crash; a live case is never touched."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from include.process.rules import hours
from include.reference.services import load_reference
from include.retention import rules, services
from include.retention.rules import KINDS
from include.shared import settings
from include.shared.db import engine
from include.shared.work import reading, transaction
from tests.db.driver import MONDAY, QUOTE, Driver, on_stage, task

pytestmark = pytest.mark.db

OLD = 400  # days: beyond every default


def count(query: str, **values: Any) -> int:
    with reading() as session:
        return int(session.execute(text(query), values).scalar_one())


def events_of(driver: Driver, deal: int) -> int:
    return count("SELECT count(*) FROM outbox_event WHERE case_id = :c", c=driver.deal_row(deal).case_id)


def notices_of(driver: Driver, deal: int) -> int:
    return count("SELECT count(*) FROM notice WHERE case_id = :c", c=driver.deal_row(deal).case_id)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BACKOFFICE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def ended(driver: Driver) -> int:
    """A deal that was won on the first day."""
    process = on_stage(QUOTE, {"do": task(due=hours(5))})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())
    driver.move(deal, "Сделка успешна")
    return deal


def test_old_events_and_notices_of_an_ended_case_go(driver: Driver, ended: int) -> None:
    facts = "SELECT (SELECT count(*) FROM audit) + (SELECT count(*) FROM task) + (SELECT count(*) FROM step_state)"
    known, before = count(facts), events_of(driver, ended)
    assert before > 1
    assert notices_of(driver, ended) > 0
    driver.later(days=170)
    assert services.clean() == dict.fromkeys(services.clean(), 0), "молодое остаётся"
    assert events_of(driver, ended) == before
    driver.later(days=OLD)
    removed = services.clean()
    assert removed["retention_events_days"] >= before
    assert (events_of(driver, ended), notices_of(driver, ended)) == (0, 0)
    assert count(facts) == known
    assert driver.violations() == [], "пребывание без события – не потеря, если сделка давно закрыта"


def _open_deal(driver: Driver) -> int:
    deal = driver.deal(on_stage(QUOTE, {"do": task(due=hours(5))}))
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())  # every instance has ended; the deal itself is open
    return deal


def _closed_with_a_live_instance(driver: Driver) -> int:
    """A kept obligation (AG-6) of a deal that was won."""
    deal = driver.deal(on_stage(QUOTE, {"do": task(due=hours(5), on_leave="keep")}))
    driver.move(deal, QUOTE)
    driver.move(deal, "Сделка успешна")
    assert driver.instances(live=True)
    return deal


def _with_a_dead_event(driver: Driver) -> int:
    deal = _open_deal(driver)
    driver.move(deal, "Сделка успешна")
    with transaction() as work:
        dead = text("UPDATE outbox_event SET state = 'dead' WHERE id = (SELECT max(id) FROM outbox_event)")
        work.session.execute(dead)
    driver.check = False
    return deal


@pytest.mark.parametrize("living", [_open_deal, _closed_with_a_live_instance, _with_a_dead_event])
def test_a_live_case_is_not_touched_however_old(driver: Driver, living: Any) -> None:
    deal = living(driver)
    before = events_of(driver, deal), notices_of(driver, deal)
    driver.now = MONDAY + timedelta(days=20 * OLD)
    services.clean()
    assert (events_of(driver, deal), notices_of(driver, deal)) == before
    assert before[0] > 0
    with transaction() as work:  # the other tests of this module share the tables
        work.session.execute(text("UPDATE outbox_event SET state = 'done' WHERE state = 'dead'"))


def test_a_case_somebody_holds_waits_for_the_next_night(driver: Driver, ended: int) -> None:
    driver.now = MONDAY + timedelta(days=OLD)
    case = driver.deal_row(ended).case_id
    with transaction() as work:
        work.lock_case(case)
        begun = time.monotonic()
        services.clean()
        assert time.monotonic() - begun < 2, "уборка не ждёт чужого замка"
    assert events_of(driver, ended) > 0
    services.clean()
    assert events_of(driver, ended) == 0


def test_a_dry_pass_counts_exactly_and_removes_nothing(driver: Driver, ended: int) -> None:
    with transaction() as work:
        plant = "INSERT INTO notice (key, person_id, text, created_at, read_at) SELECT 'n' || n, :p, 'x', :at, :at"
        values = {"p": driver.company["manager"], "at": MONDAY}
        work.session.execute(text(f"{plant} FROM generate_series(1, 25) n"), values)
    driver.now = MONDAY + timedelta(days=OLD)
    would = services.clean(dry=True, batch=10)
    assert would["retention_notices_days"] >= 25
    assert events_of(driver, ended) > 0
    assert services.clean(batch=10) == would
    assert not any(services.clean().values())


def test_unread_ones_of_no_case_stay(driver: Driver) -> None:
    with transaction() as work:
        unread = text("INSERT INTO notice (key, person_id, text, created_at) VALUES ('unread', :p, 'x', :at)")
        work.session.execute(unread, {"p": driver.company["manager"], "at": MONDAY})
    driver.now = MONDAY + timedelta(days=OLD)
    services.clean()
    assert count("SELECT count(*) FROM notice WHERE key = 'unread'") == 1


def test_zero_keeps_for_ever(driver: Driver, ended: int) -> None:
    for code in KINDS:
        with transaction() as work:
            settings.change(work, code, 0)
    try:
        driver.now = MONDAY + timedelta(days=20 * OLD)
        assert not any(services.clean().values())
        assert events_of(driver, ended) > 0
    finally:
        for code in KINDS:
            with transaction() as work:
                settings.reset(work, code)


def _plant(cases: int, rows: int) -> None:
    """Ended requests of long ago, each with delivered events; one statement for all of them."""
    with transaction() as work:
        work.session.execute(
            text("""
            WITH scheme AS (
                INSERT INTO process_scheme (process, digest, title, number, body)
                VALUES ('planted', gen_random_uuid()::text, 'Посев', 1, '{}') RETURNING id
            ), cases AS (
                INSERT INTO process_case (key, kind, title)
                SELECT 'planted-' || gen_random_uuid(), 'request', 'x' FROM generate_series(1, :cases) RETURNING id
            ), ended AS (
                INSERT INTO process_instance (process, case_id, visit, run_id, scheme_id, state, started_at, ended_at)
                SELECT 'planted', cases.id, 'v', 'planted-' || cases.id, scheme.id, 'ended', :at, :at FROM cases, scheme
            )
            INSERT INTO outbox_event (kind, listen_key, case_id, visit, state, created_at, next_try_at, done_at)
            SELECT 'x', 'on:x', cases.id, 'v', 'done', :at, :at, :at FROM cases, generate_series(1, :rows)
            """),
            {"cases": cases, "rows": rows, "at": MONDAY},
        )


PLANTED = "SELECT count(*) FROM outbox_event WHERE listen_key = 'on:x'"


def test_thousands_go_in_batches_not_row_by_row(driver: Driver) -> None:
    _plant(3000, 10)
    driver.now = MONDAY + timedelta(days=OLD)
    statements = 0

    def told(*_: Any) -> None:
        nonlocal statements
        statements += 1

    event.listen(engine(), "before_cursor_execute", told)
    try:
        services.clean(batch=500)
    finally:
        event.remove(engine(), "before_cursor_execute", told)
    assert count(PLANTED) == 0
    assert statements < 150, "7 пачек по несколько запросов"


def test_killed_in_the_middle_it_goes_on(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    _plant(100, 2)
    driver.now = MONDAY + timedelta(days=OLD)
    pass_id = services.begin()
    delete, calls = services._delete, 0

    def dies(*arguments: Any) -> int:
        nonlocal calls
        calls += 1
        if calls > 10:
            raise KeyboardInterrupt
        return delete(*arguments)

    monkeypatch.setattr(services, "_delete", dies)
    with pytest.raises(KeyboardInterrupt):
        services.clean(pass_id, batch=10)
    left = count(PLANTED)
    assert 0 < left < 200
    assert services.seen(pass_id).removed["retention_events_days"] >= 200 - left, "пачка и её счёт – одна транзакция"
    monkeypatch.setattr(services, "_delete", delete)
    assert services.begin() == pass_id, "прерванный проход продолжается"
    services.clean(pass_id, batch=10)
    assert count(PLANTED) == 0
    assert services.seen(pass_id).removed["retention_events_days"] >= 200
    services.finish(pass_id)
    assert services.begin() != pass_id


def test_the_worker_waits_for_airflows_side(driver: Driver) -> None:
    pass_id = services.begin()
    with pytest.raises(services.AirflowNotCleaned, match="engine"):
        services.wait_finished(pass_id, seconds=0.05, step=0.01)
    with services.taken() as mine, services.taken() as others:
        assert mine == pass_id
        assert others is None, "один двигатель за раз"
    services.add(pass_id, {"retention_runs_days": 3})
    services.add(pass_id, {"retention_runs_days": 4})
    services.finish(pass_id)
    done = services.wait_finished(pass_id, seconds=1)
    assert done.removed["retention_runs_days"] == 7
    assert "оконченные прогоны Airflow и журналы их шагов: 7 прогонов" in done.text
    with services.taken() as nothing:
        assert nothing is None


def test_runs_of_live_cases_are_kept(driver: Driver, ended: int) -> None:
    living = driver.deal()
    driver.move(living, QUOTE)
    driver.close(driver.open_task())
    runs = {one.case_id: (one.process, one.run_id) for one in driver.instances()}
    old, live = runs[driver.deal_row(ended).case_id], runs[driver.deal_row(living).case_id]
    stranger = ("exchange_1c_nightly", "scheduled__2020-01-01")
    asked = [old, live, stranger]
    assert services.kept_runs(asked, MONDAY + timedelta(days=1)) == {live}
    assert services.kept_runs(asked, MONDAY - timedelta(days=1)) == {live, old}, "окончено недавно"


def test_exchange_folders_go_whole_and_incoming_stays(driver: Driver, own_folder: Path) -> None:
    exchange = own_folder / "exchange" / "1c"
    for name, days in (("done/old-1", 200), ("failed/old-2", 200), ("done/young", 10), ("incoming/ancient", 900)):
        folder = exchange / name
        folder.mkdir(parents=True)
        (folder / "import.xml").write_text("x", encoding="utf-8")
        moment = (MONDAY - timedelta(days=days)).timestamp()
        os.utime(folder / "import.xml", (0, 0))  # 1C's own time says nothing
        os.utime(folder, (moment, moment))
    assert services.clean(dry=True)["retention_exchange_days"] == 2
    assert (exchange / "done" / "old-1").exists()
    assert services.clean()["retention_exchange_days"] == 2
    left = sorted(path.relative_to(exchange).as_posix() for path in exchange.rglob("*.xml"))
    assert left == ["done/young/import.xml", "incoming/ancient/import.xml"]


def test_changes_and_visits_of_old_exchanges_go(driver: Driver, own_folder: Path) -> None:
    with transaction() as work:
        for text_ in (
            "INSERT INTO exchange (id, source, state, started_at, finished_at, digest)"
            " SELECT days, 'folder', 'applied', :now, :now - days * interval '1 day', 'x' || days"
            " FROM unnest(ARRAY[901, 10]) AS days",
            "INSERT INTO exchange_change (exchange_id, entity, external_id, before, after)"
            " SELECT days, 'Товар', 'g', '{}', '{}' FROM unnest(ARRAY[901, 901, 10]) AS days",
            "INSERT INTO one_c_access (id, login, title, password_hash, created_at) VALUES (9, 'ut', 'УТ', 'x', :now)",
            "INSERT INTO one_c_session (id, access_id, token_hash, started_at, seen_at, expires_at, address)"
            " SELECT days, 9, 'x' || days, :now, :now - days * interval '1 day', :now, '' FROM"
            " unnest(ARRAY[902, 903, 904, 10]) AS days",
            "INSERT INTO one_c_package (id, session_id, number, kind, state, name, opened_at, changed_at)"
            " VALUES (1, 902, 1, 'catalog', 'complete', 'a', :now, :now),"
            " (2, 903, 1, 'catalog', 'receiving', 'b', :now, :now)",
            "INSERT INTO one_c_file (package_id, name, size, parts, first_part, last_part, changed_at)"
            " VALUES (1, 'import.xml', 1, 1, '', '', :now)",
            "INSERT INTO order_batch (channel, file_name, form, made_at, session_id)"
            " VALUES ('http', 'orders.xml', '{}', :now, 904)",
        ):
            work.session.execute(text(text_), {"now": work.now})
    assert services.clean(dry=True)["retention_exchange_days"] == 3
    assert services.clean(batch=1)["retention_exchange_days"] == 3
    assert count("SELECT count(*) FROM exchange_change") == 1
    assert count("SELECT sum(id) FROM one_c_session") == 903 + 904 + 10, "один ещё шлёт, второй назван заказом"
    assert count("SELECT count(*) FROM one_c_file") == 0


def test_settings_of_retention_are_declared(driver: Driver) -> None:
    with transaction() as work:
        load_reference(work)
    known = count("SELECT count(*) FROM setting WHERE code LIKE 'retention_%'")
    assert known == len(KINDS)


def test_every_kind_is_cleaned_by_somebody(database: Engine) -> None:
    ours = {*services.OF_CASES, *(code for code, _ in services.OF_NOBODY)}
    airflows = {"retention_runs_days", "retention_airflow_days", "retention_contents_days"}
    assert ours | airflows == set(KINDS)
    assert rules.cutoff(MONDAY, 0) is None
    assert rules.cutoff(MONDAY, 1_000_000) is None
    assert rules.cutoff(MONDAY, 1) == MONDAY - timedelta(days=1)
