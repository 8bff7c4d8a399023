"""КП on «Товары»: R002-14…R002-19, R002-24, R002-25, each line by its number."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import select

from include.shared.models import Setting
from tests.db.driver import MOSCOW, Driver
from tests.rehearsals.play import Play, at

pytestmark = pytest.mark.db
STAGE, CONTRACT = "Счет/КП", "Договор"
QUOTE = "Сформировать и отправить КП"
FIRST, AGAIN = "Получить обратную связь по КП", "Получить обратную связь по КП/счету"
NEW_DATE = "Актуализировать дату получения обратной связи"


@pytest.fixture
def play(driver: Driver) -> Play:
    made = Play(driver, fields={"complexity": "complex"})
    made.moves(STAGE)
    return made


def sent(play: Play) -> Play:
    play.closes(QUOTE)
    play.told()
    return play


def answered(play: Play) -> Play:
    sent(play).closes(FIRST)
    return play


def test_head_leads_the_tasks(play: Play) -> None:
    """R002-14, AG-4."""
    assert play.task(QUOTE).creator_id == play.driver.company["boss"]
    assert play.driver.observers(play.task(QUOTE)) == {"boss"}


@pytest.mark.parametrize(
    ("complexity", "due"),
    [
        ("simple", datetime(2026, 11, 23, 14, 0, tzinfo=MOSCOW)),
        ("complex", datetime(2026, 11, 24, 10, 0, tzinfo=MOSCOW)),
        ("very_complex", datetime(2026, 11, 26, 10, 0, tzinfo=MOSCOW)),
    ],
)
def test_complexity_gives_the_term_and_the_alarm(driver: Driver, complexity: str, due: datetime) -> None:
    """R002-15, R002-16, A2-6: the same period for the term and for the notice to the responsible."""
    play = Play(driver, fields={"complexity": complexity})
    play.moves(STAGE)
    assert play.open() == [QUOTE]
    assert play.due(QUOTE) == due
    play.told()
    play.until(due)
    assert sorted(play.told()) == [f"boss: Просрочена задача «{QUOTE}»", "manager: КП ещё не отправлено"]


def test_no_complexity_is_treated_as_complex_and_asked_for(driver: Driver) -> None:
    """A2-6; when it is filled, the open task gets the term of the answer, counted from its giving."""
    play = Play(driver)
    play.moves(STAGE)
    assert sorted(play.open()) == [QUOTE, "Указать сложность сделки"]
    assert play.due(QUOTE) == datetime(2026, 11, 24, 10, 0, tzinfo=MOSCOW)
    play.after(hours=1)
    play.fills(complexity="simple")
    assert play.open() == [QUOTE]
    assert play.due(QUOTE) == at(hours=4)
    play.told()
    play.until(at(hours=4))
    assert "manager: КП ещё не отправлено" in play.told()


def test_a_term_changed_by_hand_is_left_alone(play: Play) -> None:
    """AG-3: a field moves what nobody has moved."""
    from include.shared.work import transaction
    from include.tasks.services import change_term

    boss = play.driver.company.viewer("boss")
    with transaction(boss.actor) as work:
        change_term(work, boss, play.task(QUOTE).id, "2026-12-01T10:00", "клиент в отпуске")
    play.fills(complexity="simple")
    assert play.due(QUOTE) == datetime(2026, 12, 1, 10, 0, tzinfo=MOSCOW)


def test_closed_in_time_nobody_is_told(play: Play) -> None:
    """AG-1."""
    sent(play)
    play.until(at(days=2))
    assert play.told() == []


def test_feedback_is_asked_and_warned_of_after_three_days(play: Play) -> None:
    """R002-17."""
    sent(play)
    assert play.open() == [FIRST]
    assert play.due(FIRST) == at(days=3)
    play.until(at(days=2, hours=23))
    assert play.told() == []
    play.until(at(days=3))
    assert "manager: Нет обратной связи по КП" in play.told()


def test_a_date_entered_early_is_the_term_and_no_task(play: Play) -> None:
    """R002-24: no task until the КП is sent, then that date is the term."""
    play.fills(quote_feedback_at="2026-11-25T15:00")
    assert play.open() == [QUOTE]
    sent(play)
    assert play.open() == [FIRST]
    assert play.due(FIRST) == datetime(2026, 11, 25, 15, 0, tzinfo=MOSCOW)


def test_twelve_hours_later_the_date_must_be_renewed(play: Play) -> None:
    """R002-18: the guard wants a changed and future date; changing it closes the task."""
    answered(play)
    assert play.open() == []
    play.after(hours=11, minutes=59)
    assert play.open() == []
    play.after(minutes=1)
    assert play.open() == [NEW_DATE]
    with pytest.raises(Exception, match="измен"):
        play.closes(NEW_DATE)
    play.fills(quote_feedback_at="2026-11-20T10:00")  # changed, but past
    assert NEW_DATE in play.open()
    play.fills(quote_feedback_at="2026-11-27T10:00")
    assert play.states(NEW_DATE) == ["done"]
    assert play.open() == [AGAIN]


def test_leaving_within_twelve_hours_cancels_the_wait(play: Play) -> None:
    """R002-18: the wait is cancelled if the deal leaves «Счет/КП»."""
    answered(play)
    play.after(hours=11)
    play.moves(CONTRACT)
    play.after(hours=2)
    assert NEW_DATE not in play.open()


def test_a_changed_date_replaces_the_open_task(play: Play) -> None:
    """R002-19, R002-24, AG-7: one topic – one open task, re-armed at the new date."""
    sent(play)
    play.fills(quote_feedback_at="2026-11-25T12:00")
    assert play.open() == [AGAIN]
    assert play.states(FIRST) == ["replaced"]
    assert play.due(AGAIN) == datetime(2026, 11, 25, 12, 0, tzinfo=MOSCOW)
    play.fills(quote_feedback_at="2026-11-26T12:00")
    assert play.open() == [AGAIN]
    assert play.states(AGAIN) == ["replaced", "open"]
    play.told()
    play.until(datetime(2026, 11, 25, 12, 0, tzinfo=MOSCOW))
    assert play.told() == []
    play.until(datetime(2026, 11, 26, 12, 0, tzinfo=MOSCOW))
    assert "manager: Нет обратной связи по КП" in play.told()


def test_a_date_changed_during_the_twelve_hours_takes_over(play: Play) -> None:
    """R002-19: the new task stands instead of the wait; after its closing R002-18 repeats from the beginning."""
    answered(play)
    play.after(hours=6)
    play.fills(quote_feedback_at="2026-11-25T12:00")
    assert play.open() == [AGAIN]
    play.after(hours=7)
    assert play.open() == [AGAIN]
    play.closes(AGAIN)
    play.after(hours=11)
    assert play.open() == []
    play.after(hours=1)
    assert play.open() == [NEW_DATE]


def test_a_date_changed_elsewhere_is_only_a_trace(play: Play) -> None:
    """A2-10: only while the deal is on «Счет/КП»."""
    sent(play)
    play.moves("Комплектация")
    play.fills(quote_feedback_at="2026-11-25T12:00")
    assert play.open() == []


def test_an_emptied_date_asks_nobody(play: Play) -> None:
    """R002-24 speaks of entering and changing."""
    sent(play)
    play.fills(quote_feedback_at="2026-11-25T12:00")
    play.closes(AGAIN)
    play.fills(quote_feedback_at="")
    assert play.open() == []


def test_rounds_are_counted_and_after_three_the_head_is_told_once(play: Play) -> None:
    """R002-25."""
    answered(play)
    for circle, day in ((2, 25), (3, 26), (4, 27)):
        play.fills(quote_feedback_at=f"2026-11-{day}T12:00")
        assert play.task(AGAIN).round == circle
        play.told()
        play.closes(AGAIN)
        expected = ["boss: Обратную связь по КП запрашивают уже несколько кругов"] if circle == 3 else []
        assert play.told() == expected


def test_a_corrected_date_is_no_round(play: Play) -> None:
    """R002-25: only what was asked and answered counts."""
    answered(play)
    for day in (25, 26, 27):
        play.fills(quote_feedback_at=f"2026-11-{day}T12:00")
    assert play.task(AGAIN).round == 2


def test_the_head_is_not_called_when_switched_off(play: Play) -> None:
    """R002-25: the switch is a number in the settings; 0 – nobody."""
    from include.shared import settings
    from include.shared.work import transaction

    answered(play)
    play.fills(quote_feedback_at="2026-11-25T12:00")
    with transaction() as work:
        settings.change(work, "quote_rounds_alarm", 0)
    play.closes(AGAIN)
    play.fills(quote_feedback_at="2026-11-26T12:00")
    play.closes(AGAIN)
    assert play.told() == []
    with transaction() as work:
        settings.change(work, "quote_rounds_alarm", 3)


@pytest.mark.parametrize("till", ["quote", "feedback", "stays", "new_date", "again"])
def test_dragged_away_and_back_at_each_step(play: Play, till: str) -> None:
    """AG-6: what was done stays done, what was open is given anew, nothing stands twice."""
    expected = {
        "quote": [QUOTE], "feedback": [FIRST], "stays": [], "new_date": [], "again": [FIRST],
    }  # fmt: skip
    if till != "quote":
        sent(play)
    if till in ("stays", "new_date"):
        play.closes(FIRST)
    if till == "new_date":
        play.after(hours=12)
        assert play.open() == [NEW_DATE]
    if till == "again":
        play.fills(quote_feedback_at="2026-11-25T12:00")
        assert play.open() == [AGAIN]
    play.moves("Комплектация")
    assert play.open() == []
    play.moves(STAGE)
    assert play.open() == expected[till]
    if till in ("stays", "new_date"):
        play.after(hours=12)
        assert play.open() == [NEW_DATE]


def test_a_later_round_withdrawn_by_leaving_is_asked_again(play: Play) -> None:
    """AG-6: what was open when the deal left is given anew, though an earlier round was done."""
    answered(play)
    play.fills(quote_feedback_at="2026-11-26T12:00")
    assert play.open() == [AGAIN]
    play.moves("Комплектация")
    play.moves(STAGE)
    assert play.open() == [FIRST]
    play.closes(FIRST)
    play.after(hours=12)
    assert play.open() == [NEW_DATE]


def test_a_date_changed_while_the_quote_is_open_again_only_aims(play: Play) -> None:
    """A2-10: reopened by mistake or asked anew by the switch, the КП comes first."""
    sent(play)
    play.driver.reopen(next(one for one in play.driver.tasks() if one.title == QUOTE))
    play.fills(quote_feedback_at="2026-11-26T12:00")
    assert play.open() == [QUOTE]
    play.closes(QUOTE)
    assert play.due(FIRST) == datetime(2026, 11, 26, 12, tzinfo=MOSCOW)


def test_the_loop_has_no_switch_that_ends_it(play: Play) -> None:
    """R002-25: «дожим» goes on until the deal leaves the stage."""
    sent(play).fills(quote_feedback_at="2026-11-25T12:00")
    known = play.driver.read(lambda session: set(session.scalars(select(Setting.code))))
    assert "repeat:goods_quote.quote" in known
    assert not {one for one in known if one.startswith("repeat:goods_quote_feedback.")}


@pytest.mark.parametrize("when", ["before", "at", "after"])
def test_a_date_changed_before_at_and_after_its_alarm(play: Play, when: str) -> None:
    """★13: the old aim never fires after a change, and a new one always does."""
    sent(play)
    first, second = datetime(2026, 11, 25, 12, tzinfo=MOSCOW), datetime(2026, 11, 26, 12, tzinfo=MOSCOW)
    play.fills(quote_feedback_at=first.isoformat())
    play.told()
    if when == "before":
        play.until(datetime(2026, 11, 25, 11, 59, tzinfo=MOSCOW))
    else:
        play.until(first if when == "at" else datetime(2026, 11, 25, 13, tzinfo=MOSCOW))
        assert "manager: Нет обратной связи по КП" in play.told()
    play.fills(quote_feedback_at=second.isoformat())
    play.until(datetime(2026, 11, 26, 11, 59, tzinfo=MOSCOW))
    assert play.told() == []
    play.until(second)
    assert "manager: Нет обратной связи по КП" in play.told()


def test_a_past_date_warns_at_once(play: Play) -> None:
    """AG-3."""
    sent(play)
    play.fills(quote_feedback_at="2026-11-20T12:00")
    assert play.open() == [AGAIN]
    assert "manager: Нет обратной связи по КП" in play.told()


def test_a_new_responsible_gets_the_open_task(play: Play) -> None:
    """AG-4."""
    sent(play)
    play.driver.give_to(play.deal, "engineer")
    assert play.task(FIRST).executor_id == play.driver.company["engineer"]
    assert play.task(FIRST).creator_id == play.driver.company["chief"]
