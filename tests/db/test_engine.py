"""The engine's words against a real database: each with doubled looks, crashes, restarts and what ops do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from include.process import engine
from include.process.rules import after, at_field, came_from, equals, filled, hours
from include.shared.db import engine as business_engine
from include.shared.work import PROCESS, Work, transaction
from tests.db.driver import NEW, QUOTE, Driver, Process, alarm, at_once, notice, on_stage, step, task, term_of

pytestmark = pytest.mark.db
Facts = dict[str, Any]
WORDS: dict[str, Callable[[], dict[str, dict[str, Any]]]] = {
    "EmployeeTask": lambda: {"do": task(due=hours(5))},
    "Alarm": lambda: {"do": task(), "late": alarm("do", after(hours(1)))},
    "Notify": lambda: {"tell": notice(), "do": task()},
    "SetField": lambda: {"set": step("SetField", "Заполнить", field="contract_needed", value=True), "do": task()},
    "MoveStage": lambda: {"go": step("MoveStage", "Перевести", stage="Договор"), "tell": notice()},
    "StageSensor leaves": lambda: {"left": step("StageSensor", "Уйдёт", leaves=True), "tell": notice()},
    "StageSensor arrives": lambda: {"came": step("StageSensor", "Придёт", arrives="Договор"), "tell": notice()},
    "StageSensor stays": lambda: {
        "stays": step("StageSensor", "Стоит", stays_for=term_of(hours(12))),
        "tell": notice(),
    },
    "TaskSensor": lambda: {"seen": step("TaskSensor", "Ждать", topic="тема"), "tell": notice()},
    "DateSensor": lambda: {"due": step("DateSensor", "Дата", at=at_field("quote_feedback_at")), "tell": notice()},
    "FieldSensor": lambda: {"full": step("FieldSensor", "Поле", until=filled("signed_on")), "tell": notice()},
}


def everything(driver: Driver) -> Facts:
    """How much there is of all that may not be doubled."""
    tables = ("task", "notice", "audit", "outbox_event", "step_state", "step_aim", "stage_visit", "deal")
    with transaction(PROCESS) as work:
        return {one: work.session.scalar(text(f"SELECT count(*) FROM {one}")) for one in tables}


def look_again(driver: Driver, times: int = 2) -> None:
    for instance in driver.instances():
        process = next(one for one in driver.processes if one.id == instance.process)
        for row in driver.steps(instance):
            for _ in range(times):
                driver.look(process, instance, row.step)


@pytest.mark.parametrize("word", WORDS)
def test_looking_again_repeats_nothing(driver: Driver, word: str) -> None:
    process = on_stage(QUOTE, WORDS[word]())
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    before = everything(driver)
    look_again(driver)
    assert everything(driver) == before
    driver.later(hours=13)
    driver.fill(deal, quote_feedback_at="23.11.2026 12:00", signed_on="23.11.2026")
    driver.move(deal, "Договор")
    before = everything(driver)
    look_again(driver)
    assert everything(driver) == before


@pytest.mark.parametrize("word", WORDS)
def test_looks_at_once_are_one(driver: Driver, word: str) -> None:
    process = on_stage(QUOTE, WORDS[word]())
    deal = driver.deal(process)
    driver.move(deal, QUOTE, settle=False)
    driver.relay()
    (instance,) = driver.instances(process)
    first = next(iter(process.specs))
    answers = at_once(4, lambda _: driver.look(process, instance, first).outcome)
    assert len(set(answers)) == 1
    assert len([row for row in driver.steps(instance) if row.step == first]) == 1
    assert len(driver.tasks()) <= 1
    assert len(driver.told()) <= 1


@pytest.mark.parametrize("word", WORDS)
def test_a_crash_before_the_commit_leaves_nothing_and_after_it_repeats_nothing(
    driver: Driver, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = on_stage(QUOTE, WORDS[word]())
    deal = driver.deal(process)
    driver.move(deal, QUOTE, settle=False)
    driver.relay()
    (instance,) = driver.instances(process)
    first = next(iter(process.specs))
    before = everything(driver)
    with monkeypatch.context() as patch:
        patch.setattr(Work, "finish", _dies)
        with pytest.raises(ConnectionError):
            driver.look(process, instance, first)
    assert everything(driver) == before
    answer = driver.look(process, instance, first)  # this answer is lost with its triggerer
    after_first = everything(driver)
    again = driver.look(process, instance, first)
    assert (again.outcome, again.result, again.reason) == (answer.outcome, answer.result, answer.reason)
    assert everything(driver) == after_first


def _dies(work: Work) -> None:
    work.session.flush()
    raise ConnectionError


# --- what ends a step -----------------------------------------------------------------------------------------------


def test_a_step_ends_and_the_next_begins(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task("Сделать", due=hours(5)), "tell": notice()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    given = driver.open_task()
    assert (given.title, driver.company.login(given.executor_id)) == ("Сделать", "manager")
    assert given.due_at == driver.now + timedelta(hours=5)
    assert driver.told("Вам поставлена") == ["manager"]
    driver.close(given)
    assert driver.state(process, "do") == "done"
    assert driver.told("Произошло") == ["manager"]
    (instance,) = driver.instances(process)
    assert (instance.state, instance.reason) == ("ended", "завершён")


def test_a_skipped_step_lets_the_chain_go_on(driver: Driver) -> None:
    skipped = notice("Не нужно", only_if=equals("contract_needed", True), only_if_says="договор не нужен")
    process = on_stage(QUOTE, {"no": skipped, "yes": notice("Нужно")})
    driver.move(driver.deal(process), QUOTE)
    assert driver.state(process, "no") == "skipped"
    assert driver.step(process, "no").reason == "договор не нужен"
    assert (driver.told("Не нужно"), driver.told("Нужно")) == ([], ["manager"])


def test_only_if_is_asked_once(driver: Driver) -> None:
    """The condition is that of the beginning: work that was given stays when it changes."""
    process = on_stage(QUOTE, {"do": task(only_if=filled("signed_on"))})
    deal = driver.deal(process, fields={"signed_on": "2026-11-20"})
    driver.move(deal, QUOTE)
    driver.fill(deal, signed_on=None)
    assert driver.open_task().state == "open"


def test_withdrawn_work_stops_the_chain_behind_it(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(), "tell": notice()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.move(deal, "Договор")
    (instance,) = driver.instances(process)
    assert driver.look(process, instance, "tell").outcome == "skipped"
    assert driver.told("Произошло") == []
    assert (instance.state, instance.reason) == ("ended", "сделка ушла со стадии")


def test_an_instance_without_its_run_fails_clearly(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task()})
    seen = engine.look(process.id, "manual__2026", "do", process.specs["do"])
    assert (seen.outcome, seen.reason) == ("failed", engine.WITHOUT_CASE)


def test_a_step_of_a_newer_scheme_is_skipped_by_an_older_instance(driver: Driver) -> None:
    """since=: Airflow creates missing tasks in running runs (design §2)."""
    old = on_stage(QUOTE, {"do": task()})
    driver.move(driver.deal(old), QUOTE)
    (instance,) = driver.instances(old)
    old.specs["added"] = notice("Новый шаг", since=2)
    old.upstream["added"] = []
    assert driver.look(old, instance, "added").outcome == "skipped"
    assert driver.told("Новый шаг") == []
    old.number = 2
    driver.move(driver.deal(old), QUOTE)
    assert driver.told("Новый шаг") == ["manager"]


def test_what_a_service_refuses_fails_the_step_and_leaves_nothing(driver: Driver) -> None:
    """Only a business impossibility fails a step; it stands on the card until put right (design §3)."""
    process = on_stage(QUOTE, {"go": step("MoveStage", "Перевести", stage="Нет такой"), "tell": notice()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    (instance,) = driver.instances(process)
    assert driver.state(process, "go") == "failed"
    assert "нет стадии «Нет такой»" in (driver.step(process, "go").reason or "")
    process.specs["go"]["stage"] = "Договор"
    assert driver.look(process, instance, "go").outcome == "done"


# --- words that act -------------------------------------------------------------------------------------------------


def test_set_field_writes_a_value_or_a_person(driver: Driver) -> None:
    steps = {
        "value": step("SetField", "Да", field="contract_needed", value=True),
        "person": step("SetField", "Продакт", field="product_manager", address="role:product_manager"),
        "nobody": step("SetField", "Никто", field="responsible", address="field:works_executor"),
    }
    process = on_stage(QUOTE, steps)
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    fields = driver.deal_row(deal).fields
    assert (fields["contract_needed"], fields["product_manager"]) == (True, driver.company["product"])
    assert driver.state(process, "nobody") == "skipped"


def test_move_stage_moves_once_and_the_step_behind_it_still_works(driver: Driver) -> None:
    """R002-27: the deal moves itself."""
    process = on_stage(QUOTE, {"go": step("MoveStage", "Перевести", stage="Договор"), "tell": notice()})
    contract = on_stage("Договор", {"do": task("На договоре")})
    deal = driver.deal(process, contract)
    driver.move(deal, QUOTE)
    assert driver.told("Произошло") == ["manager"]
    assert driver.open_task().title == "На договоре"
    assert driver.state(process, "go") == "done"


def test_move_stage_leaves_a_deal_alone_that_somebody_has_moved(driver: Driver) -> None:
    process = on_stage(QUOTE, {"wait": step("FieldSensor", "Ждать", until=filled("signed_on")),
                               "go": step("MoveStage", "Перевести", stage="Договор")})  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.move(deal, "Комплектация")
    driver.fill(deal, signed_on="2026-11-20")
    assert (
        driver.read(lambda s: s.scalar(text(f"SELECT title FROM stage WHERE id = {driver.deal_row(deal).stage_id}")))
        == "Комплектация"
    )


def test_a_request_becomes_one_deal(driver: Driver) -> None:
    """R002-9a: doubled, at once and after a crash it is one deal on «Не обработан», registered by its starter."""
    from include.process.forms import start_form

    process = Process("on:form:client_request", {
        "check": step("CheckStarter", "Проверить"), "make": step("CreateDeal", "Завести"),
        "tell": notice("Новое обращение: {case}"),
    })  # fmt: skip
    process.id = "client_request"
    driver.processes.append(process)
    boss = driver.company.viewer("boss")
    filled_form = {"direction": "Товары", "subject": "Нужны подшипники", "responsible_id": driver.company["manager"]}
    with transaction(boss.actor) as work:
        case = start_form(work, "client_request", boss, filled_form)
        driver.cases.add(case.id)
    driver.relay()
    (instance,) = driver.instances()
    driver.look(process, instance, "check")
    answers = at_once(3, lambda _: driver.look(process, instance, "make").result["deal"])
    assert len(set(answers)) == 1
    driver.settle()
    deal = driver.deal_row(answers[0])
    assert (deal.title, deal.created_by, deal.funnel_code) == ("Нужны подшипники", driver.company["boss"], "goods")
    assert driver.told("Новое обращение") == ["manager"]


@pytest.mark.parametrize("wrong", [{"company_id": 10**6}, {"responsible_id": 10**6}])
def test_a_request_that_cannot_become_a_deal_says_why(driver: Driver, wrong: Facts) -> None:
    from include.process.forms import start_form

    process = Process("on:form:client_request", {"make": step("CreateDeal", "Завести")})
    process.id = "client_request"
    driver.processes.append(process)
    boss = driver.company.viewer("boss")
    form = {"direction": "Товары", "subject": "Что-то", "responsible_id": driver.company["manager"], **wrong}
    with transaction(boss.actor) as work:
        driver.cases.add(start_form(work, "client_request", boss, form).id)
    driver.settle()
    assert driver.state(process, "make") == "failed"


def test_whoever_has_no_right_fails_the_first_step(driver: Driver) -> None:
    """design §5: the right of the triggering user is checked again."""
    steps = {"check": step("CheckStarter", "Проверить"), "tell": notice("Начато")}
    process = Process("on:form:client_request", steps)
    process.id = "client_request"
    form = {"direction": "Товары", "subject": "Из Airflow", "responsible_id": 1}
    for _ in range(2):
        adopted(driver, process, "manual__stranger", form, "nobody-such")
    assert engine.look("client_request", "manual__stranger", "check", process.specs["check"]).outcome == "failed"


@pytest.mark.parametrize("bad", [{"direction": "?"}, {"subject": "\u0000"}, {"unknown": 1}, {}])
def test_a_bad_form_from_airflow_fails_in_words(driver: Driver, bad: dict[str, Any]) -> None:
    """Nothing is lost: it becomes a case whose first step says what is wrong."""
    process = Process("on:form:client_request", {"check": step("CheckStarter", "Проверить")})
    process.id = "client_request"
    run_id = f"manual__bad-{len(str(bad))}-{id(bad)}"
    adopted(driver, process, run_id, bad, "boss")
    seen = engine.look("client_request", run_id, "check", process.specs["check"])
    assert seen.outcome == "failed"
    assert seen.reason


def adopted(driver: Driver, process: Process, run_id: str, form: dict[str, Any], starter: str) -> None:
    """Adopt a run of Airflow's own form; however often, it is one case."""
    engine.adopt_form_run(process.id, run_id, process.scheme, form, starter)
    query = text("SELECT case_id FROM process_instance WHERE process = :p AND run_id = :r")
    (case_id,) = driver.read(lambda s: s.scalars(query, {"p": process.id, "r": run_id}).all())
    driver.cases.add(case_id)


# --- words that wait ------------------------------------------------------------------------------------------------


def test_stage_sensor_sees_a_visit_shorter_than_a_look(driver: Driver) -> None:
    process = on_stage(QUOTE, {"came": step("StageSensor", "Придёт", arrives="Договор"), "tell": notice()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.now += timedelta(minutes=1)
    driver.move(deal, "Договор", settle=False)
    driver.move(deal, "Комплектация", settle=False)
    driver.settle()
    assert driver.state(process, "came") == "done"
    assert driver.told("Произошло") == ["manager"]


def test_stage_sensor_sees_the_leaving_though_the_deal_came_back(driver: Driver) -> None:
    process = on_stage(QUOTE, {"left": step("StageSensor", "Уйдёт", leaves=True), "tell": notice()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.move(deal, "Договор", settle=False)
    driver.settle()
    driver.move(deal, QUOTE)
    assert len(driver.told("Произошло")) == 1
    assert [one.state for one in driver.instances(process)] == ["ended", "live"]


def test_stage_sensor_fires_when_the_deal_stayed_and_is_cancelled_when_it_left(driver: Driver) -> None:
    """R002-18: «в течение 12 часов продолжила находиться на стадии»."""
    steps = {"stays": step("StageSensor", "Стоит", stays_for=term_of(hours(12))), "do": task("Актуализировать")}
    process = on_stage(QUOTE, steps)
    stayed, left = driver.deal(process), driver.deal(process)
    driver.move(stayed, QUOTE)
    driver.move(left, QUOTE)
    driver.later(hours=11)
    assert driver.tasks() == []
    driver.move(left, "Договор")
    driver.later(hours=1)
    assert [one.case_id for one in driver.tasks("open")] == [driver.deal_row(stayed).case_id]


def test_task_sensor_waits_for_the_newest_task_of_a_topic(driver: Driver) -> None:
    giver = on_stage(QUOTE, {"do": task("Отдать", topic="обратная связь", shared_topic=True)})
    seer = on_stage(QUOTE, {"seen": step("TaskSensor", "Ждать", topic="обратная связь"), "tell": notice()})
    deal = driver.deal(seer, giver)
    driver.move(deal, QUOTE)
    assert driver.state(seer, "seen") == "waiting"
    driver.close(driver.open_task())
    assert driver.told("Произошло") == ["manager"]


def test_task_sensor_of_an_overdue_task_waits_quietly(driver: Driver) -> None:
    giver = on_stage(QUOTE, {"do": task("Отдать", due=hours(1), topic="тема", shared_topic=True)})
    seer = on_stage(QUOTE, {"seen": step("TaskSensor", "Ждать", topic="тема")})
    driver.move(driver.deal(giver, seer), QUOTE)
    driver.later(hours=2)
    assert driver.step(seer, "seen").moment is None


def test_date_and_field_sensors_hear_their_fields(driver: Driver) -> None:
    steps = {"date": step("DateSensor", "Дата", at=at_field("quote_feedback_at", minus=hours(1))),
             "field": step("FieldSensor", "Поле", until=filled("signed_on"))}  # fmt: skip
    process = on_stage(QUOTE, steps)
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    assert driver.step(process, "date").waits_for == "взведено, даты нет"
    driver.fill(deal, quote_feedback_at="24.11.2026 10:00")
    assert driver.step(process, "date").moment == driver.now + timedelta(hours=23)
    driver.later(hours=23)
    assert (driver.state(process, "date"), driver.state(process, "field")) == ("done", "waiting")
    driver.fill(deal, signed_on="24.11.2026")
    assert driver.state(process, "field") == "done"


# --- what ops do ----------------------------------------------------------------------------------------------------


@pytest.fixture
def marked(driver: Driver) -> Process:
    process = on_stage(
        QUOTE, {"do": task("Сделать", due=hours(5)), "late": alarm("do", after(hours(5))), "tell": notice()}
    )
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    (instance,) = driver.instances(process)
    engine.withdraw_step(process.id, instance.run_id, "do")
    return process


def test_marking_withdraws_the_task_and_the_next_step_refuses(driver: Driver, marked: Process) -> None:
    """design §3: «отмечено вручную, факт не наступил»."""
    (instance,) = driver.instances(marked)
    (only,) = driver.tasks()
    assert (only.state, only.close_reason) == ("withdrawn", "снято администратором")
    seen = driver.look(marked, instance, "tell")
    assert seen.outcome == "failed"
    assert (seen.reason or "").startswith("отмечено вручную, факт не наступил")
    driver.settle()
    assert driver.state(marked, "late") == "skipped"
    assert driver.told("Произошло") == []
    engine.withdraw_step(marked.id, instance.run_id, "do")  # a second round of the reconciler changes nothing
    assert len(driver.tasks()) == 1


def test_a_clear_begins_the_marked_work_anew(driver: Driver, marked: Process) -> None:
    (instance,) = driver.instances(marked)
    driver.later(hours=2)
    assert driver.look(marked, instance, "do").outcome == "waiting"
    anew = driver.open_task()
    assert anew.due_at == driver.now + timedelta(hours=5), "the term counts from the giving"
    assert [one.round for one in driver.tasks()] == [1, 2]
    driver.close(anew)
    assert driver.state(marked, "tell") == "done"


def test_clearing_what_is_done_repeats_nothing(driver: Driver) -> None:
    process = on_stage(QUOTE, {"tell": notice(), "do": task()})
    driver.move(driver.deal(process), QUOTE)
    driver.close(driver.open_task())
    before = everything(driver)
    look_again(driver)
    assert everything(driver) == before


def test_a_deleted_run_ends_its_instance(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(on_leave="keep"), "late": alarm("do", after(hours(5)))})
    driver.move(driver.deal(process), QUOTE)
    (instance,) = driver.instances(process)
    engine.end_run(process.id, instance.run_id, "прогон удалён администратором")
    engine.end_run(process.id, instance.run_id, "ещё раз")
    (ended,) = driver.instances(process)
    assert (ended.state, ended.reason) == ("ended", "прогон удалён администратором")
    assert [one.state for one in driver.tasks()] == ["withdrawn"]


def test_marking_a_step_that_has_not_begun_does_not_make_its_fact(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(), "next": task("Дальше"), "tell": notice()})
    driver.move(driver.deal(process), QUOTE)
    (instance,) = driver.instances(process)
    engine.withdraw_step(process.id, instance.run_id, "next")
    assert driver.look(process, instance, "tell").outcome == "failed"


# --- events ---------------------------------------------------------------------------------------------------------


def test_an_event_relayed_twice_or_at_once_begins_one_instance(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE, settle=False)
    event_id = driver.read(lambda s: s.scalar(text("SELECT max(id) FROM outbox_event WHERE kind = 'stage_entered'")))
    begun = at_once(4, lambda _: engine.begin(event_id, process.id, process.scheme).run_id)
    assert len(set(begun)) == 1
    driver.settle()
    assert len(driver.instances(process)) == 1
    assert engine.begin(event_id, process.id, process.scheme).run_id == begun[0]


def test_a_visit_that_is_over_starts_nothing(driver: Driver) -> None:
    """The event comes late: the deal has left, or left and come back."""
    process = on_stage(QUOTE, {"do": task()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE, settle=False)
    driver.move(deal, "Договор", settle=False)
    driver.move(deal, QUOTE, settle=False)
    driver.settle()
    assert [one.state for one in driver.instances(process)] == ["ended", "live"]
    assert len(driver.tasks()) == 1


def test_a_field_event_begins_anew_and_takes_the_open_task(driver: Driver) -> None:
    """R002-19, R002-31, AG-7: each change asks anew; the earlier open task is «заменена»."""
    ask = task("Получить обратную связь", due=at_field("quote_feedback_at"), reentry="replace",
               only_if=equals("stage", QUOTE))  # fmt: skip
    process = Process("on:field:quote_feedback_at", {"ask": ask})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.fill(deal, quote_feedback_at="25.11.2026")
    driver.fill(deal, quote_feedback_at="26.11.2026")
    assert [one.state for one in driver.tasks()] == ["replaced", "open"]
    assert driver.open_task().due_at == driver.now + timedelta(days=2, hours=23)
    driver.close(driver.open_task())
    driver.fill(deal, quote_feedback_at="27.11.2026")
    assert [one.state for one in driver.tasks()] == ["replaced", "done", "open"]
    driver.move(deal, "Договор")
    assert [one.state for one in driver.tasks()] == ["replaced", "done", "withdrawn"], "A2-10: only on the stage"
    driver.fill(deal, quote_feedback_at="30.11.2026")
    assert len(driver.tasks()) == 3


def test_a_lost_deal_is_not_worked_on_by_late_field_events(driver: Driver) -> None:
    """AG-6: a lost deal cancels everything."""
    process = Process("on:field:signed_on", {"do": task()})
    deal = driver.deal(process)
    driver.move(deal, "Сделка проиграна")
    driver.fill(deal, signed_on="2026-11-20")
    assert driver.tasks() == []
    assert driver.instances(process)[0].reason == "сделка проиграна"


# --- speed ----------------------------------------------------------------------------------------------------------


def statements(act: Callable[[], Any]) -> list[str]:
    said: list[str] = []

    def heard(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(business_engine(), "before_cursor_execute", heard)
    try:
        act()
    finally:
        event.remove(business_engine(), "before_cursor_execute", heard)
    return said


def test_a_look_costs_few_statements(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    """5,000 waiting cases are looked at after a restart, and all of a case after each of its changes."""
    late = alarm("do", after(hours(5)), tell=["responsible", "head", "field:product_manager|role:product_manager"])
    process = on_stage(QUOTE, {"do": task(due=hours(5)), "late": late})
    deal = driver.deal(process)
    driver.move(deal, QUOTE, settle=False)
    driver.relay()
    (instance,) = driver.instances(process)
    counted = {"give": len(statements(lambda: driver.look(process, instance, "do")))}
    driver.settle()
    counted["unchanged"] = len(statements(lambda: driver.look(process, instance, "do")))
    with transaction(PROCESS) as work:
        work.touch(driver.deal_row(deal).case_id)
    counted["task"] = len(statements(lambda: driver.look(process, instance, "do")))
    counted["alarm"] = len(statements(lambda: driver.look(process, instance, "late")))
    with capsys.disabled():
        print(f"\nstatements per look: {counted}")
    assert counted["unchanged"] == 1
    assert counted["task"] <= 6
    assert counted["alarm"] <= 11


def test_one_transaction_sends_one_notification(driver: Driver) -> None:
    """At most one NOTIFY per transaction (design §3): it serialises the commits of the whole server."""
    process = on_stage(QUOTE, {"do": task(on_leave="keep"), "two": task("Ещё")}, two=[])
    deal = driver.deal(process)
    for act in (
        lambda: driver.move(deal, QUOTE, settle=False),
        lambda: driver.relay(),
        lambda: driver.look(process, driver.instances(process)[0], "do"),
        lambda: driver.fill(deal, settle=False, signed_on="2026-11-20", sent_on="2026-11-20", amount="5"),
        lambda: driver.move(deal, "Договор", settle=False),
    ):
        said = statements(act)
        commits = max(1, sum("INSERT INTO process_instance" in one for one in said))
        assert sum("pg_notify" in one for one in said) <= commits


@pytest.mark.parametrize("cases", [1, 8])
def test_eight_threads_on_one_case_and_on_many(driver: Driver, cases: int) -> None:
    """No deadlock, nothing lost, nothing doubled."""
    process = on_stage(QUOTE, {"do": task(due=hours(5), on_leave="keep"), "late": alarm("do", after(hours(1))),
                               "tell": notice()})  # fmt: skip
    contract = on_stage("Договор", {"sign": task("Подписать")})
    made = [driver.deal(process, contract, by="manager") for _ in range(cases)]

    def hammer(number: int) -> None:
        deal = made[number % cases]
        for turn in range(2):
            driver.fill(deal, settle=False, amount=str(number * 10 + turn), signed_on=f"2026-11-{10 + turn}")
            driver.move(deal, (QUOTE, "Договор", NEW)[(number + turn) % 3], settle=False)
            with transaction(driver.company.viewer("boss").actor) as work:
                from include.deals.services import change_responsible

                change_responsible(work, deal, driver.company[("manager", "colleague")[turn % 2]], "")
            driver.relay()
            driver.look_around(live=True)

    at_once(8, hammer)
    driver.settle()
    for deal in made:
        driver.move(deal, QUOTE)
    assert len(driver.tasks("open")) == cases
    for one in driver.tasks("open"):
        driver.close(one)


def test_the_first_condition_of_identification(driver: Driver) -> None:
    """R002-10: only when the previous stage is «Не обработан»."""
    process = on_stage(QUOTE, {"tell": notice("Принято", only_if=came_from(NEW))})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.move(deal, "Договор")
    driver.move(deal, QUOTE)
    assert driver.told("Принято") == ["manager"]


FORM = {"direction": "Товары", "subject": "Подшипники", "responsible_id": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "\x00"},
        {"subject": "\ud800"},
        {"subject": ""},
        {"subject": "x" * 301},
        {"subject": ["x"]},
        {"direction": "Аренда"},
        {"responsible_id": "Иванов"},
        {"responsible_id": 0},
        {"responsible_id": 2**63},
        {"лишнее": 1},
        {"source": {"a": "\x00"}},
    ],
)
def test_a_wrong_form_is_refused_in_words(driver: Driver, wrong: Facts) -> None:
    """R002-9a: bad input gets a clear error, never a half-applied change."""
    from include.process.forms import start_form
    from include.shared.errors import InvalidInput

    boss = driver.company.viewer("boss")
    before = everything(driver)
    with pytest.raises(InvalidInput), transaction(boss.actor) as work:
        start_form(work, "client_request", boss, {**FORM, **wrong})
    assert everything(driver) == before


def test_a_form_sent_twice_at_once_is_one_case(driver: Driver) -> None:
    from include.process.forms import start_form

    boss = driver.company.viewer("boss")

    def send(_: int) -> int:
        with transaction(boss.actor) as work:
            return start_form(work, "client_request", boss, FORM, request_key="дважды").id

    made = set(at_once(4, send))
    driver.cases |= made
    assert len(made) == 1
    driver.settle()


def test_looks_per_second(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    """Printed for the record; a restart looks at every wait once."""
    from time import perf_counter

    process = on_stage(QUOTE, {"do": task(due=hours(5))})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    (instance,) = driver.instances(process)
    begun = perf_counter()
    for _ in range(100):
        driver.look(process, instance, "do")
    rate = 100 / (perf_counter() - begun)
    with capsys.disabled():
        print(f"\nunchanged looks per second in one thread: {rate:.0f}")
    assert rate > 5
