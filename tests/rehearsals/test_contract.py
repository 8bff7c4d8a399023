"""The contract with the client on both funnels: R002-26…R002-32."""

from __future__ import annotations

from datetime import datetime

import pytest

from include.shared.errors import BackofficeError
from tests.db.driver import MOSCOW, Driver
from tests.rehearsals.play import Play

pytestmark = pytest.mark.db
STAGE = "Договор"
NEEDED, SEND = "Указать, нужен ли договор", "Сформировать и отправить Договор"
DATE = "Заполнить дату получения обратной связи по Договору"
FIRST, AGAIN = "Получить обратную связь по договору", "Получить обратную связь по Договору"
FUNNELS = ("Товары", "Услуги")
NEXT = {"Товары": "Комплектация", "Услуги": "Ожидание выезда на объект"}


@pytest.fixture(params=FUNNELS)
def funnel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def on_contract(driver: Driver, funnel: str, **fields: object) -> Play:
    play = Play(driver, funnel, fields=fields)
    play.moves(STAGE)
    return play


def asked(driver: Driver, funnel: str = "Товары") -> Play:
    play = on_contract(driver, funnel, contract_needed=True)
    play.closes(SEND)
    play.fills(contract_feedback_at="2026-11-25T12:00")
    play.told()
    return play


def test_head_leads_the_tasks(driver: Driver, funnel: str) -> None:
    """R002-26."""
    play = on_contract(driver, funnel, contract_needed=True)
    assert play.task(SEND).creator_id == driver.company["boss"]


def test_no_contract_moves_the_deal(driver: Driver, funnel: str) -> None:
    """R002-27, A2-11."""
    play = on_contract(driver, funnel, contract_needed=False)
    assert play.stage() == NEXT[funnel]
    assert play.open() == []


def test_an_empty_answer_is_asked_for(driver: Driver, funnel: str) -> None:
    """R002-27: the deal waits; «нет» moves it, once."""
    play = on_contract(driver, funnel)
    assert play.open() == [NEEDED]
    play.fills(contract_needed=False)
    assert play.stage() == NEXT[funnel]
    assert play.open() == []
    play.moves("Подведение итогов")
    play.driver.settle()
    assert play.stage() == "Подведение итогов"


def test_yes_asks_for_the_contract(driver: Driver, funnel: str) -> None:
    """R002-28."""
    play = on_contract(driver, funnel)
    play.fills(contract_needed=True)
    assert play.open() == [SEND]


def test_yes_that_becomes_no_moves_the_deal(driver: Driver) -> None:
    """R002-27: the answer counts whenever it is given on the stage; open work is withdrawn (AG-6)."""
    play = on_contract(driver, "Товары", contract_needed=True)
    play.fills(contract_needed=False)
    assert play.stage() == "Комплектация"
    assert play.states(SEND) == ["withdrawn"]


def test_the_date_is_asked_for_and_guarded(driver: Driver, funnel: str) -> None:
    """R002-29."""
    play = on_contract(driver, funnel, contract_needed=True)
    play.closes(SEND)
    assert play.open() == [DATE]
    with pytest.raises(BackofficeError, match="Дата получения обратной связи по Договору"):
        play.closes(DATE)
    play.fills(contract_feedback_at="2026-11-25T12:00")
    assert play.states(DATE) == ["done"]


def test_a_filled_date_is_the_term_of_the_feedback(driver: Driver, funnel: str) -> None:
    """R002-30: filled either way; the notice comes at the term, not before."""
    play = asked(driver, funnel)
    assert play.open() == [FIRST]
    assert play.due(FIRST) == datetime(2026, 11, 25, 12, 0, tzinfo=MOSCOW)
    play.until(datetime(2026, 11, 25, 11, 59, tzinfo=MOSCOW))
    assert play.told() == []
    play.until(datetime(2026, 11, 25, 12, 0, tzinfo=MOSCOW))
    assert "manager: Нет обратной связи по договору" in play.told()


def test_a_date_filled_before_is_not_asked_for(driver: Driver) -> None:
    """R002-30."""
    play = on_contract(driver, "Товары", contract_needed=True, contract_feedback_at="2026-11-25T12:00")
    assert play.open() == [SEND]
    play.closes(SEND)
    assert play.open() == [FIRST]


def test_a_changed_date_sets_a_new_task(driver: Driver, funnel: str) -> None:
    """R002-31, AG-7; the old aim never fires."""
    play = asked(driver, funnel)
    play.fills(contract_feedback_at="2026-11-26T12:00")
    assert play.open() == [AGAIN]
    assert play.states(FIRST) == ["replaced"]
    play.told()
    play.until(datetime(2026, 11, 26, 11, 59, tzinfo=MOSCOW))
    assert play.told() == []
    play.until(datetime(2026, 11, 26, 12, 0, tzinfo=MOSCOW))
    assert "manager: Нет обратной связи по договору" in play.told()


def test_a_date_changed_elsewhere_is_only_a_trace(driver: Driver) -> None:
    """R002-31: on stage «Договор»."""
    play = asked(driver)
    play.moves("Комплектация")
    play.fills(contract_feedback_at="2026-11-26T12:00")
    assert play.open() == []


@pytest.mark.parametrize("by_event", [False, True])
def test_signed_sets_the_mark(driver: Driver, by_event: bool) -> None:
    """R002-32: the mark is set by the result «подписан»; the deal is moved by hand."""
    play = asked(driver)
    title = FIRST
    if by_event:
        play.fills(contract_feedback_at="2026-11-26T12:00")
        title = AGAIN
    play.closes(title, outcome="signed")
    assert play.row().fields["contract_signed"] is True
    assert play.stage() == STAGE
    assert play.open() == []


def test_another_result_sets_no_mark(driver: Driver) -> None:
    """R002-32."""
    play = asked(driver)
    play.closes(FIRST, outcome="remarks")
    assert "contract_signed" not in play.row().fields


@pytest.mark.parametrize("till", ["needed", "send", "date", "feedback", "again"])
def test_dragged_away_and_back_at_each_step(driver: Driver, till: str) -> None:
    """AG-6."""
    play = on_contract(driver, "Товары", **({} if till == "needed" else {"contract_needed": True}))
    expected = {"needed": [NEEDED], "send": [SEND], "date": [DATE], "feedback": [FIRST], "again": [FIRST]}[till]
    if till in ("date", "feedback", "again"):
        play.closes(SEND)
    if till in ("feedback", "again"):
        play.fills(contract_feedback_at="2026-11-25T12:00")
    if till == "again":
        play.fills(contract_feedback_at="2026-11-26T12:00")
    play.moves("Комплектация")
    assert play.open() == []
    play.moves(STAGE)
    assert play.open() == expected


def test_a_later_round_withdrawn_by_leaving_is_asked_again(driver: Driver) -> None:
    """AG-6."""
    play = asked(driver)
    play.closes(FIRST, outcome="remarks")
    play.fills(contract_feedback_at="2026-11-26T12:00")
    assert play.open() == [AGAIN]
    play.moves("Комплектация")
    play.moves(STAGE)
    assert play.open() == [FIRST]


def test_an_answer_emptied_before_the_return_is_asked_for_again(driver: Driver) -> None:
    """R002-27: what closed the task itself holds no more."""
    play = on_contract(driver, "Товары")
    play.fills(contract_needed=True)
    play.moves("Счет/КП")
    play.fills(contract_needed=None)
    play.moves(STAGE)
    assert play.open() == [NEEDED]
    play.fills(contract_needed=True)
    assert play.open() == [SEND]


def test_an_answer_taken_back_at_once_is_waited_for(driver: Driver) -> None:
    """R002-27, R002-28: «да», emptied before the process saw it, «да» again."""
    play = on_contract(driver, "Товары")
    driver.fill(play.deal, contract_needed=True, settle=False)
    driver.fill(play.deal, contract_needed=None, settle=False)
    driver.settle()
    assert play.open() == []
    play.fills(contract_needed=True)
    assert play.open() == [SEND]


def test_a_slip_put_right_at_once_does_not_move_the_deal(driver: Driver) -> None:
    """R002-27: «нет» corrected to «да» before the move."""
    play = on_contract(driver, "Товары")
    driver.fill(play.deal, contract_needed=False, settle=False)
    driver.relay()
    driver.fill(play.deal, contract_needed=True, settle=False)
    driver.settle()
    assert play.stage() == STAGE
    assert play.open() == [SEND]
