"""A failed step stands where everybody sees it, and is repeated by ops: once, joining what it did, hiding no case."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from sqlalchemy import text

from include.ops import failures, services
from include.process.models import StepState
from include.shared import clock
from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.work import PROCESS, reading, transaction
from include.staff import admin
from include.staff.services import Viewer
from include.workplace.card import deal_card
from include.workplace.lines import lines_of
from tests.db.driver import QUOTE, Company, Driver, Process, at_once, on_stage, step, task

pytestmark = pytest.mark.db


class Airflow:
    """What would be cleared there."""

    def __init__(self) -> None:
        self.cleared: list[tuple[list[str], list[str]]] = []
        self.refuses: str | None = None

    def clear(self, _process: str, _run_id: str, steps: Collection[str], finished: Collection[str]) -> None:
        if self.refuses is not None:
            raise Conflict(self.refuses)
        self.cleared.append((list(steps), sorted(finished)))


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def process() -> Process:
    """A task, then an act that cannot be done, then another task."""
    wrong = step("SetField", "Второе", field="no_such_field", value="x")
    return on_stage(QUOTE, {"first": task("Первое"), "second": wrong, "third": task("Третье")})


@pytest.fixture
def failed(driver: Driver, process: Process) -> int:
    """A deal that stands at its second step."""
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())
    assert driver.state(process, "second") == "failed"
    return deal


def line(driver: Driver, deal: int) -> Any:
    case = driver.deal_row(deal).case_id
    return driver.read(lambda session: lines_of(session, [case], clock.now(session))[case])


def retry(driver: Driver, process: Process, airflow: Airflow, of: str = "second", by: str = "admin") -> StepState:
    watcher = driver.company.viewer(by)
    with transaction(watcher.actor) as work:
        return services.retry_step(work, watcher, driver.step(process, of).id, airflow.clear)


def mend(process: Process) -> None:
    process.specs["second"]["field"] = "track_number"


def test_a_failed_step_is_the_line_of_its_case(driver: Driver, process: Process, failed: int) -> None:
    said = line(driver, failed)
    assert said.kind == "failed"
    reason = driver.step(process, "second").reason
    assert said.text == f"Шаг «Второе» не выполнен: {reason} – повторить может администратор"


def test_no_open_task_hides_a_failed_step(driver: Driver, process: Process) -> None:
    beside = on_stage(QUOTE, {"also": task("Ещё одно")})
    deal = driver.deal(process, beside)
    driver.move(deal, QUOTE)
    driver.close(next(one for one in driver.tasks("open") if one.title == "Первое"))
    assert [one.title for one in driver.tasks("open")] == ["Ещё одно"]
    assert line(driver, deal).kind == "failed"


def test_a_repeated_step_goes_on_where_it_stood(
    driver: Driver, process: Process, failed: int, airflow: Airflow
) -> None:
    mend(process)
    retry(driver, process, airflow)
    assert airflow.cleared == [(["second"], ["first"])]
    assert line(driver, failed).text == "Шаг «Второе» повторяется"
    driver.look(process, driver.instances(process)[-1], "second")
    driver.settle()
    assert [one.title for one in driver.tasks("open")] == ["Третье"]
    assert [one.title for one in driver.tasks("done")] == ["Первое"], "сделанное не повторяется"
    assert line(driver, failed).kind == "task"
    driver.close(driver.open_task())
    assert driver.instances(process)[-1].reason == "завершён"
    with reading() as session:
        said = session.execute(
            text("SELECT text, actor_id FROM audit WHERE action = 'step.retried' AND case_id = :case"),
            {"case": driver.deal_row(failed).case_id},
        ).all()
    assert said == [("Шаг «Второе» повторён", driver.company["admin"])]


def test_twice_quickly_is_one_retry(driver: Driver, process: Process, failed: int, airflow: Airflow) -> None:
    mend(process)

    def again(_: int) -> str:
        try:
            retry(driver, process, airflow)
        except Conflict as refused:
            return str(refused)
        return "повторён"

    said = sorted(at_once(3, again))
    assert said == ["Шаг «Второе» уже повторяется: подождите несколько секунд."] * 2 + ["повторён"]
    assert len(airflow.cleared) == 1
    driver.look(process, driver.instances(process)[-1], "second")


def test_a_step_that_fails_again_may_be_repeated_again(
    driver: Driver, process: Process, failed: int, airflow: Airflow
) -> None:
    retry(driver, process, airflow)
    driver.later(seconds=5)
    driver.look(process, driver.instances(process)[-1], "second")
    assert line(driver, failed).kind == "failed"
    retry(driver, process, airflow)
    assert len(airflow.cleared) == 2


def test_a_refusal_of_airflow_leaves_the_step_as_it_was(
    driver: Driver, process: Process, failed: int, airflow: Airflow
) -> None:
    airflow.refuses = "Прогона в Airflow больше нет"
    with pytest.raises(Conflict, match="больше нет"):
        retry(driver, process, airflow)
    assert driver.step(process, "second").retried_at is None
    assert line(driver, failed).kind == "failed"


def test_a_process_that_ended_meanwhile_is_not_repeated(
    driver: Driver, process: Process, failed: int, airflow: Airflow
) -> None:
    driver.move(failed, "Сделка проиграна", by="admin")
    with pytest.raises(Conflict, match="Процесс уже окончен: сделка ушла со стадии"):
        retry(driver, process, airflow)
    assert airflow.cleared == []


def test_only_what_stands_is_repeated(driver: Driver, process: Process, failed: int, airflow: Airflow) -> None:
    with pytest.raises(Conflict, match="уже не стоит"):
        retry(driver, process, airflow, of="first")
    admin_ = driver.company.viewer("admin")
    with pytest.raises(NotFound), transaction(admin_.actor) as work:
        services.retry_step(work, admin_, 10**9, airflow.clear)
    for login in ("manager", "boss", "director"):
        with pytest.raises(Forbidden):
            retry(driver, process, airflow, by=login)
    assert airflow.cleared == []


def test_a_marked_step_is_repeated_with_the_one_that_refused_behind_it(
    driver: Driver, process: Process, airflow: Airflow
) -> None:
    """Mark success moves the graph only: the next step refuses, and repeating it alone would fail again."""
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    instance = driver.instances(process)[-1]
    from include.process import engine

    engine.withdraw_step(process.id, instance.run_id, "first")
    driver.look(process, instance, "second")
    assert [driver.state(process, one) for one in ("first", "second")] == ["marked", "failed"]
    retry(driver, process, airflow)
    assert airflow.cleared == [(["second", "first"], [])]
    driver.look(process, instance, "first")
    assert driver.open_task().title == "Первое"
    assert line(driver, deal).text == "Шаг «Второе» повторяется"


@pytest.mark.parametrize("where", ["second", "make_document"])
def test_what_failed_in_airflow_alone_stands_on_the_card(
    driver: Driver, process: Process, airflow: Airflow, where: str
) -> None:
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    run_id = driver.instances(process)[-1].run_id
    assert failures.record_failure(process.id, run_id, where) is True
    assert failures.record_failure(process.id, run_id, where) is False, "второй раз говорить нечего"
    assert line(driver, deal).kind == "failed"
    with reading() as session:
        shown = deal_card(session, driver.company.viewer("admin"), deal, clock.now(session))
        others = deal_card(session, driver.company.viewer("manager"), deal, clock.now(session))
    assert [one.may_retry for one in shown.now if one.step == where] == [True]
    assert [one.may_retry for one in others.now if one.step == where] == [False]
    retry(driver, process, airflow, of=where)
    assert failures.record_failure(process.id, run_id, where) is True, "снова не выполнен: можно повторить снова"
    retry(driver, process, airflow, of=where)
    assert failures.settle_workers_step(process.id, run_id, where) is (where == "make_document")
    driver.check = False  # a made-up failure


def test_a_run_that_failed_between_two_steps_stands_at_the_next(driver: Driver, process: Process) -> None:
    deal = driver.deal(process)
    driver.move(deal, QUOTE, settle=False)
    driver.relay()
    run_id = driver.instances(process)[-1].run_id
    assert failures.record_failed_run(process.id, run_id) is True
    assert line(driver, deal).text == f"Шаг «Первое» не выполнен: {failures.RUN_FAILED} – повторить может администратор"
    assert failures.record_failed_run("нет", run_id) is False
    driver.check = False


def dead_letter(driver: Driver, process: Process) -> tuple[int, int]:
    deal = driver.deal(process)
    driver.move(deal, QUOTE, settle=False)
    with transaction(PROCESS) as work:
        event = work.session.scalar(
            text(
                "UPDATE outbox_event SET state = 'dead', attempts = 20, error = 'KeyError: 7'"
                " WHERE state = 'pending' AND case_id = :case RETURNING id"
            ),
            {"case": driver.deal_row(deal).case_id},
        )
    assert event is not None
    return deal, int(event)


def test_a_dead_letter_is_repeated_once(driver: Driver, process: Process) -> None:
    deal, event = dead_letter(driver, process)
    assert line(driver, deal).kind == "failed"
    ops = driver.company.viewer("admin")
    with transaction(ops.actor) as work:
        services.repeat_event(work, ops, event)
    with pytest.raises(Conflict, match="уже не отложено"), transaction(ops.actor) as work:
        services.repeat_event(work, ops, event)
    driver.settle()
    assert driver.open_task().title == "Первое"


def test_a_dead_letter_is_dropped_with_a_reason(driver: Driver, process: Process) -> None:
    _deal, event = dead_letter(driver, process)
    ops = driver.company.viewer("admin")
    with pytest.raises(InvalidInput), transaction(ops.actor) as work:
        services.drop_event(work, ops, event, "  ")
    with transaction(ops.actor) as work:
        services.drop_event(work, ops, event, "сделка заведена второй раз")
    driver.settle()
    assert driver.instances(process) == []
    with reading() as session:
        assert (
            session.scalar(
                text("SELECT reason FROM audit WHERE action = 'event.dropped' AND entity_id = :id"), {"id": event}
            )
            == "сделка заведена второй раз"
        )


def test_staff_has_nothing_to_do_here(driver: Driver, process: Process, company: Company) -> None:
    _deal, event = dead_letter(driver, process)
    boss: Viewer = company.viewer("boss")
    for act in (
        lambda work: services.repeat_event(work, boss, event),
        lambda work: services.drop_event(work, boss, event, "x"),
    ):
        with pytest.raises(Forbidden), transaction(boss.actor) as work:
            act(work)
    driver.check = False


def test_operations_may_as_well(driver: Driver, process: Process, failed: int, airflow: Airflow) -> None:
    with transaction() as work:
        person = admin.add_person(work, last_name="Панин", first_name="Олег")
        admin.set_account(work, person.id, f"ops-{person.id}", "correct-horse-7", "ops")
    driver.company.people[f"ops-{person.id}"] = person.id
    retry(driver, process, airflow, by=f"ops-{person.id}")
    assert len(airflow.cleared) == 1
