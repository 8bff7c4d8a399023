"""Leaving and re-entering a stage: AG-6 (cancel, keep, once, repeat), AG-7 (replaced), lost and won deals."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from include.process import engine
from include.process.rules import after, at_least, days, equals, filled, hours
from include.shared import settings
from include.shared.work import transaction
from tests.db.driver import QUOTE, Driver, Process, alarm, notice, on_stage, step, task

pytestmark = pytest.mark.db
SHIPPING = "Отгрузка"


def test_cancel_withdraws_the_task_with_its_trace(driver: Driver) -> None:
    """AG-6 cancel: «снята: сделка ушла со стадии», its waits are cancelled."""
    process = on_stage(QUOTE, {"do": task(due=hours(5)), "late": alarm("do", after(hours(5)))})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.move(deal, "Договор")
    (gone,) = driver.tasks()
    assert (gone.state, gone.close_reason) == ("withdrawn", "сделка ушла со стадии")
    assert (driver.state(process, "do"), driver.state(process, "late")) == ("stopped", "stopped")
    driver.later(days=2)
    assert driver.told("Не закрыта") == []
    assert all(one.superseded_at is not None for one in driver.aims(process, "late"))


def test_keep_leaves_the_task_its_alarm_its_guard_and_its_next_step(driver: Driver) -> None:
    """AG-6 keep: an obligation does not vanish because a card was dragged."""
    process = on_stage(SHIPPING, {
        "ship": task("Организовать отгрузку", on_leave="keep", guard=filled("track_number"), due=days(3)),
        "late": alarm("ship", after(hours(5))),
        "tell": notice(),
        "confirm": task("Получить подтверждение, что товар получен", on_leave="keep"),
    })  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, SHIPPING)
    driver.move(deal, "Подведение итогов")
    driver.later(hours=5)
    assert driver.told("Не закрыта") == ["manager"]
    driver.fill(deal, track_number="RU1")
    driver.close(driver.open_task())
    assert driver.told("Произошло") == ["manager"]
    assert driver.open_task().title == "Получить подтверждение, что товар получен"
    driver.close(driver.open_task())
    (instance,) = driver.instances(process)
    assert (instance.state, instance.reason) == ("ended", "сделка ушла со стадии")


def test_a_kept_instance_stops_what_is_not_kept(driver: Driver) -> None:
    """AG-6: loops that the text ties to the stage (R002-46, -53) and other branches end with it."""
    process = on_stage(SHIPPING, {
        "ship": task("Отгрузить", on_leave="keep"),
        "other": task("Отменяемая"), "behind": notice("За отменяемой"),
        "stays": step("FieldSensor", "Ждать поле", until=filled("signed_on")), "loop": notice("Ещё раз"),
    }, other=[], stays=[])  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, SHIPPING)
    driver.move(deal, QUOTE)
    driver.fill(deal, signed_on="2026-11-20")
    assert [one.title for one in driver.tasks("open")] == ["Отгрузить"]
    assert (driver.told("За отменяемой"), driver.told("Ещё раз")) == ([], [])
    assert driver.state(process, "stays") == "stopped"


def test_a_step_that_begins_after_the_leaving_does_not_begin(driver: Driver) -> None:
    """The scheduler needs a second: a branch that had not begun must not give work for a stage already left."""
    process = on_stage(SHIPPING, {"ship": task("Отгрузить", on_leave="keep"), "fast": notice("Быстро"),
                                  "late": task("Опоздавшая")}, fast=[])  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, SHIPPING, settle=False)
    driver.relay()
    (instance,) = driver.instances(process)
    driver.look(process, instance, "ship")
    driver.look(process, instance, "fast")
    driver.now += timedelta(seconds=1)
    driver.move(deal, QUOTE)
    assert driver.state(process, "late") == "stopped"
    assert [one.title for one in driver.tasks()] == ["Отгрузить"]


def test_an_alarm_that_begins_after_the_leaving_still_watches_a_kept_task(driver: Driver) -> None:
    """AG-1, AG-6: its task is kept, so is its wait."""
    process = on_stage(SHIPPING, {"ship": task("Отгрузить", on_leave="keep"), "late": alarm("ship", after(hours(1)))})
    deal = driver.deal(process)
    driver.move(deal, SHIPPING, settle=False)
    driver.relay()
    driver.look(process, driver.instances(process)[0], "ship")
    driver.now += timedelta(seconds=1)
    driver.move(deal, QUOTE)
    driver.later(hours=1)
    assert driver.told("Не закрыта") == ["manager"]


def test_the_new_visit_joins_a_kept_task(driver: Driver) -> None:
    """AG-6: coming back starts anew only what is not done or open; one task, one announcement, one alarm."""
    process = on_stage(SHIPPING, {"ship": task("Отгрузить", on_leave="keep", due=days(1)),
                                  "late": alarm("ship", after(hours(5))), "tell": notice()})  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, SHIPPING)
    driver.later(hours=6)
    driver.move(deal, QUOTE)
    driver.later(hours=1)
    driver.move(deal, SHIPPING)
    assert len(driver.tasks()) == 1
    assert driver.told("Вам поставлена") == ["manager"]
    assert driver.told("Не закрыта") == ["manager"]
    assert [(one.state, one.reason) for one in driver.instances(process)] == [
        ("ended", "работу ведёт новый заход"), ("live", None),
    ]  # fmt: skip
    driver.close(driver.open_task())
    assert driver.told("Произошло") == ["manager"]


def test_a_kept_task_lives_while_the_new_visit_has_not_come_to_it(driver: Driver) -> None:
    """Nothing is lost in between: alarms go on, and closing it moves the earlier visit on."""
    process = on_stage(SHIPPING, {
        "ask": task("Спросить", reentry="repeat"), "ship": task("Отгрузить", on_leave="keep"),
        "late": alarm("ship", after(hours(5))), "tell": notice("Отгружено"),
    })  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, SHIPPING)
    driver.close(driver.open_task())
    driver.move(deal, QUOTE)
    driver.move(deal, SHIPPING)
    assert [one.title for one in driver.tasks("open")] == ["Отгрузить", "Спросить"]
    assert len(driver.instances(process, live=True)) == 2
    driver.later(hours=5)
    assert driver.told("Не закрыта") == ["manager"]
    driver.move(deal, QUOTE)
    assert [one.title for one in driver.tasks("open")] == ["Отгрузить"], "left again before it was joined"
    driver.move(deal, SHIPPING)
    driver.close(driver.tasks("open")[0])
    assert driver.told("Отгружено") == ["manager"]
    driver.close(driver.open_task())
    assert len(driver.tasks("done")) == 3
    assert driver.instances(process, live=True) == []


def test_done_once_is_not_asked_again(driver: Driver) -> None:
    """AG-6 re-entry policy once."""
    process = on_stage(QUOTE, {"do": task("Сделать"), "next": task("Дальше")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())
    driver.move(deal, "Договор")
    driver.move(deal, QUOTE)
    assert [(one.title, one.state) for one in driver.tasks()] == [
        ("Сделать", "done"), ("Дальше", "withdrawn"), ("Дальше", "open"),
    ]  # fmt: skip


def test_withdrawn_work_starts_anew(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task("Сделать", due=hours(5)), "late": alarm("do", after(hours(5)))})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.later(hours=4)
    driver.move(deal, "Договор")
    driver.move(deal, QUOTE)
    assert [one.state for one in driver.tasks()] == ["withdrawn", "open"]
    driver.later(hours=4)
    assert driver.told("Не закрыта") == []
    driver.later(hours=1)
    assert driver.told("Не закрыта") == ["manager"]


def test_the_switch_makes_a_task_repeat(driver: Driver) -> None:
    """AG-6: re-entry policy once, switch repeat – a setting that the scheme declares."""
    process = on_stage(QUOTE, {"do": task("Сделать")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.close(driver.open_task())
    with transaction(driver.company.viewer("admin").actor) as work:
        settings.change(work, f"repeat:{process.id}.do", True)
    driver.move(deal, "Договор")
    driver.move(deal, QUOTE)
    assert [one.state for one in driver.tasks()] == ["done", "open"]
    assert len({one.key for one in driver.tasks()}) == 2


def test_a_new_task_of_a_topic_replaces_the_open_one(driver: Driver) -> None:
    """AG-7: one topic – one open task; «заменена» starts nothing."""
    first = on_stage(QUOTE, {"ask": task("Получить обратную связь по КП", topic="ОС", shared_topic=True),
                             "late": alarm("ask", after(hours(1))), "tell": notice()})  # fmt: skip
    second = Process("on:field:quote_feedback_at", {"ask": task("…по КП/счету", topic="ОС", shared_topic=True)})
    deal = driver.deal(first, second)
    driver.move(deal, QUOTE)
    driver.fill(deal, quote_feedback_at="30.11.2026")
    assert [(one.title, one.state) for one in driver.tasks()] == [
        ("Получить обратную связь по КП", "replaced"), ("…по КП/счету", "open"),
    ]  # fmt: skip
    assert driver.told("Произошло") == []
    assert (driver.instances(first)[0].reason or "").startswith("задача заменена")
    driver.later(hours=2)
    assert driver.told("Не закрыта") == []


def test_a_lost_deal_cancels_everything(driver: Driver) -> None:
    """AG-6: kept obligations too."""
    process = on_stage(SHIPPING, {"ship": task("Отгрузить", on_leave="keep"), "late": alarm("ship", after(hours(1)))})
    deal = driver.deal(process)
    driver.move(deal, SHIPPING)
    driver.move(deal, QUOTE)
    driver.move(deal, "Сделка проиграна")
    assert [(one.state, one.close_reason) for one in driver.tasks()] == [("withdrawn", "сделка проиграна")]
    assert driver.instances(live=True) == []
    driver.later(days=1)
    assert driver.told("Не закрыта") == []
    driver.move(deal, SHIPPING)
    assert driver.open_task().round == 1


def test_a_won_deal_keeps_its_obligations(driver: Driver) -> None:
    """R002-3: the end is the closing of «Получить оригиналы документов», not the stage."""
    process = on_stage("Подведение итогов", {"scans": task("Получить сканы", on_leave="keep"), "tell": notice()})
    won = on_stage("Сделка успешна", {"originals": task("Получить оригиналы документов", on_leave="keep")})
    deal = driver.deal(process, won)
    driver.move(deal, "Подведение итогов")
    driver.move(deal, "Сделка успешна")
    assert len(driver.tasks("open")) == 2
    for one in driver.tasks("open"):
        driver.close(one)
    assert driver.told("Произошло") == ["manager"]


def test_conditions_of_a_kept_chain_are_those_of_its_own_visit(driver: Driver) -> None:
    process = on_stage(SHIPPING, {"ship": task("Отгрузить", on_leave="keep"),
                                  "tell": notice("Пришла из КП", only_if=equals("came_from", QUOTE))})  # fmt: skip
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.move(deal, SHIPPING)
    driver.move(deal, "Договор")
    driver.close(driver.open_task())
    assert driver.told("Пришла из КП") == ["manager"]


def test_a_kept_task_closes_itself_after_the_leaving(driver: Driver) -> None:
    """R002-43, ★26: payment comes while the deal is elsewhere."""
    guard = at_least("paid", "amount")
    process = on_stage("Комплектация", {"pay": task("Получить окончательный расчет", on_leave="keep", guard=guard,
                                                    closes_itself=True), "tell": notice()})  # fmt: skip
    deal = driver.deal(process, fields={"amount": "100"})
    driver.move(deal, "Комплектация")
    driver.move(deal, SHIPPING)
    driver.fill(deal, paid="100")
    assert [one.state for one in driver.tasks()] == ["done"]
    assert driver.told("Произошло") == ["manager"]


def test_an_older_visit_never_takes_work_from_a_newer_one(driver: Driver) -> None:
    process = on_stage(SHIPPING, {"a": task("А", on_leave="keep", reentry="repeat"), "b": task("Б", on_leave="keep")})
    deal = driver.deal(process)
    driver.move(deal, SHIPPING)
    driver.close(driver.open_task())
    driver.move(deal, QUOTE)  # Б is kept by the first visit
    driver.move(deal, SHIPPING)
    driver.close(next(one for one in driver.tasks("open") if one.title == "А"))
    old, new = driver.instances(process)
    assert (old.state, new.state) == ("ended", "live")
    assert driver.look(process, old, "b").outcome == "skipped"
    assert driver.open_task().instance_id == new.id


def test_an_instance_that_ends_takes_its_left_over_tasks_along(driver: Driver) -> None:
    """An event begins anew, and its new instance does not come to the task of the earlier one."""
    process = Process("on:field:signed_on", {"do": task(only_if=filled("sent_on"))})
    deal = driver.deal(process)
    driver.fill(deal, sent_on="2026-11-20")
    driver.fill(deal, signed_on="2026-11-20")
    assert len(driver.tasks("open")) == 1
    driver.fill(deal, sent_on=None)
    driver.fill(deal, signed_on="2026-11-21")
    assert [(one.state, one.close_reason) for one in driver.tasks()] == [("withdrawn", "процесс окончен")]


def test_a_run_ended_by_ops_leaves_no_obligation_behind(driver: Driver) -> None:
    process = on_stage(SHIPPING, {"ship": task("Отгрузить", on_leave="keep")})
    deal = driver.deal(process)
    driver.move(deal, SHIPPING)
    driver.move(deal, QUOTE)
    (instance,) = driver.instances(process)
    engine.end_run(process.id, instance.run_id, "прогон удалён администратором")
    assert driver.tasks("open") == []
    assert (
        driver.read(
            lambda s: s.scalar(
                text("SELECT count(*) FROM step_state WHERE state = 'waiting' AND instance_id = :i"), {"i": instance.id}
            )
        )
        == 0
    )
