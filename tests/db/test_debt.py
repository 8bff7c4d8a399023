"""What a deal owes: kept with every change, told when paid too much, checked every night (R002-74, A2-34, A2-20)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from include.deals.services import nightly_check
from include.process.rules import at_least
from include.shared.work import transaction
from tests.db.driver import QUOTE, Driver, at_once, on_stage, task

pytestmark = pytest.mark.db
SUMS = st.one_of(st.none(), st.decimals(0, 1000, places=2))


def owed(driver: Driver, deal: int) -> tuple[str, str]:
    row = driver.deal_row(deal)
    return f"{row.debt:.2f}", f"{row.overpaid:.2f}"


def audited(driver: Driver, deal: int) -> list[tuple[str, str | None]]:
    asked = "SELECT text, reason FROM audit WHERE action = 'deal.debt_changed' AND entity_id = :deal ORDER BY id"
    rows = driver.read(lambda session: session.execute(text(asked), {"deal": deal}).all())
    return [(row.text.replace("\u00a0", " "), row.reason) for row in rows]


def by_hand(deal: int, **columns: Any) -> None:
    """SQL by hand or a bulk import: sums change, and nobody recalculates."""
    with transaction() as work:
        for name, value in columns.items():
            said = {"amount": "UPDATE deal SET amount = :value WHERE id = :deal",
                    "paid": "UPDATE deal SET paid = :value WHERE id = :deal",
                    "debt": "UPDATE deal SET debt = :value WHERE id = :deal"}[name]  # fmt: skip
            work.session.execute(text(said), {"value": value, "deal": deal})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(["amount", "paid"]), SUMS), min_size=1, max_size=6))
def test_debt_follows_every_change_of_either_sum(driver: Driver, changes: list[tuple[str, Decimal | None]]) -> None:
    """R002-74: debt = «Сумма сделки» − «Сумма оплаты»; A2-34: below zero it is 0, and the rest is «переплата»."""
    deal = driver.deal()
    sums = {"amount": Decimal(0), "paid": Decimal(0)}
    for name, value in changes:
        driver.fill(deal, settle=False, **{name: None if value is None else str(value)})
        sums[name] = value or Decimal(0)
        left = sums["amount"] - sums["paid"]
        row = driver.deal_row(deal)
        assert (row.debt, row.overpaid) == (max(left, Decimal(0)), max(-left, Decimal(0)))
        assert not (row.debt and row.overpaid)
    driver.settle()


def test_a_deal_is_made_with_its_debt(driver: Driver) -> None:
    """R002-74: the sums that a deal is made with count, too."""
    assert owed(driver, driver.deal()) == ("0.00", "0.00")
    assert owed(driver, driver.deal(fields={"amount": "100", "paid": "30"})) == ("70.00", "0.00")


def test_the_history_says_how_the_debt_changed(driver: Driver) -> None:
    deal = driver.deal(fields={"amount": "100"})
    driver.fill(deal, paid="100")
    driver.fill(deal, title="Другое название")
    driver.fill(deal, paid="130")
    assert audited(driver, deal) == [
        ("Долг: 0,00 ₽ → 100,00 ₽", None),
        ("Долг: 100,00 ₽ → 0,00 ₽", None),
        ("Переплата: 0,00 ₽ → 30,00 ₽", None),
    ]


def test_an_overpayment_is_told_to_the_accountant_once_per_value(driver: Driver) -> None:
    """R002-43, A2-20: paid more than the sum – the accountant sees it; the same overpayment is not told twice."""
    deal = driver.deal(fields={"amount": "100", "paid": "90"})
    assert driver.told("Переплата") == []
    driver.fill(deal, paid="130")
    assert driver.told("Переплата 30,00\u00a0₽ по сделке") == ["accountant"]
    driver.fill(deal, paid="100")
    driver.fill(deal, paid="130")
    assert driver.told("Переплата") == ["accountant"]
    driver.fill(deal, paid="150")
    assert driver.told("Переплата") == ["accountant", "accountant"]
    driver.fill(deal, paid="140")
    assert driver.told("Переплата") == ["accountant", "accountant"], "стало меньше – это не новость"


def test_a_planted_drift_is_repaired_with_its_trace(driver: Driver) -> None:
    """R002-74: the nightly check finds what was changed past the services, and only that."""
    process = on_stage(QUOTE, {"pay": task("Получить расчёт", guard=at_least("paid", "amount"), closes_itself=True)})
    drifted, sound = driver.deal(process, fields={"amount": "100"}), driver.deal(fields={"amount": "50"})
    driver.move(drifted, QUOTE)
    by_hand(drifted, paid=Decimal(120))
    before = len(audited(driver, sound))
    checked = nightly_check()
    driver.settle()
    assert owed(driver, drifted) == ("0.00", "20.00")
    assert audited(driver, drifted)[-1] == (
        "Долг: 100,00 ₽ → 0,00 ₽; Переплата: 0,00 ₽ → 20,00 ₽", "Ночная сверка долга",
    )  # fmt: skip
    assert len(audited(driver, sound)) == before
    assert (checked.mended, checked.overpaid) == (1, 1)
    assert driver.told("Переплата 20,00") == ["accountant"]
    assert [one.state for one in driver.tasks()] == ["done"], "кто ждал оплаты, посмотрел заново"
    assert nightly_check().text == "Ночная сверка долга: расхождений нет."


@pytest.mark.parametrize("columns", [{"debt": Decimal(7)}, {"amount": None}, {"amount": Decimal(300)}])
def test_every_kind_of_drift_is_found(driver: Driver, columns: dict[str, Any]) -> None:
    deal = driver.deal(fields={"amount": "100", "paid": "40"})
    by_hand(deal, **columns)
    assert nightly_check().mended == 1
    row = driver.deal_row(deal)
    left = (row.amount or Decimal(0)) - row.paid
    assert (row.debt, row.overpaid) == (max(left, Decimal(0)), max(-left, Decimal(0)))


def test_two_checks_and_people_at_work_repair_each_deal_once(driver: Driver) -> None:
    """The night is not empty: a person fills a sum while two checks run."""
    deals = [driver.deal(fields={"amount": "100"}) for _ in range(6)]
    for one in deals:
        by_hand(one, paid=Decimal(10))

    def act(number: int) -> Any:
        return nightly_check() if number < 2 else driver.fill(deals[number], settle=False, paid="20")

    at_once(6, act)
    for number, one in enumerate(deals):
        assert owed(driver, one) == (("80.00" if number > 1 else "90.00"), "0.00")
        said = [reason for _, reason in audited(driver, one)]
        assert said.count("Ночная сверка долга") <= 1, "исправленное другой сверкой не исправляют второй раз"
    driver.settle()
