"""«Согласование договора»: R002-61…R002-67, ★40."""

from __future__ import annotations

import pytest

from include.shared import settings
from include.shared.errors import BackofficeError, Conflict, Forbidden, InvalidInput
from include.shared.work import transaction
from include.staff import admin
from tests.db.driver import Driver
from tests.rehearsals.play import Play, at

pytestmark = pytest.mark.db
PROCESS, STAGE = "contract_approval", "Договор"
DRAFT, FIX = "Оформить нестандартный договор", "Устранить замечания к проекту договора"


@pytest.fixture
def play(driver: Driver) -> Play:
    made = Play(driver, fields={"contract_needed": True})
    made.moves(STAGE)
    made.told()
    return made


def drafted(play: Play, by: str = "manager") -> Play:
    play.presses(PROCESS, by)
    play.uploads("договор.txt", "Договор № 1".encode())
    play.closes(DRAFT)
    return play


def test_only_on_the_stage(driver: Driver) -> None:
    """R002-61: by button on a deal on stage «Договор»."""
    play = Play(driver)
    with pytest.raises(Conflict, match="на стадии «Договор»"):
        play.presses(PROCESS)


def test_a_stranger_may_not_start_it(play: Play) -> None:
    """R002-61: whoever may change the deal."""
    with pytest.raises(BackofficeError):
        play.presses(PROCESS, by="engineer")


def test_pressed_twice_it_runs_once(play: Play) -> None:
    """R002-61."""
    play.presses(PROCESS)
    with pytest.raises(Conflict, match="уже идёт"):
        play.presses(PROCESS)
    assert play.open().count(DRAFT) == 1


def test_the_draft_needs_its_file(play: Play) -> None:
    """R002-62, R002-63: «если файл не загружен, то задачу нельзя закрыть»; the head leads the task."""
    play.presses(PROCESS)
    assert play.task(DRAFT).executor_id == play.driver.company["manager"]
    assert play.task(DRAFT).creator_id == play.driver.company["boss"]
    with pytest.raises(BackofficeError, match="Проект договора"):
        play.closes(DRAFT)
    play.uploads("договор.txt", "Договор № 1".encode())
    play.closes(DRAFT)
    assert play.states(DRAFT) == ["done"]


def test_a_setting_gives_the_draft_to_a_lawyer(play: Play) -> None:
    """R002-63 (setting: lawyer)."""
    with transaction() as work:
        settings.change(work, "contract_draft_role", "accountant")
    try:
        play.presses(PROCESS)
        assert play.task(DRAFT).executor_id == play.driver.company["accountant"]
    finally:
        with transaction() as work:
            settings.change(work, "contract_draft_role", "")


def test_the_head_approves_while_nobody_holds_the_role(play: Play) -> None:
    """R002-62, R002-64, R002-67: default = head of resp; approved → the initiator is told."""
    drafted(play)
    assert play.seats() == [(1, "asked")]
    play.told()
    play.decides("approve")
    assert play.approval().state == "approved"
    assert play.told() == ["manager: Согласовано"]


def test_the_holder_of_the_role_approves(play: Play) -> None:
    """R002-62: role «Утверждающий договор»; then the head may not."""
    with transaction() as work:
        admin.give_role(work, "contract_approver", play.driver.company["accountant"])
    try:
        drafted(play)
        with pytest.raises(BackofficeError):
            play.decides("approve", by="boss")
        play.decides("approve", by="accountant")
        assert play.approval().state == "approved"
    finally:
        with transaction() as work:
            admin.take_role(work, "contract_approver", play.driver.company["accountant"])


@pytest.mark.parametrize("remark", ["", "   ", "\n"])
def test_a_refusal_needs_its_reason(play: Play, remark: str) -> None:
    """R002-65: the form cannot be sent empty, on the server."""
    drafted(play)
    with pytest.raises(InvalidInput):
        play.decides("reject", remark)
    assert play.seats() == [(1, "asked")]


def test_remarks_go_round_any_number_of_times(play: Play) -> None:
    """R002-65, R002-66: the reason stands in the task's description; the round is counted; the same approver again."""
    drafted(play)
    for circle in (1, 2, 3):
        play.decides("reject", f"замечание {circle}")
        assert play.approval().state == "rework"
        task = play.task(FIX)
        assert task.executor_id == play.driver.company["manager"]
        assert f"замечание {circle}" in task.description
        play.uploads("договор.txt", f"Договор № {circle + 1}".encode())
        play.closes(FIX)
        assert play.approval().round == circle + 1
        assert play.seats()[-1] == (circle + 1, "asked")
    play.decides("approve")
    assert play.approval().state == "approved"
    assert play.open() == ["Сформировать и отправить Договор"]


def test_a_file_replaced_after_the_approval_voids_it(play: Play) -> None:
    """★40: and says so to the initiator."""
    drafted(play)
    play.decides("approve")
    play.told()
    play.uploads("договор.txt", "Совсем другой договор".encode())
    assert play.approval().voided_at is not None
    assert any(one.startswith("manager") for one in play.told())


def test_nobody_approves_his_own(play: Play) -> None:
    """Self-approval ban: the head who started it is not asked, the next one above is."""
    play.presses(PROCESS, by="boss")
    play.uploads("договор.txt", "Договор № 1".encode())
    play.closes(DRAFT)
    with pytest.raises(Forbidden):
        play.decides("approve", by="boss")
    play.decides("approve", by="director")
    assert play.approval().state == "approved"


def test_an_answer_in_time_is_asked_for_after_the_term(play: Play) -> None:
    """AG-4: overdue → the approver again and his head."""
    drafted(play)
    play.told()
    play.until(at(days=2))
    told = play.told()
    assert "boss: Ждёт вашего решения" in told
    assert any(one.startswith("director: Просрочено решение") for one in told)


@pytest.mark.parametrize("till", ["draft", "agree", "rework"])
def test_dragged_away_at_each_step(play: Play, till: str) -> None:
    """AG-6: what is asked is withdrawn; back on the stage it may be started anew."""
    play.presses(PROCESS)
    if till != "draft":
        play.uploads("договор.txt", "Договор № 1".encode())
        play.closes(DRAFT)
    if till == "rework":
        play.decides("reject", "не так")
    play.moves("Комплектация")
    assert play.open() == []
    if till != "draft":
        assert play.approval().state == "withdrawn"
    play.moves(STAGE)
    play.presses(PROCESS)
    assert DRAFT in play.open()


@pytest.mark.parametrize("till", ["draft", "agree", "rework"])
def test_a_lost_deal_takes_everything_back(play: Play, till: str) -> None:
    """AG-6: a lost deal cancels everything, the approval and its remarks included."""
    play.presses(PROCESS)
    if till != "draft":
        play.uploads("договор.txt", "Договор № 1".encode())
        play.closes(DRAFT)
    if till == "rework":
        play.decides("reject", "не так")
    play.moves("Сделка проиграна")
    assert play.open() == []
    if till != "draft":
        assert play.approval().state == "withdrawn"
        with pytest.raises(Conflict):
            play.decides("approve")


def test_the_new_responsible_puts_the_remarks_right(play: Play) -> None:
    """AG-4, R002-65: to the deal's responsible, whoever that is."""
    drafted(play)
    play.decides("reject", "не так")
    play.driver.give_to(play.deal, "engineer")
    assert play.task(FIX).executor_id == play.driver.company["engineer"]


def test_the_draft_follows_the_responsible(play: Play) -> None:
    """AG-4, R002-63: the setting names nobody, so it is the responsible's work, whoever that is."""
    play.presses(PROCESS)
    play.driver.give_to(play.deal, "engineer")
    assert play.task(DRAFT).executor_id == play.driver.company["engineer"]


def test_a_new_responsible_brings_a_new_head_to_decide(play: Play) -> None:
    """R002-62, AG-4: resolved at the moment of decision."""
    drafted(play)
    play.told()
    play.driver.give_to(play.deal, "engineer")
    assert "chief: Ждёт вашего решения" in play.told()
    with pytest.raises(BackofficeError):
        play.decides("approve", by="boss")
    play.decides("approve", by="chief")
    assert play.approval().state == "approved"
