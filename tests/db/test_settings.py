"""Settings: declared by processes, changed by staff, read at run time (AG-5)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from include.documents.services import limit_bytes
from include.process import engine
from include.process.rules import hours, term
from include.shared import settings
from include.shared.errors import InvalidInput, NotFound
from include.shared.models import Setting
from include.shared.work import transaction
from tests.db.driver import QUOTE, Driver, at_once, on_stage, task

pytestmark = pytest.mark.db


def change(driver: Driver, code: str, value: Any) -> None:
    with transaction(driver.company.viewer("admin").actor) as work:
        settings.change(work, code, value)


def test_a_term_of_a_process_is_known_and_editable(driver: Driver) -> None:
    """AG-5: each task template has its term in the settings."""
    process = on_stage(QUOTE, {"do": task("Сделать", due=term("my_term", hours(5), "Срок дела"))})
    driver.move(driver.deal(process), QUOTE)
    row = driver.read(lambda s: s.get_one(Setting, "my_term"))
    assert (row.title, row.kind, row.value) == ("Срок дела", "term", {"hours": 5})
    switch = driver.read(lambda s: s.get_one(Setting, f"repeat:{process.id}.do"))
    assert (switch.kind, switch.value) == ("switch", False)
    change(driver, "my_term", {"hours": 1})
    driver.move(driver.deal(process), QUOTE)
    assert [(one.due_at - one.created_at).total_seconds() / 3600 for one in driver.tasks() if one.due_at] == [5, 1]


def test_a_new_release_brings_its_default_but_not_over_a_changed_value(driver: Driver) -> None:
    def declare(default: dict[str, int]) -> Any:
        with transaction() as work:
            settings.declare(work, "released", "Срок", "term", default)
        return driver.read(lambda s: s.get_one(Setting, "released").value)

    assert declare({"hours": 1}) == {"hours": 1}
    assert declare({"hours": 2}) == {"hours": 2}
    change(driver, "released", {"days": 3})
    assert declare({"hours": 4}) == {"days": 3}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [("term", v) for v in ({}, {"hours": -1}, {"hours": 1.5}, {"hours": True}, {"weeks": 1}, {"hours": 1, "days": 1},
                           "5 ч", None, {"hours": "5"}, {"days": 10**6}, [])]
    + [("switch", v) for v in (1, "да", None)]
    + [("number", v) for v in (True, "1", 1.5, -1, 1_000_001)]
    + [("text", v) for v in (1, "\x00", "\ud800")],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused(kind: str, wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        settings.check_value(kind, wrong)


def test_a_file_limit_is_at_least_one_megabyte(driver: Driver) -> None:
    with transaction() as work:
        settings.declare(work, "file_limit_mb", "Наибольший размер файла", "number", 50)
    with pytest.raises(InvalidInput, match="от 0"):
        change(driver, "file_limit_mb", -1)
    change(driver, "file_limit_mb", 0)
    assert driver.read(limit_bytes) == 2**20
    change(driver, "file_limit_mb", 50)


def test_an_unknown_setting(driver: Driver) -> None:
    with pytest.raises(NotFound):
        change(driver, "нет такой", 1)
    with pytest.raises(InvalidInput), transaction() as work:
        settings.declare(work, "x", "x", "колесо", 1)


def test_a_change_is_audited(driver: Driver) -> None:
    with transaction() as work:
        settings.declare(work, "audited", "Переключатель", "switch", False)
    change(driver, "audited", True)
    sql = "SELECT before, after, actor_id FROM audit WHERE action = 'setting.changed' ORDER BY id DESC LIMIT 1"
    found = driver.read(lambda s: s.execute(text(sql)).one())
    assert tuple(found) == ({"audited": False}, {"audited": True}, driver.company["admin"])


def test_settings_change_while_processes_begin(driver: Driver) -> None:
    """Both lock settings and cases, in one order: no deadlock, and a begin waits for nobody when nothing is new."""
    process = on_stage(QUOTE, {"do": task("Сделать", due=term("raced", hours(5), "Срок"))})
    made = [driver.deal(process) for _ in range(6)]
    driver.move(made[0], QUOTE)

    def race(number: int) -> None:
        if number % 2:
            change(driver, "raced", {"hours": number})
        else:
            driver.move(made[number // 2 + 1], QUOTE, settle=False)
            driver.relay()

    at_once(8, race)
    driver.settle()
    assert len(driver.tasks("open")) == 5


def test_a_scheme_is_recorded_once_per_declaration(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task()})

    def record(_: int) -> int:
        with transaction() as work:
            return engine.record_scheme(work.session, process.id, process.scheme)

    assert len(set(at_once(4, record))) == 1
    process.number = 2
    assert record(0) != record(0) - 1
    with transaction() as work:
        kept = work.session.scalar(text("SELECT count(*) FROM process_scheme WHERE process = :p"), {"p": process.id})
    assert kept == 2
