"""Search: what is found, by whom it may be seen, and that PostgreSQL answers it by an index."""

from __future__ import annotations

import pytest
from sqlalchemy import Select, select, text
from sqlalchemy.dialects import postgresql

from include.companies.services import create_company
from include.deals import services as deals
from include.shared.search import found_in, number_of, words_of
from include.shared.work import transaction
from include.tasks import core
from include.tasks.models import Task
from include.workplace import search
from include.workplace.shapes import SearchResult
from tests.db.driver import Driver

pytestmark = pytest.mark.db
MANY = 100_000


def found(driver: Driver, login: str, query: str, **more: object) -> SearchResult:
    return driver.read(lambda session: search.search(session, driver.company.viewer(login), query, **more))


def titles(result: SearchResult, kind: str) -> list[str]:
    return [hit.title for group in result.groups if group.kind == kind for hit in group.hits]


def a_deal(driver: Driver, title: str, login: str = "manager", company: str | None = None) -> int:
    with transaction(driver.company.viewer(login).actor) as work:
        company_id = create_company(work, company).id if company else None
        made = deals.create_deal(
            work, title=title, funnel="Товары", responsible_id=driver.company[login], company_id=company_id
        )
        driver.cases.add(made.case_id)
        return made.id


def a_task(driver: Driver, deal: int, title: str, login: str = "manager", state: str = "open") -> int:
    with transaction() as work:
        row = driver.deal_row(deal)
        task = core.give(work, Task(
            key=f"search/{deal}/{title}", case_id=row.case_id, step="x", topic=title, title=title, state="open",
            addressed_to="responsible", executor_id=driver.company[login], created_at=work.now,
            result_fields={"fields": []},
        ))  # fmt: skip
        if state != "open":
            core.end(work, task, state, None)
        return task.id


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("насос", True), ("НАСОСЫ", True), ("насоса центробежного", True), ("центроб", True), ("к-125", True),
        ("125", True), ("6205-2RS", True), ("чёрный", True), ("черн", True), ("насос 126", False), ("помпа", False),
        ("центробежный насос чёрный 6205", True), ("'); drop table deal; --", False), ("насос & | ! ( :*", True),
        ("насос\\", True), ("%", False), ("__", False),
    ],
)  # fmt: skip
def test_words_are_found_in_any_form_and_by_their_beginning(driver: Driver, query: str, fits: bool) -> None:
    title = "Насосы центробежные К-125, подшипник 6205-2RS (чёрные)"
    a_deal(driver, title)
    assert (title in titles(found(driver, "manager", query), "deals")) is fits


@pytest.mark.parametrize("query", ["", " ", "н", "!", "№", "\ue000"])
def test_less_than_two_signs_ask_nothing(driver: Driver, query: str) -> None:
    result = found(driver, "manager", query)
    assert result.too_short
    assert result.groups == []


def test_a_number_finds_exactly_its_deal_and_task_first(driver: Driver) -> None:
    deal = a_deal(driver, "Гайки")
    task = a_task(driver, deal, "Проверить гайки")
    for query in (str(deal), f"№ {deal}", f"№{deal}"):
        groups = {one.kind: one for one in found(driver, "manager", query).groups}
        assert groups["deals"].hits[0].id == deal
    groups = {one.kind: one for one in found(driver, "manager", str(task)).groups}
    assert groups["tasks"].hits[0].id == task
    assert found(driver, "manager", "9" * 18).groups == []


def test_a_deal_is_found_by_its_company_and_a_company_by_its_inn(driver: Driver) -> None:
    deal = a_deal(driver, "Ремонт", company="ООО «Тепловодосервис-Юг»")
    with transaction(driver.company.viewer("manager").actor) as work:
        create_company(work, "Заря", inn="7707083893", kpp="773601001")
    result = found(driver, "manager", "тепловодосервис")
    assert deal in [hit.id for group in result.groups if group.kind == "deals" for hit in group.hits]
    assert "ООО «Тепловодосервис-Юг»" in titles(result, "companies")
    for query in ("7707083893", "770708"):
        assert titles(found(driver, "engineer", query), "companies") == ["Заря"]
    assert titles(found(driver, "engineer", "777"), "companies") == []


def test_open_tasks_come_first_and_closed_ones_are_still_found(driver: Driver) -> None:
    deal = a_deal(driver, "Заказ метизов")
    a_task(driver, deal, "Позвонить про метизы открыто")
    a_task(driver, deal, "Позвонить про метизы закрыто", state="done")
    assert titles(found(driver, "manager", "позвонить метизы"), "tasks") == [
        "Позвонить про метизы открыто", "Позвонить про метизы закрыто",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("login", "sees"),
    [("manager", True), ("boss", True), ("accountant", True), ("product", True), ("colleague", False),
     ("engineer", False)],
)  # fmt: skip
def test_nobody_finds_what_he_may_not_read(driver: Driver, login: str, sees: bool) -> None:
    """The same people as may open the card; the count tells nothing either."""
    deal = a_deal(driver, "Тайный редуктор")
    a_task(driver, deal, "Узнать про тайный редуктор")
    result = found(driver, login, "тайный редуктор")
    assert ("Тайный редуктор" in titles(result, "deals")) is sees
    assert ("Узнать про тайный редуктор" in titles(result, "tasks")) is sees


def test_what_was_found_is_marked_and_hostile_titles_stay_text(driver: Driver) -> None:
    a_deal(driver, "Редукторы <b>цилиндрические</b>")
    result = found(driver, "manager", "редуктор цилиндр")
    hit = next(one for group in result.groups for one in group.hits if "цилиндр" in one.title)
    assert [one.text for one in hit.parts if one.found] == ["Редукторы", "цилиндрические"]
    assert "".join(one.text for one in hit.parts) == "Редукторы <b>цилиндрические</b>"


def test_more_than_a_group_holds_is_said(driver: Driver) -> None:
    for number in range(4):
        a_deal(driver, f"Шпонка {number}")
    (group,) = found(driver, "manager", "шпонка", per_group=3).groups
    assert (len(group.hits), group.has_more) == (3, True)
    (only,) = found(driver, "manager", "шпонка", kind="deals", per_group=50).groups
    assert (len(only.hits), only.has_more) == (4, False)


def test_queries_are_read_as_words_and_numbers() -> None:
    assert words_of("  Насос-125 (ООО «Ромашка»), ёлка ") == ["Насос", "125", "ООО", "Ромашка", "елка"]
    assert words_of("а " * 50) == ["а"] * 8
    assert [number_of(one) for one in ("№ 42", "42", " 7 ", "4x", "", "٤٢", "9" * 19)] == [
        42,
        42,
        7,
        None,
        None,
        None,
        None,
    ]


def test_a_hundred_thousand_tasks_are_searched_by_the_index(driver: Driver) -> None:
    """Each question that has words is answered by its GIN index."""
    driver.check = False  # rows made by hand have no history
    deal = a_deal(driver, "Много работы")
    case_id = driver.deal_row(deal).case_id
    with transaction() as work:
        work.session.execute(text("SET LOCAL statement_timeout = 0"))
        work.session.execute(
            text(
                "INSERT INTO task (key, case_id, step, topic, title, addressed_to, executor_id, state, created_at,"
                " closed_at, result_fields)"
                " SELECT 'bulk/' || n, :case, 'x', 'bulk/' || n, 'Проверить поставку узла ' || n || ' по договору',"
                " 'responsible', :person, 'done', now(), now(), '{\"fields\": []}' FROM generate_series(1, :many) n"
            ),
            {"case": case_id, "person": driver.company["engineer"], "many": MANY},
        )
    a_task(driver, deal, "Проверить турбокомпрессор")
    with transaction() as work:
        work.session.execute(text("ANALYZE task"))
    statement = select(Task.id).where(found_in(Task.title, words_of("турбокомпрессоры")))
    plan = _plan(driver, statement)
    assert "ix_task_search" in plan, plan
    assert "Seq Scan on task" not in plan, plan
    assert titles(found(driver, "boss", "турбокомпрессоры"), "tasks") == ["Проверить турбокомпрессор"]
    assert found(driver, "engineer", "проверить поставку").groups[0].has_more  # every task fits: the worst there is


def _plan(driver: Driver, statement: Select[int]) -> str:
    asked = statement.compile(dialect=postgresql.psycopg.dialect())
    return driver.read(
        lambda session: "\n".join(
            one[0] for one in session.connection().exec_driver_sql(f"EXPLAIN {asked}", asked.params)
        )
    )
