"""Confirm, FormRequest, Repeat, Approval and Rework on a real database: restart, doubled delivery, leaving."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from include.approvals import services as approvals
from include.approvals.models import Approval
from include.process import engine
from include.process.rules import (
    Condition,
    after,
    at_due,
    at_field,
    by_field,
    changed,
    days,
    filled,
    given,
    hours,
    number,
    result_of,
    rounds,
)
from include.process.rules import on_stage as stands_on
from include.shared.errors import BackofficeError, GuardRefused
from include.shared.work import transaction
from include.tasks import services as tasks
from tests.db.driver import MONDAY, QUOTE, Driver, Process, alarm, notice, on_stage, step, task, term_of

pytestmark = pytest.mark.db
HOLDS = ~filled("track_number")


def repeat(**spec: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "every": term_of(days(14)), "holds": HOLDS, "at_most": {"setting": None, "default": 6}, "tell": ["responsible"],
        "says": "Письмо № {times}: {case}",
    }  # fmt: skip
    return step("Repeat", "Напоминать", **{**defaults, **spec})


def asks(word: str = "Rework", **spec: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "by": [{"title": "Руководитель", "address": "head"}], "mode": "chain", "quorum": None, "file": None,
        "term": term_of(days(2)), "description": "", "on_leave": "cancel",
        "fix": {"title": "Исправить", "to": "responsible", "due": {"days": 1}, "guard": None, "resume": "who_returned"},
    }  # fmt: skip
    if word == "Approval":
        defaults["fix"] = None
    return step(word, "Согласовать", **{**defaults, **spec})


def approval_of(driver: Driver) -> Approval:
    wanted = select(Approval).where(Approval.case_id.in_(driver.cases)).order_by(Approval.id.desc()).limit(1)
    return driver.read(lambda session: session.scalars(wanted).one())  # type: ignore[no-any-return]


def decide(driver: Driver, by: str, answer: str, remark: str = "") -> None:
    watcher = driver.company.viewer(by)
    with transaction(watcher.actor) as work:
        approvals.decide(work, watcher, approval_of(driver).id, answer, remark)
    driver.settle()


# --- Confirm -----------------------------------------------------------------------------------------------------


def confirm(**spec: Any) -> dict[str, Any]:
    given_ = task("Подтвердить оплату", due=hours(4), **spec)
    return {**given_, "word": "Confirm", "answers": {"yes": "Оплачен", "no": "Не оплачен"}}


def test_no_timeout_passes_a_gate(driver: Driver) -> None:
    """R001-19: nothing goes on until a person confirms; «нет» names the next check, and then he is asked again."""
    process = on_stage(QUOTE, {"paid": confirm(), "next": task("Дальше")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    gate = driver.open_task()
    assert (gate.kind, gate.result_fields["yes"], gate.result_fields["no"]) == ("confirm", "Оплачен", "Не оплачен")
    driver.later(days=30)
    assert [one.title for one in driver.tasks("open")] == ["Подтвердить оплату"]
    watcher = driver.company.viewer("manager")
    with transaction(watcher.actor) as work:
        tasks.not_yet(work, watcher, gate.id, "счёт на подписи", driver.now + timedelta(days=2))
    driver.settle()
    assert driver.state(process, "next") is None
    told = len(driver.told("Пора проверить"))
    driver.later(days=2)
    assert len(driver.told("Пора проверить")) == told + 1
    driver.close(driver.open_task())
    assert [one.title for one in driver.tasks("open")] == ["Дальше"]


# --- FormRequest ---------------------------------------------------------------------------------------------------


def test_what_a_person_fills_becomes_a_fact(driver: Driver) -> None:
    """R002-69: conditions behind it read the answers."""
    asked = [{"code": "place", "title": "Куда", "kind": "text", "required": True, "deal_field": None, "choices": {}}]
    form = {**task("Указать данные", result=asked), "word": "FormRequest"}
    process = on_stage(
        QUOTE,
        {
            "form": form,
            "far": notice("Далеко: {case}", only_if=result_of("form", "place", "Омск")),
            "near": notice("Близко: {case}", only_if=result_of("form", "place", "Самара")),
        },
    )
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    with pytest.raises(BackofficeError, match="Куда"):
        driver.close(driver.open_task())
    driver.close(driver.open_task(), values={"place": "Омск"})
    assert driver.told("Далеко") == ["manager"]
    assert driver.told("Близко") == []
    assert driver.instances(process)[-1].payload["place"] == "Омск"


# --- Repeat ----------------------------------------------------------------------------------------------------------


def test_it_repeats_from_the_due_moment_while_it_holds(driver: Driver) -> None:
    """R002-46: first 14 days after, then every 14 days, counted from when each was due."""
    process = on_stage(QUOTE, {"again": repeat(), "after": notice("Конец: {case}")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    assert driver.told("Письмо") == []
    for circle in range(1, 4):
        driver.at(MONDAY + timedelta(days=14 * circle))
        assert len(driver.told("Письмо")) == circle
    driver.fill(deal, track_number="X-1")
    assert driver.step(process, "again").result == {"times": 3, "stopped": "condition"}
    assert driver.told("Конец") == ["manager"]


def test_the_cap_ends_it(driver: Driver) -> None:
    """R002-46: cap 6, then what stands behind it."""
    process = on_stage(
        QUOTE,
        {"again": repeat(), "call": task("Позвонить клиенту", only_if=result_of("again", "stopped", "cap"))},
    )
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    for circle in range(1, 7):
        driver.at(MONDAY + timedelta(days=14 * circle))
    assert len(driver.told("Письмо")) == 6
    assert driver.tasks("open") == []
    driver.later(days=14)
    assert [one.title for one in driver.tasks("open")] == ["Позвонить клиенту"]
    assert len(driver.told("Письмо")) == 6


def test_after_downtime_it_is_told_once(driver: Driver) -> None:
    """AG-3: three missed ones are one, and the next comes in its own time."""
    process = on_stage(QUOTE, {"again": repeat()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.at(MONDAY + timedelta(days=50))
    assert len(driver.told("Письмо")) == 1
    driver.at(MONDAY + timedelta(days=56))
    assert len(driver.told("Письмо")) == 2


def test_looked_at_again_and_again_it_tells_once(driver: Driver) -> None:
    """A restart, a doubled delivery."""
    process = on_stage(QUOTE, {"again": repeat()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.at(MONDAY + timedelta(days=14))
    for amount in (1, 2, 3):
        driver.fill(deal, amount=amount)
        driver.look(process, driver.instances(process)[-1], "again")
    assert len(driver.told("Письмо")) == 1


def test_leaving_the_stage_ends_it(driver: Driver) -> None:
    """AG-6: loops that the text ties to the stage."""
    process = on_stage(QUOTE, {"again": repeat()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.move(deal, "Договор")
    driver.later(days=28)
    assert driver.told("Письмо") == []


# --- Approval, Rework -------------------------------------------------------------------------------------------------


def test_an_approval_answers_with_its_outcome(driver: Driver) -> None:
    """R002-71, R002-72: refused → the one branch, approved → the other."""
    process = on_stage(
        QUOTE,
        {
            "agree": asks("Approval"),
            "yes": notice("Можно: {case}", tell=["head"], only_if=result_of("agree", "outcome", "approved")),
            "no": notice("Нельзя: {case}", tell=["head"], only_if=result_of("agree", "outcome", "rejected")),
        },
    )
    first, second = driver.deal(process), driver.deal(process)
    driver.move(first, QUOTE)
    decide(driver, "boss", "approve")
    assert (driver.told("Можно"), driver.told("Нельзя")) == (["boss"], [])
    assert driver.told("Согласовано") == ["manager"]
    driver.move(second, QUOTE)
    decide(driver, "boss", "reject", "дорого")
    assert driver.told("Нельзя") == ["boss"]


def test_the_step_only_waits_for_the_outcome(driver: Driver) -> None:
    """design.md §2: rounds advance inside the answer's transaction, whether or not anybody looks at the step."""
    process = on_stage(QUOTE, {"agree": asks(), "next": task("Дальше")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    boss, manager = driver.company.viewer("boss"), driver.company.viewer("manager")
    with transaction(boss.actor) as work:
        approvals.decide(work, boss, approval_of(driver).id, "reject", "не так")
    assert approval_of(driver).state == "rework"
    with transaction(manager.actor) as work:
        tasks.close_task(work, manager, driver.open_task().id)
    assert (approval_of(driver).state, approval_of(driver).round) == ("open", 2)
    with transaction(boss.actor) as work:
        approvals.decide(work, boss, approval_of(driver).id, "approve")
    driver.settle()
    assert driver.step(process, "agree").result["rounds"] == 2  # type: ignore[index]
    assert [one.title for one in driver.tasks("open")] == ["Дальше"]


def test_looked_at_twice_it_asks_once(driver: Driver) -> None:
    process = on_stage(QUOTE, {"agree": asks()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    for _ in range(3):
        driver.look(process, driver.instances(process)[-1], "agree")
    assert driver.told("Согласовать").count("boss") == 1


def test_ops_mark_the_step_and_clear_it(driver: Driver) -> None:
    """What ops do in Airflow withdraws the approval; a clear asks anew under a key of its own."""
    process = on_stage(QUOTE, {"agree": asks()})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    first = approval_of(driver)
    run = driver.instances(process)[-1].run_id
    engine.withdraw_step(process.id, run, "agree")
    assert approval_of(driver).state == "withdrawn"
    engine.look(process.id, run, "agree", process.specs["agree"])
    assert approval_of(driver).state == "open"
    assert approval_of(driver).id != first.id


def test_a_kept_approval_outlives_the_stage(driver: Driver) -> None:
    """AG-6: on_leave=keep holds for approvals as for tasks."""
    process = on_stage(QUOTE, {"agree": asks(on_leave="keep"), "next": task("Дальше", on_leave="keep")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.move(deal, "Договор")
    assert approval_of(driver).state == "open"
    decide(driver, "boss", "approve")
    assert [one.title for one in driver.tasks("open")] == ["Дальше"]


# --- terms, topics, processes with a condition -----------------------------------------------------------------------


def test_a_term_chosen_by_a_field_follows_it(driver: Driver) -> None:
    """R002-15: counted from the giving, whatever the field chooses later; the alarm goes along."""
    chosen = by_field("complexity", {"simple": hours(4), "complex": days(1)}, otherwise="complex")
    due = {"base": "opened", "offset": chosen.body(), "sign": 1}
    watch = {"base": "task", "offset": chosen.body(), "sign": 1}
    process = on_stage(QUOTE, {"do": {**task("Отправить"), "due": due}, "late": alarm("do", watch)})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    assert driver.open_task().due_at == MONDAY + timedelta(days=1)
    driver.later(hours=2)
    driver.fill(deal, complexity="simple")
    assert driver.open_task().due_at == MONDAY + timedelta(hours=4)
    driver.later(hours=2)
    assert driver.told("Не закрыта задача") == ["manager"]
    assert [one.reason for one in driver.aims(process, "late")][-1].startswith("перенесено")


def test_a_fixed_term_stays_and_an_empty_field_has_another(driver: Driver) -> None:
    """R002-17, R002-24."""
    due = at_field("quote_feedback_at", otherwise=after(days(3)), fixed=True)
    process = on_stage(QUOTE, {"ask": task("Спросить", due=due), "late": alarm("ask", at_due())})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    assert driver.open_task().due_at == MONDAY + timedelta(days=3)
    driver.fill(deal, quote_feedback_at="2026-11-24T10:00")
    assert driver.open_task().due_at == MONDAY + timedelta(days=3)


def test_a_process_that_does_not_begin_leaves_a_trace(driver: Driver) -> None:
    """R002-24: «later change → no task, trace only»; what runs already is left alone."""
    process = Process("on:field:quote_feedback_at", {"ask": task("Спросить")})
    process.specs["ask"]["begins_if"] = {
        "condition": (stands_on(QUOTE) & given("тема")).body, "says": "не та стадия",
    }  # fmt: skip
    giver = on_stage(QUOTE, {"give": task("Первая", topic="тема", shared_topic=True)})
    deal = driver.deal(process, giver)
    driver.fill(deal, quote_feedback_at="2026-11-24T10:00")
    assert [one.reason for one in driver.instances(process)] == ["не та стадия"]
    driver.move(deal, QUOTE)
    driver.fill(deal, quote_feedback_at="2026-11-25T10:00")
    assert [one.state for one in driver.instances(process)] == ["ended", "live"]
    driver.fill(deal, quote_feedback_at="")
    assert [one.state for one in driver.instances(process)] == ["ended", "ended", "live"]
    assert [one.title for one in driver.tasks("open")] == ["Первая", "Спросить"]


def test_changed_means_changed_since_the_giving(driver: Driver) -> None:
    """R002-18."""
    guard: Condition = changed("quote_feedback_at")
    process = on_stage(QUOTE, {"new": task("Сменить дату", guard=guard, closes_itself=True)})
    deal = driver.deal(process, fields={"quote_feedback_at": "2026-12-01T10:00"})
    driver.move(deal, QUOTE)
    with pytest.raises(GuardRefused):
        driver.close(driver.open_task())
    driver.fill(deal, quote_feedback_at="2026-12-02T10:00")
    assert driver.tasks("open") == []
    assert driver.state(process, "new") == "done"


def test_rounds_count_what_was_given_on_this_stay(driver: Driver) -> None:
    """R002-25: withdrawn ones were no round; another stay counts anew."""
    many = rounds("тема", number("many_rounds", 2, "Кругов"))
    spec = {
        "ask": task("Спросить", topic="тема", shared_topic=True, reentry="replace"),
        "many": notice("Много: {case}", only_if=many, once="stage"),
    }
    process = Process("on:field:quote_feedback_at", spec)
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    for day in (1, 2, 3):
        driver.fill(deal, quote_feedback_at=f"2026-12-0{day}T10:00")
        driver.close(driver.open_task())
    assert [one.round for one in driver.tasks()] == [1, 2, 3]
    assert driver.told("Много") == ["manager"]
    driver.later(minutes=1)
    driver.move(deal, "Договор")
    driver.fill(deal, quote_feedback_at="2026-12-05T10:00")
    assert driver.open_task().round == 1
