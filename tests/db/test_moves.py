"""Conditions of a move: what warns, what forbids, and for whom (R002-32, R002-60)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from include.deals import services as deals
from include.deals.models import Stage
from include.deals.moves import CONTRACT_SIGNED_BLOCKS, TASKS_NAMED, Unmet, unmet_by_stage, unmet_for_move
from include.shared import settings
from include.shared.errors import GuardRefused
from include.shared.work import reading, transaction
from include.tasks import core
from include.tasks.models import Task
from include.workplace import moves
from tests.db.driver import QUOTE, Driver

pytestmark = pytest.mark.db
CONTRACT, PICKING, WON, LOST = "Договор", "Комплектация", "Сделка успешна", "Сделка проиграна"
UNSIGNED = "Договор не подписан"


def missed(driver: Driver, deal: int, stage: str) -> list[Unmet]:
    row = driver.deal_row(deal)
    return driver.read(
        lambda session: unmet_for_move(
            session, row, session.query(Stage).filter_by(funnel_code=row.funnel_code, title=stage).one()
        )
    )


def on_contract(driver: Driver, **fields: object) -> int:
    deal = driver.deal()
    driver.move(deal, CONTRACT)
    driver.fill(deal, **fields)
    return deal


@pytest.fixture
def blocking(driver: Driver):
    with driver.acting("admin") as work:
        settings.change(work, CONTRACT_SIGNED_BLOCKS, True)
    yield
    with driver.acting("admin") as work:
        settings.change(work, CONTRACT_SIGNED_BLOCKS, False)


@pytest.mark.parametrize(
    ("needed", "signed", "target", "warned"),
    [
        (True, None, PICKING, True), (True, False, WON, True), (True, True, PICKING, False),
        (False, None, PICKING, False), (None, None, PICKING, False),
        (True, None, LOST, False), (True, None, QUOTE, False),
    ],
)  # fmt: skip
def test_leaving_the_contract_stage_forward_unsigned_is_warned_of(
    driver: Driver, needed: bool | None, signed: bool | None, target: str, warned: bool
) -> None:
    """R002-32: only a needed contract, only forward; losing the deal or going back asks nothing."""
    deal = on_contract(driver, contract_needed=needed, contract_signed=signed)
    found = [one for one in missed(driver, deal, target) if one.text == UNSIGNED]
    assert [one.kind for one in found] == (["warn"] if warned else [])
    if found:
        assert found[0].link == f"/backoffice/deals/{deal}#field-contract_signed"


def test_from_another_stage_an_unsigned_contract_is_nobodys_business(driver: Driver) -> None:
    deal = driver.deal()
    driver.fill(deal, contract_needed=True)
    assert missed(driver, deal, PICKING) == []


def test_a_deal_that_was_on_the_contract_stage_does_not_pass_it_by_going_back(driver: Driver, blocking: None) -> None:
    """R002-32: the way over an earlier stage is no way round; moves short of «Договор» and onto it stay free."""
    deal = on_contract(driver, contract_needed=True)
    driver.move(deal, QUOTE)
    assert [one.kind for one in missed(driver, deal, PICKING)] == ["block"]
    assert [one.text for one in missed(driver, deal, WON)] == [UNSIGNED]
    assert missed(driver, deal, LOST) == missed(driver, deal, CONTRACT) == []
    with pytest.raises(GuardRefused, match=UNSIGNED):
        driver.move(deal, PICKING)
    driver.fill(deal, contract_signed=True)
    driver.move(deal, PICKING)


def test_a_deal_that_once_passed_the_contract_stage_goes_on_freely(driver: Driver) -> None:
    """R002-32: what lies behind «Договор» is not asked about it; going back and forward again is."""
    deal = on_contract(driver, contract_needed=True)
    driver.move(deal, PICKING)
    assert missed(driver, deal, WON) == []
    driver.move(deal, QUOTE)
    assert [one.kind for one in missed(driver, deal, PICKING)] == ["warn"]


def test_the_moves_of_a_deal_cost_the_same_reads_whatever_their_number(driver: Driver) -> None:
    """The visit of «Договор» is one read for all stages, not one for each."""
    deal = on_contract(driver, contract_needed=True, contract_signed=True)
    driver.move(deal, QUOTE)
    row = driver.deal_row(deal)
    with reading() as session:
        stages = session.query(Stage).filter_by(funnel_code=row.funnel_code).all()
        behind = [one for one in stages if one.title == PICKING]
        reads = [_reads(session, lambda: unmet_by_stage(session, row, some)) for some in (behind, stages)]  # noqa: B023
    assert reads[0] == reads[1]


def _reads(session: Session, ask: Callable[[], object]) -> int:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        seen.append(statement)

    bind = session.get_bind()
    event.listen(bind, "before_cursor_execute", note)
    ask()
    event.remove(bind, "before_cursor_execute", note)
    return len(seen)


def test_a_warning_never_stops_the_move(driver: Driver) -> None:
    """R002-32: the switch is off by default."""
    deal = on_contract(driver, contract_needed=True)
    driver.move(deal, PICKING)
    assert driver.read(lambda session: session.get_one(Stage, driver.deal_row(deal).stage_id).title) == PICKING


@pytest.mark.parametrize("by", ["manager", "admin", None], ids=["manager", "admin", "robot"])
def test_with_the_switch_on_nobody_passes_unsigned(driver: Driver, blocking: None, by: str | None) -> None:
    """R002-32: a guard holds for everybody, administrators and robots too; signing opens the way."""
    deal = on_contract(driver, contract_needed=True)
    with pytest.raises(GuardRefused, match="Сделку нельзя перевести на «Комплектация»: Договор не подписан") as refused:
        driver.move(deal, PICKING, by=by)
    assert [one.text for one in refused.value.missing] == [UNSIGNED]
    assert driver.read(lambda session: session.get_one(Stage, driver.deal_row(deal).stage_id).title) == CONTRACT
    driver.fill(deal, contract_signed=True)
    driver.move(deal, PICKING, by=by)


def test_the_switch_forbids_neither_losing_nor_going_back(driver: Driver, blocking: None) -> None:
    for target in (LOST, QUOTE):
        driver.move(on_contract(driver, contract_needed=True), target)


def test_winning_with_a_debt_or_open_work_is_warned_of(driver: Driver) -> None:
    """R002-60: the debt with its sum, each open task by name with its link, never more than a screen of them."""
    deal = driver.deal()
    driver.fill(deal, amount="1 000,50", paid="400")
    row = driver.deal_row(deal)
    with driver.acting("manager") as work:
        for number in range(TASKS_NAMED + 2):
            core.give(work, Task(
                key=f"moves/{deal}/{number}", case_id=row.case_id, step="x", topic=f"тема {number}", state="open",
                title=f"Дело {number}", addressed_to="responsible", executor_id=driver.company["manager"],
                created_at=work.now, result_fields={"fields": []},
            ))  # fmt: skip
    said = [one.text for one in missed(driver, deal, WON)]
    assert said[0] == "Есть долг: 600,50\u00a0₽"
    assert said[1] == "Не закрыта задача «Дело 0»"
    assert said[-1] == "Не закрыто ещё задач: 2"
    assert len(said) == 1 + TASKS_NAMED + 1
    assert all(one.link and one.kind == "warn" for one in missed(driver, deal, WON))
    assert missed(driver, deal, LOST) == []
    assert missed(driver, deal, QUOTE) == []


@pytest.mark.parametrize(("amount", "paid", "owes"), [("100", "100", False), ("100", "150", False), (None, "0", False)])
def test_without_a_debt_nothing_is_said(driver: Driver, amount: str | None, paid: str, owes: bool) -> None:
    deal = driver.deal()
    driver.fill(deal, amount=amount, paid=paid)
    assert any("долг" in one.text for one in missed(driver, deal, WON)) is owes


def test_moves_name_every_other_stage_and_the_right(driver: Driver, blocking: None) -> None:
    deal = on_contract(driver, contract_needed=True, amount="5")
    seen = driver.read(lambda session: moves.moves_of(session, driver.company.viewer("manager"), deal))
    found = {one.stage.title: one for one in seen}
    assert CONTRACT not in found
    assert len(found) == 8
    assert [one.text for one in found[PICKING].blocks] == [UNSIGNED]
    assert found[PICKING].warnings == []
    assert [one.text for one in found[WON].warnings] == ["Есть долг: 5,00\u00a0₽"]
    assert (found[WON].closes, found[PICKING].closes) == (True, False)
    assert all(one.may for one in seen)
    accountant = driver.read(lambda session: moves.moves_of(session, driver.company.viewer("accountant"), deal))
    assert not any(one.may for one in accountant)


def test_warnings_of_a_deal_that_may_not_be_seen_stay_untold(driver: Driver) -> None:
    deal = on_contract(driver, contract_needed=True)
    for login, told in (("manager", [UNSIGNED]), ("engineer", [])):
        seen = driver.read(lambda s, who=login: moves.warnings_of(s, driver.company.viewer(who), deal, "picking"))
        assert [one.text for one in seen] == told


def test_a_refused_move_leaves_no_trace(driver: Driver, blocking: None) -> None:
    deal = on_contract(driver, contract_needed=True)
    count = text("SELECT count(*) FROM audit")
    before = driver.read(lambda session: session.scalar(count))
    with pytest.raises(GuardRefused), transaction(driver.company.viewer("manager").actor) as work:
        deals.move_stage(work, deal, PICKING)
    assert driver.read(lambda session: session.scalar(count)) == before
