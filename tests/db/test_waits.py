"""Waits and moments: AG-1 (life of an alarm), AG-3 (past, empty, re-aimed), time zones, calendar and working time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from include.process.rules import after, at_field, days, equals, filled, hours, term, working_days
from include.shared import clock, settings
from include.shared.calendar import set_day
from include.shared.work import reading, transaction
from include.staff import admin
from include.staff.models import Person
from include.tasks import services as tasks
from tests.db.driver import MOSCOW, QUOTE, Driver, alarm, notice, on_stage, task

pytestmark = pytest.mark.db


def moscow(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MOSCOW)


def test_an_alarm_is_armed_with_its_task_and_fires_once(driver: Driver) -> None:
    """AG-1."""
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", after(hours(5)), tell=["responsible", "head"])})
    driver.move(driver.deal(process), QUOTE)
    assert driver.step(process, "late").moment == moscow("2026-11-23 15:00")
    driver.at("2026-11-23 14:59")
    assert driver.told("Не закрыта") == []
    driver.at("2026-11-23 15:00")
    driver.later(days=3)
    assert sorted(driver.told("Не закрыта")) == ["boss", "manager"]
    assert driver.state(process, "late") == "done"


def test_an_alarm_ends_with_its_task(driver: Driver) -> None:
    """AG-1: cancelled with trace when the task closes."""
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", after(hours(5)))})
    driver.move(driver.deal(process), QUOTE)
    driver.close(driver.open_task())
    row = driver.step(process, "late")
    assert (row.state, row.reason) == ("skipped", "не понадобилось: задача закрыта или снята")
    driver.later(hours=6)
    assert driver.told("Не закрыта") == []


def test_an_alarm_of_skipped_work_is_not_needed(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(only_if=filled("signed_on")), "late": alarm("do", after(hours(5)))})
    driver.move(driver.deal(process), QUOTE)
    assert (driver.state(process, "do"), driver.state(process, "late")) == ("skipped", "skipped")


def test_a_past_moment_fires_at_once(driver: Driver) -> None:
    """AG-3: planned date −2 h is behind."""
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", at_field("quote_feedback_at", minus=hours(2)))})
    driver.move(driver.deal(process, fields={"quote_feedback_at": "23.11.2026 11:00"}), QUOTE)
    assert driver.told("Не закрыта") == ["manager"]


def test_an_empty_field_arms_without_date_and_every_change_re_aims(driver: Driver) -> None:
    """AG-3, ★13: the old aims stay in the history."""
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", at_field("quote_feedback_at", minus=hours(1)))})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    assert (driver.step(process, "late").waits_for, driver.step(process, "late").moment) == ("взведено, даты нет", None)
    driver.fill(deal, quote_feedback_at="25.11.2026")
    assert driver.step(process, "late").moment == moscow("2026-11-25 08:00"), "a date without time is 09:00"
    driver.fill(deal, quote_feedback_at="27.11.2026 15:30")
    driver.fill(deal, quote_feedback_at="26.11.2026")
    driver.fill(deal, quote_feedback_at="26.11.2026")
    history = [(one.moment, one.reason, one.superseded_at is None) for one in driver.aims(process, "late")]
    assert history == [
        (None, "дата не заполнена", False),
        (moscow("2026-11-25 08:00"), "момент предупреждения", False),
        (moscow("2026-11-27 14:30"), "перенесено: момент предупреждения", False),
        (moscow("2026-11-26 08:00"), "перенесено: момент предупреждения", True),
    ]
    driver.at("2026-11-26 08:00")
    assert driver.told("Не закрыта") == ["manager"]
    driver.fill(deal, quote_feedback_at="30.11.2026")
    driver.at("2026-12-01 10:00")
    assert driver.told("Не закрыта") == ["manager"], "fires once"


def test_an_emptied_field_disarms(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", at_field("quote_feedback_at"))})
    deal = driver.deal(process, fields={"quote_feedback_at": "25.11.2026"})
    driver.move(deal, QUOTE)
    driver.fill(deal, quote_feedback_at=None)
    driver.at("2026-11-26 10:00")
    assert driver.told("Не закрыта") == []


def test_of_a_series_each_fires_once_and_of_several_past_only_the_latest(driver: Driver) -> None:
    """AG-3; A0-2: 3 working days before, 1 working day before, on the day."""
    date_of = "quote_feedback_at"
    series = [at_field(date_of, minus=working_days(3)), at_field(date_of, minus=working_days(1)), at_field(date_of)]
    process = on_stage(QUOTE, {"do": task(), "soon": alarm("do", series)})
    deal = driver.deal(process, fields={"quote_feedback_at": "30.11.2026"})
    driver.move(deal, QUOTE)
    driver.at("2026-11-25 09:00")
    assert len(driver.told("Не закрыта")) == 1
    driver.at("2026-11-27 09:00")
    assert len(driver.told("Не закрыта")) == 2
    driver.at("2026-11-30 09:00")
    assert (len(driver.told("Не закрыта")), driver.state(process, "soon")) == (3, "done")
    asleep = driver.deal(process, fields={"quote_feedback_at": "07.12.2026"})
    driver.move(asleep, QUOTE)
    driver.at("2026-12-07 08:00")  # downtime: two moments pass unseen
    assert len(driver.told("Не закрыта")) == 4
    driver.at("2026-12-07 09:00")
    assert len(driver.told("Не закрыта")) == 5


def test_one_alarm_watches_two_tasks(driver: Driver) -> None:
    """R002-21: one parallel wait, cancelled only when both are closed."""
    process = on_stage(QUOTE, {"a": task("А"), "b": task("Б"), "late": alarm(["a", "b"], after(hours(2)))}, b=[])
    first = driver.deal(process)
    driver.move(first, QUOTE)
    driver.close(driver.tasks("open")[0])
    driver.later(hours=2)
    assert driver.told("Не закрыта") == ["manager"]
    second = driver.deal(process)
    driver.move(second, QUOTE)
    for one in driver.tasks("open")[-2:]:
        driver.close(one)
    driver.later(hours=3)
    assert driver.told("Не закрыта") == ["manager"]


def test_an_alarm_may_outlive_its_task_but_not_the_stage(driver: Driver) -> None:
    """R002-35: it informs the crew; dies on leaving the stage."""
    at = at_field("quote_feedback_at", minus=hours(2))
    process = on_stage(QUOTE, {"do": task(), "crew": alarm("do", at, lives="stage")})
    stays, leaves = (driver.deal(process, fields={"quote_feedback_at": "24.11.2026 12:00"}) for _ in range(2))
    for deal in (stays, leaves):
        driver.move(deal, QUOTE)
        driver.close(driver.open_task())
    driver.move(leaves, "Договор")
    driver.at("2026-11-24 10:00")
    assert len(driver.told("Не закрыта")) == 1


def test_an_alarm_tied_to_the_stage_dies_with_it_though_its_task_is_kept(driver: Driver) -> None:
    """R002-46, -53."""
    process = on_stage(QUOTE, {"do": task(on_leave="keep"), "crew": alarm("do", after(hours(2)), lives="stage")})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    driver.move(deal, "Договор")
    driver.later(hours=3)
    assert driver.told("Не закрыта") == []


def test_overdue_tells_the_head_once(driver: Driver) -> None:
    """AG-4: the head is told on overdue; a moved term makes another overdue."""
    process = on_stage(QUOTE, {"do": task(due=hours(5))})
    driver.move(driver.deal(process), QUOTE)
    driver.at("2026-11-23 15:00")
    driver.at("2026-11-23 17:00")
    assert driver.told("Просрочена") == ["boss"]
    assert [one.superseded_at is not None for one in driver.aims(process, "do")] == [True]
    boss = driver.company.viewer("boss")
    with transaction(boss.actor) as work:
        tasks.change_term(work, boss, driver.open_task().id, "24.11.2026 12:00", "клиент попросил")
    driver.at("2026-11-24 12:00")
    assert driver.told("Просрочена") == ["boss", "boss"]


def test_the_head_is_not_told_twice_of_the_same_moment(driver: Driver) -> None:
    """AG-4, R002-13: the alarm tells him at the very moment of the term."""
    late = alarm("do", after(hours(5)), tell=["responsible", "head"])
    process = on_stage(QUOTE, {"do": task(due=hours(5)), "late": late})
    driver.move(driver.deal(process), QUOTE)
    driver.later(hours=6)
    assert (driver.told("Просрочена"), sorted(driver.told("Не закрыта"))) == ([], ["boss", "manager"])


def test_a_term_that_is_a_field_follows_it_until_changed_by_hand(driver: Driver) -> None:
    """AG-3: armed without date, aimed when filled, re-aimed on change."""
    process = on_stage(QUOTE, {"do": task(due=at_field("quote_feedback_at", minus=hours(1)))})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    assert driver.open_task().due_at is None
    driver.fill(deal, quote_feedback_at="25.11.2026 12:00")
    assert driver.open_task().due_at == moscow("2026-11-25 11:00")
    driver.fill(deal, quote_feedback_at="26.11.2026 12:00")
    assert driver.step(process, "do").moment == moscow("2026-11-26 11:00")
    boss = driver.company.viewer("boss")
    with transaction(boss.actor) as work:
        tasks.change_term(work, boss, driver.open_task().id, "30.11.2026 12:00", "по просьбе")
    driver.fill(deal, quote_feedback_at="27.11.2026 12:00")
    assert driver.open_task().due_at == moscow("2026-11-30 12:00")


def test_a_term_follows_its_change_and_so_do_its_alarms(driver: Driver) -> None:
    process = on_stage(
        QUOTE,
        {
            "do": task(due=hours(5)),
            "soon": alarm("do", {"base": "due", "sign": -1, "offset": {"setting": None, "default": {"hours": 1}}}),
        },
    )
    driver.move(driver.deal(process), QUOTE)
    assert driver.step(process, "soon").moment == moscow("2026-11-23 14:00")
    boss = driver.company.viewer("boss")
    with transaction(boss.actor) as work:
        tasks.change_term(work, boss, driver.open_task().id, "25.11.2026 12:00", "перенос")
    driver.settle()
    assert driver.step(process, "soon").moment == moscow("2026-11-25 11:00")
    assert driver.step(process, "do").moment == moscow("2026-11-25 12:00")


@pytest.mark.parametrize(
    ("zone", "expected"), [("Europe/Samara", "2026-11-25 05:00"), ("Asia/Kamchatka", "2026-11-24 21:00")]
)
def test_moments_are_local_to_the_case(driver: Driver, zone: str, expected: str) -> None:
    """AG-3, R002-1: 09:00 at the client's."""
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", at_field("signed_on"))})
    deal = driver.deal(process, fields={"signed_on": "25.11.2026"}, time_zone=zone)
    driver.move(deal, QUOTE)
    assert driver.step(process, "late").moment == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    driver.fill(deal, time_zone="Europe/Moscow")
    assert driver.step(process, "late").moment == moscow("2026-11-25 09:00")


def test_a_changed_setting_re_aims_the_waits_that_read_it(driver: Driver) -> None:
    """AG-2, AG-5: terms are editable without code, calendar or working."""
    at = after(term("alarm_of_test", hours(5), "Предупреждение"))
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", at)})
    driver.move(driver.deal(process), QUOTE)
    with transaction(driver.company.viewer("admin").actor) as work:
        settings.change(work, "alarm_of_test", {"working_hours": 9})
    driver.settle()
    assert driver.step(process, "late").moment == moscow("2026-11-24 10:00")


def test_an_override_of_the_calendar_re_aims_working_time(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", after(working_days(1)))})
    driver.move(driver.deal(process), QUOTE)
    assert driver.step(process, "late").moment == moscow("2026-11-24 10:00")
    with transaction(driver.company.viewer("admin").actor) as work:
        set_day(work, date(2026, 11, 24), working=False, title="День завода")
    driver.settle()
    assert driver.step(process, "late").moment == moscow("2026-11-25 10:00")
    with transaction(driver.company.viewer("admin").actor) as work:
        set_day(work, date(2026, 11, 24), working=True, title="Отменён")


def test_work_without_a_person_waits_and_is_given_when_there_is_one(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(to="field:product_manager", due=hours(5))})
    deal = driver.deal(process)
    driver.move(deal, QUOTE)
    assert (driver.step(process, "do").waits_for or "").startswith("некому поручить")
    driver.later(hours=2)
    driver.fill(deal, product_manager=driver.company["product"])
    assert driver.open_task().due_at == moscow("2026-11-23 17:00"), "the term counts from the giving"
    driver.fill(deal, product_manager=driver.company["engineer"])
    assert driver.company.login(driver.open_task().executor_id) == "engineer"
    assert driver.told("Вам передана") == ["engineer"]


def test_a_role_given_wakes_the_work_that_waits_for_it(driver: Driver) -> None:
    process = on_stage(QUOTE, {"do": task(to="role:registrar")})
    driver.move(driver.deal(process), QUOTE)
    assert driver.tasks() == []
    with transaction(driver.company.viewer("admin").actor) as work:
        admin.give_role(work, "registrar", driver.company["colleague"])
    driver.settle()
    assert driver.company.login(driver.open_task().executor_id) == "colleague"


def test_whoever_works_here_no_more_is_not_told(driver: Driver) -> None:
    steps = {"tell": notice(tell=["responsible", "role:product_manager", "person:0"]), "do": task(due=days(1))}
    process = on_stage(QUOTE, steps)
    deal = driver.deal(process)
    with transaction(driver.company.viewer("admin").actor) as work:
        gone = admin.add_person(work, last_name="Бывший", first_name="Иван").id
        driver.company.people["gone"] = gone
        admin.give_role(work, "product_manager", gone)
        work.session.get_one(Person, gone).active = False
    driver.move(deal, QUOTE)
    assert sorted(driver.told("Произошло")) == ["manager", "product"]


def test_an_unknown_word_in_a_text_stops_nothing(driver: Driver) -> None:
    process = on_stage(QUOTE, {"tell": notice("Сумма {amount}: {case}")})
    driver.move(driver.deal(process), QUOTE)
    assert driver.told("Сумма {amount}: Сделка") == ["manager"]


def test_the_virtual_clock_moves_and_is_refused_in_production(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """design §4."""
    process = on_stage(QUOTE, {"do": task(), "late": alarm("do", after(days(14)))})
    driver.move(driver.deal(process), QUOTE)
    with pytest.raises(clock.VirtualClockRefused), transaction() as work:
        clock.move_to(work.session, moscow("2027-01-01 00:00"))
    monkeypatch.setenv("BACKOFFICE_CLOCK", "virtual")
    with transaction() as work:
        assert clock.move_to(work.session, moscow("2026-12-07 10:00")) == moscow("2026-12-07 10:00")
        assert clock.move_to(work.session, moscow("2026-12-01 10:00")) == moscow("2026-12-07 10:00"), "never back"
    with reading() as session:
        assert clock.now(session) == moscow("2026-12-07 10:00")
    driver.settle()
    assert driver.told("Не закрыта") == ["manager"]
    driver.now += moscow("2026-12-07 10:00") - driver.now
    with transaction() as work:
        from sqlalchemy import text

        work.session.execute(text("DELETE FROM clock_offset"))
    monkeypatch.setenv("BACKOFFICE_ENV", "production")
    with pytest.raises(clock.VirtualClockRefused), transaction():
        pass
    monkeypatch.delenv("BACKOFFICE_ENV")
    monkeypatch.setenv("BACKOFFICE_CLOCK", "real")


def test_a_driven_clock_stands_until_it_goes_on(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments a second apart stay apart however long each takes to settle; a driver that died lets the clock go on."""
    from sqlalchemy import text

    monkeypatch.setenv("BACKOFFICE_CLOCK", "virtual")
    machine = [moscow("2026-11-21 10:00")]
    monkeypatch.setattr(clock, "machine_now", lambda: machine[0])
    there = moscow("2026-12-07 10:00")

    def seen() -> Any:
        with reading() as session:
            return clock.now(session)

    def move(to: Any, hold: timedelta | None = None) -> None:
        with transaction() as work:
            clock.move_to(work.session, to, hold=hold)

    move(there, timedelta(minutes=2))
    machine[0] += timedelta(seconds=90)
    assert seen() == there
    move(there)
    machine[0] += timedelta(seconds=5)
    assert seen() == there + timedelta(seconds=5)
    move(there + timedelta(hours=1), timedelta(minutes=2))
    machine[0] += timedelta(minutes=3)
    assert seen() > there + timedelta(hours=1), "nobody drives any more"
    with transaction() as work:
        work.session.execute(text("DELETE FROM clock_offset"))


def test_conditions_on_choices_use_stored_codes(driver: Driver) -> None:
    process = on_stage(QUOTE, {"tell": notice("Самовывоз", only_if=equals("delivery_terms", "pickup"))})
    driver.move(driver.deal(process, fields={"delivery_terms": "самовывоз"}), QUOTE)
    assert driver.told("Самовывоз") == ["manager"]
