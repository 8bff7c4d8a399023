"""Deals: created once, moved with trace, fields checked; R002-9a…R002-13 on both funnels with the real processes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from include.deals import services as deals
from include.shared.errors import BackofficeError, Conflict, InvalidInput, NotFound
from include.shared.work import INTEGRATION, transaction
from tests.db.driver import NEW, QUOTE, Driver, Process, at_once

pytestmark = pytest.mark.db
IDENTIFY = "Выполнить Экспресс-идентификацию"
GOODS, SERVICES = ("Товары", "Экспресс-идентификация"), ("Услуги", "Первичная идентификация")


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    """The processes as their files declare them."""
    from backoffice.process.steps import Step

    modules = ["goods_identification", "services_identification", "client_request"]
    found = {}
    for name in modules:
        module = importlib.import_module(f"dags.deals.{name}")
        found[name] = next(one.dag for one in vars(module).values() if isinstance(one, Step))
    return found


@pytest.fixture
def installed(driver: Driver, declared: dict[str, Any]) -> Iterator[dict[str, Process]]:
    processes = {}
    for name, dag in declared.items():
        listens = next(tag for tag in dag.tags if tag.startswith("on:"))
        one = Process(listens, {})
        one.id = name
        one.specs = {step.task_id: dict(step.spec) for step in dag.tasks}
        one.upstream = {step.task_id: sorted(step.upstream_task_ids) for step in dag.tasks}
        processes[name] = one
        driver.processes.append(one)
    yield processes


@pytest.mark.parametrize(("funnel", "stage"), [GOODS, SERVICES])
def test_whoever_takes_a_request_becomes_responsible(driver: Driver, installed: Any, funnel: str, stage: str) -> None:
    """R002-10, R002-11, R002-12: the mover is responsible, his head sets the task."""
    deal = driver.deal(funnel=funnel, responsible="accountant")
    assert driver.tasks() == [], "R002-9a: no tasks on «Не обработан»"
    driver.move(deal, stage, "engineer")
    assert driver.company.login(driver.deal_row(deal).responsible_id) == "engineer"
    only = driver.open_task()
    assert (only.title, driver.company.login(only.executor_id), driver.company.login(only.creator_id or 0)) == (
        IDENTIFY, "engineer", "chief",
    )  # fmt: skip
    assert driver.observers(only) == {"chief"}
    assert driver.told() == ["engineer"]


@pytest.mark.parametrize(("funnel", "stage"), [GOODS, SERVICES])
def test_a_robot_that_moves_keeps_the_responsible(driver: Driver, installed: Any, funnel: str, stage: str) -> None:
    """A2-5: the mover is a robot or an integration → keep current."""
    deal = driver.deal(funnel=funnel)
    with transaction(INTEGRATION) as work:
        deals.move_stage(work, deal, stage)
    driver.settle()
    assert driver.company.login(driver.open_task().executor_id) == "manager"


def test_only_the_first_move_takes_over(driver: Driver, installed: Any) -> None:
    """R002-10: only when the previous stage is «Не обработан»."""
    deal = driver.deal()
    driver.move(deal, QUOTE)
    driver.move(deal, GOODS[1], "colleague")
    assert driver.company.login(driver.deal_row(deal).responsible_id) == "manager"
    driver.move(deal, NEW, "colleague")
    driver.move(deal, GOODS[1], "colleague")
    assert driver.company.login(driver.deal_row(deal).responsible_id) == "colleague"


@pytest.mark.parametrize(
    ("funnel", "stage", "told"),
    [(*GOODS, ["boss", "manager", "product"]), (*SERVICES, ["boss", "manager"])],
)
def test_five_hours_later_the_right_people_are_told(
    driver: Driver, installed: Any, funnel: str, stage: str, told: list[str]
) -> None:
    """R002-13: resp and head, the product manager only on «Товары»; once."""
    deal = driver.deal(funnel=funnel)
    driver.move(deal, stage)
    driver.later(hours=4, minutes=59)
    assert driver.told("за отведённое время") == []
    driver.later(minutes=1)
    driver.later(days=3)
    assert sorted(driver.told("за отведённое время")) == told
    assert driver.told("Просрочена") == [], "the alarm has told the head of the same moment"
    assert driver.open_task().state == "open"


def test_the_product_manager_of_the_deal_is_told_instead_of_all(driver: Driver, installed: Any) -> None:
    """R002-13, R002-5: «продакту» of the deal where it is filled."""
    deal = driver.deal(fields={"product_manager": driver.company["accountant"]})
    driver.move(deal, GOODS[1])
    driver.later(hours=5)
    assert sorted(driver.told("за отведённое время")) == ["accountant", "boss", "manager"]


def test_done_in_time_nobody_is_told(driver: Driver, installed: Any) -> None:
    """R002-13, AG-1."""
    deal = driver.deal()
    driver.move(deal, GOODS[1])
    driver.later(hours=4)
    driver.close(driver.open_task())
    driver.later(hours=4)
    assert driver.told("за отведённое время") == []
    driver.move(deal, QUOTE)
    driver.move(deal, GOODS[1])
    assert [one.state for one in driver.tasks()] == ["done"], "AG-6 once"


def test_a_request_from_the_form_is_moved_to_its_first_task(driver: Driver, installed: Any) -> None:
    """R002-9a…R002-12 in one go: the form, the deal, the first move, the task."""
    from include.process.forms import start_form

    boss = driver.company.viewer("boss")
    form = {"direction": "Товары", "subject": "Подшипники", "responsible_id": driver.company["manager"]}
    with transaction(boss.actor) as work:
        driver.cases.add(start_form(work, "client_request", boss, form).id)
    driver.settle()
    assert driver.told("Новое обращение") == ["manager"]
    deal = driver.step(installed["client_request"], "create_deal").result["deal"]
    driver.cases.add(driver.deal_row(deal).case_id)
    driver.move(deal, GOODS[1], "colleague")
    assert driver.company.login(driver.open_task().executor_id) == "colleague"


# --- services -------------------------------------------------------------------------------------------------------


def test_the_same_request_key_joins_the_first_deal_even_at_once(driver: Driver) -> None:
    def make(_: int) -> int:
        with transaction() as work:
            deal = deals.create_deal(
                work, title="Одна", funnel="goods", responsible_id=driver.company["manager"], request_key="once-1"
            )
            driver.cases.add(deal.case_id)
            return deal.id

    assert len(set(at_once(6, make))) == 1
    driver.settle()


@pytest.mark.parametrize(
    "wrong",
    [{"title": ""}, {"title": " "},
     {"title": "\u200b"}, {"title": "x" * 301}, {"title": "a\x00"}, {"title": "\ud800"}, {"title": None},
     {"funnel": "Нет"}, {"responsible_id": 10**9}, {"company_id": 10**9}, {"contact_id": 10**9},
     {"source": "\x00"}, {"source": "x" * 301}, {"request_key": "\x00"}, {"request_key": "x" * 501},
     {"time_zone": "Марс"}, {"time_zone": "../etc/passwd"}, {"time_zone": ""}, {"fields": {"нет": 1}},
     {"fields": {"signed_on": "вчера"}}],
)  # fmt: skip
def test_a_wrong_deal_is_refused_whole(driver: Driver, wrong: dict[str, Any]) -> None:
    before = driver.read(lambda s: s.scalar(text("SELECT count(*) FROM process_case")))
    values = {"title": "Сделка", "funnel": "goods", "responsible_id": driver.company["manager"], **wrong}
    with pytest.raises(InvalidInput), transaction() as work:
        deals.create_deal(work, **values)
    assert driver.read(lambda s: s.scalar(text("SELECT count(*) FROM process_case"))) == before


WRONG_FIELDS = [
    {"paid": "-1"}, {"paid": "1.001"}, {"amount": "NaN"}, {"amount": "1e999999"}, {"title": 5}, {"debt": "1"},
    {"signed_on": "31.02.2026"}, {"delivery_terms": "почтой"}, {"product_manager": 10**9}, {"works_executor": 1},
    {"contract_draft": "x"}, {"track_number": "\x00"}, {"track_number": "\ud800"}, {"responsible": 1}, {"stage": QUOTE},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_FIELDS)
def test_a_wrong_field_changes_nothing(driver: Driver, wrong: dict[str, Any]) -> None:
    deal = driver.deal()
    with pytest.raises(InvalidInput) as error:
        driver.fill(deal, sent_on="2026-11-20", **wrong)
    assert error.value.field == next(iter(wrong))
    assert "sent_on" not in driver.deal_row(deal).fields


def test_unknown_deals_and_stages(driver: Driver) -> None:
    deal = driver.deal()
    with pytest.raises(NotFound):
        driver.move(10**9, QUOTE)
    with pytest.raises(InvalidInput):
        driver.move(deal, "Ожидание выезда на объект")
    with pytest.raises(InvalidInput), transaction() as work:
        deals.change_responsible(work, deal, 10**9, "")
    with pytest.raises(BackofficeError), transaction() as work:
        deals.change_responsible(work, deal, driver.company["boss"], "\x00")


def test_a_move_from_a_stale_board_is_refused(driver: Driver) -> None:
    deal = driver.deal()
    driver.move(deal, QUOTE)
    with pytest.raises(Conflict), transaction() as work:
        deals.move_stage(work, deal, "Договор", seen_stage=NEW)


def test_a_move_to_the_same_stage_changes_nothing(driver: Driver) -> None:
    deal = driver.deal()
    driver.move(deal, NEW)
    assert (
        driver.read(lambda s: s.scalar(text("SELECT count(*) FROM stage_visit WHERE deal_id = :d"), {"d": deal})) == 1
    )


def test_two_people_move_at_once_and_every_visit_is_whole(driver: Driver) -> None:
    deal = driver.deal()
    stages = [QUOTE, "Договор", "Комплектация", "Отгрузка"]
    at_once(4, lambda number: driver.move(deal, stages[number], settle=False))
    driver.settle()
    visits = "SELECT count(*), count(*) FILTER (WHERE left_at IS NULL) FROM stage_visit WHERE deal_id = :d"
    assert tuple(driver.read(lambda s: s.execute(text(visits), {"d": deal}).one())) == (5, 1)


def test_a_field_change_is_audited_and_told_once(driver: Driver) -> None:
    deal = driver.deal()
    driver.fill(deal, paid="5", signed_on="20.11.2026")
    driver.fill(deal, paid="5.00", signed_on="2026-11-20")
    rows = "SELECT count(*) FROM {} WHERE case_id = :case AND {}"
    case = driver.deal_row(deal).case_id
    for table, which in (("audit", "action = 'deal.field_changed'"), ("outbox_event", "kind = 'field_changed'")):
        assert driver.read(lambda s, t=table, w=which: s.scalar(text(rows.format(t, w)), {"case": case})) == 2


def test_debt_and_overpayment(driver: Driver) -> None:
    """R002-74, A2-34: negative → debt 0 and "переплата"."""
    from include.deals.facts import deal_facts
    from include.deals.models import Deal

    deal = driver.deal(fields={"amount": "100", "paid": "130"})
    facts = driver.read(lambda s: deal_facts(s, s.get_one(Deal, deal)))
    assert (str(facts["debt"]), str(facts["overpaid"])) == ("0.00", "30.00")
