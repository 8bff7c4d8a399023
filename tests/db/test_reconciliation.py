"""The reconciliation on PostgreSQL: each rule opens its row, keeps its age and closes it when it agrees (★70)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from include.deals.rights import ACCOUNTANT
from include.documents import storage
from include.money import allocation, invoices
from include.money.allocation import Part
from include.reconciliation import services
from include.reconciliation.models import Discrepancy
from include.reconciliation.rules import KINDS, next_step, sentence, step_link
from include.shared import settings
from include.shared.work import transaction
from tests.db.banking import OTHER_INN, OURS, client, deal_for, invoice, own_accounts, paying, payments, statement, take
from tests.db.driver import Driver
from tests.db.memory import Memory

pytestmark = pytest.mark.db
EMPTIED = (
    "discrepancy, payment_allocation, payment, statement_account, bank_statement, invoice, one_c_document,"
    " order_export, order_batch"
)


@pytest.fixture(autouse=True)
def clean(driver: Driver) -> Iterator[None]:
    driver.check = False
    storage.use(Memory())
    with transaction() as work:
        work.session.execute(text(f"TRUNCATE {EMPTIED} RESTART IDENTITY CASCADE"))
        work.session.execute(text("UPDATE deal SET paid = 0, amount = NULL, debt = 0, overpaid = 0"))
    own_accounts(OURS)
    yield
    storage.use(None)


def found(driver: Driver, kind: str | None = None, *, closed: bool = False) -> list[Discrepancy]:
    wanted = "closed_at IS NOT NULL" if closed else "closed_at IS NULL"
    rows = driver.read(lambda session: session.query(Discrepancy).filter(text(wanted)).order_by(Discrepancy.id).all())
    return [one for one in rows if kind is None or one.kind == kind]


def kinds(driver: Driver) -> list[str]:
    return sorted(one.kind for one in found(driver))


def said(one: Discrepancy) -> str:
    return sentence(one.kind, one.details).replace("\u00a0", " ")


def change(sql: str, **values: Any) -> None:
    with transaction() as work:
        work.session.execute(text(sql), values)


def document(
    deal_or_invoice: str, *, kind: str = "invoice", number: str = "УТ-77", amount: Any = 1000, **more: Any
) -> None:
    """A document of 1C with this Ид."""
    values = {
        "external_id": deal_or_invoice, "kind": kind, "number": number, "number_key": number, "date": "2026-11-20",
        "amount": amount, "currency": "руб", "changed_at": "2026-11-20T09:00:00+03:00", **more,
    }  # fmt: skip
    columns, marks = ", ".join(values), ", ".join(f":{one}" for one in values)
    change(f"INSERT INTO one_c_document ({columns}) VALUES ({marks})", **values)


def order(deal: int, state: str = "written", sent_at: str = "2026-11-18T09:00:00+03:00") -> None:
    change(
        "INSERT INTO order_export (deal_id, version, state, external_id, number, number_key, ordered_at, content,"
        " sha256, amount, queued_at, sent_at)"
        " VALUES (:deal, 1, :state, :key, 'СД-1', 'СД-1', :at, '{}', 'x', 1000, :at, :at)",
        deal=deal, state=state, key=f"order-{deal}", at=sent_at,
    )  # fmt: skip


def test_nothing_disagrees_and_says_so(driver: Driver) -> None:
    made = services.run()
    assert (made.opened, made.closed, made.open) == (0, 0, 0)
    assert made.text == "Сверка: расхождений нет."


def test_a_sum_that_no_payment_confirms_is_opened_kept_and_closed(driver: Driver) -> None:
    deal = deal_for(driver)
    driver.fill(deal, paid=700, by="accountant")
    assert services.run().opened == 1
    (one,) = found(driver)
    assert (one.kind, one.deal_id) == ("paid_differs", deal)
    assert said(one) == "В сделке оплачено 700,00 ₽, платежами подтверждено 0,00 ₽."
    first, identity = one.found_at, one.id
    driver.later(days=2)
    driver.fill(deal, paid=800, by="accountant")
    again = services.run()
    assert (again.opened, again.closed, again.open) == (0, 0, 1)
    (one,) = found(driver)
    assert (one.id, one.found_at) == (identity, first)
    assert one.seen_at - one.found_at == timedelta(days=2)
    assert "800,00" in said(one)
    driver.fill(deal, paid=0, by="accountant")
    assert services.run().closed == 1
    assert found(driver) == []
    driver.fill(deal, paid=700, by="accountant")
    assert services.run().opened == 1
    (one,) = found(driver)
    assert one.id != identity
    assert [row.id for row in found(driver, closed=True)] == [identity]


def test_invoices_that_do_not_make_the_deals_sum(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    of = invoice(driver, deal, 900)
    services.run()
    (one,) = found(driver, "invoices_differ")
    assert one.owner_id == driver.deal_row(deal).responsible_id
    with driver.acting("accountant") as work:
        invoices.cancel(work, of.id, "лишний")
    services.run()
    assert found(driver) == []


def test_an_invoice_that_is_overpaid(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    of = invoice(driver, deal, 1000)
    take(driver, statement(paying(1500, "аванс")))
    (payment,) = payments(driver)
    with driver.acting("accountant") as work:
        allocation.allocate(work, payment.id, [Part(deal, Decimal(1500), of.id)], how="manual")
    services.run()
    (one,) = found(driver)
    assert (one.kind, one.invoice_id) == ("invoice_overpaid", of.id)
    with driver.acting("accountant") as work:
        allocation.unmatch(work, payment.id, "не туда")
    services.run()
    assert found(driver, "invoice_overpaid") == []


def test_an_invoice_without_a_deal_waits_for_one(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    of = invoice(driver, deal, 1000)
    change("UPDATE invoice SET deal_id = NULL WHERE id = :id", id=of.id)
    services.run()
    assert kinds(driver) == ["invoice_without_deal"]
    with driver.acting("accountant") as work:
        invoices.attach(work, of.id, deal)
    services.run()
    assert found(driver) == []


def test_a_payment_waits_some_days_before_it_is_a_disagreement(driver: Driver) -> None:
    take(driver, statement(paying(5, "непонятно что")))
    services.run()
    assert found(driver) == []
    driver.at("2026-11-24 09:00")
    services.run()
    assert kinds(driver) == ["payment_waits"]
    (payment,) = payments(driver)
    with driver.acting("accountant") as work:
        allocation.ignore(work, payment.id, "кредит")
    services.run()
    assert found(driver) == []


def test_the_number_of_days_is_a_setting(driver: Driver) -> None:
    with transaction() as work:
        settings.declare(work, services.PAYMENT_DAYS, "Дней", "number", 10)
    driver.at("2026-11-25 09:00")
    take(driver, statement(paying(6, "непонятно что")))
    services.run()
    assert found(driver) == []
    change("DELETE FROM setting WHERE code = :code", code=services.PAYMENT_DAYS)
    services.run()
    assert kinds(driver) == ["payment_waits"]


def test_however_many_payments_wait_the_list_stays_short_and_stable(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.at("2026-12-01 09:00")
    monkeypatch.setattr(services, "MOST_PAYMENTS", 3)
    take(driver, statement(*(paying(10 + one, f"непонятно {one}", number=str(one)) for one in range(8))))
    assert services.run().opened == 3
    listed = {one.payment_id for one in found(driver)}
    assert services.run().opened == 0
    assert {one.payment_id for one in found(driver)} == listed


def test_a_lost_deal_with_our_money(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    of = invoice(driver, deal, 1000)
    take(driver, statement(paying(1000, f"Оплата по счёту № {of.number}")))
    change(
        "UPDATE deal SET stage_id = (SELECT id FROM stage WHERE kind = 'lost' AND funnel_code = deal.funnel_code"
        " LIMIT 1) WHERE id = :id", id=deal,
    )  # fmt: skip
    services.run()
    (one,) = found(driver)
    assert (one.kind, one.owner_id) == ("lost_but_paid", driver.deal_row(deal).responsible_id)


def test_a_missing_day_between_two_statements(driver: Driver) -> None:
    take(driver, statement(paying(1, "первый")))
    later = statement(paying(2, "третий", number="77"), opening=500)
    take(driver, later.replace(b"20.11.2026", b"25.11.2026").replace(b"21.11.2026", b"26.11.2026"))
    services.run()
    (one,) = found(driver, "statement_gap")
    assert said(one) == f"Счёт {OURS}: на 21.11.2026 остаток был 101,00 ₽, а с 25.11.2026 он 500,00 ₽."
    between = statement(paying(399, "второй", number="78"), opening=101)
    take(driver, between.replace(b"20.11.2026", b"22.11.2026").replace(b"21.11.2026", b"24.11.2026"))
    services.run()
    assert found(driver, "statement_gap") == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, []), ({"amount": 900}, ["invoice_differs_in_one_c"]), ({"is_deleted": True}, ["invoice_ended_in_one_c"]),
        ({"is_cancelled": True, "amount": 5}, ["invoice_ended_in_one_c"]),
        ({"is_paid": True, "paid_at": "2026-11-20T09:00:00+03:00"}, ["paid_in_one_c_only"]),
        ({"paid_amount": 400}, ["paid_in_one_c_only"]), ({"is_shipped": True}, ["shipped_unpaid"]),
        ({"amount": None}, []),
    ],
)  # fmt: skip
def test_what_one_c_says_of_an_invoice(driver: Driver, more: dict[str, Any], expected: list[str]) -> None:
    driver.at("2026-11-28 09:00")
    deal = deal_for(driver, 1000)
    of = invoice(driver, deal, 1000)
    document("of-one-c", number=of.number, **{"company_id": driver.deal_row(deal).company_id, **more})
    change("UPDATE one_c_document SET number_key = :key", key=of.number_key)
    services.run()
    assert kinds(driver) == expected
    change("UPDATE invoice SET external_id = 'of-one-c', number_key = 'другой'")
    services.run()
    assert kinds(driver) == expected
    change("DELETE FROM one_c_document")
    services.run()
    assert found(driver) == []


def test_a_document_of_another_client_with_the_same_number_is_not_ours(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    of = invoice(driver, deal, 1000)
    document("foreign", number=of.number, amount=5, company_id=client(OTHER_INN))
    change("UPDATE one_c_document SET number_key = :key", key=of.number_key)
    services.run()
    assert found(driver) == []


def test_paid_in_one_c_agrees_when_the_statement_comes(driver: Driver) -> None:
    driver.at("2026-11-28 09:00")
    deal = deal_for(driver, 1000)
    of = invoice(driver, deal, 1000)
    change("UPDATE invoice SET external_id = 'paid' WHERE id = :id", id=of.id)
    document("paid", is_paid=True)
    services.run()
    (one,) = found(driver)
    assert said(one) == "Документ № УТ-77 на 1 000,00 ₽ в 1С оплачен, платежей у нас на 0,00 ₽."
    take(driver, statement(paying(1000, f"Оплата по счёту № {of.number}")))
    assert services.run().closed == 1
    assert found(driver) == []


def test_an_order_that_one_c_does_not_answer_and_what_it_ships(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    order(deal, "waiting")
    services.run()
    assert found(driver) == []
    change("UPDATE order_export SET state = 'written'")
    services.run()
    (one,) = found(driver)
    assert said(one) == "Заказ № СД-1 отправлен 18.11.2026 и не подтверждён обменом."
    change("UPDATE order_export SET state = 'confirmed'")
    document(f"order-{deal}", kind="order")
    document("shipment", kind="shipment", parent_external_id=f"order-{deal}", number="РН-5")
    services.run()
    (one,) = found(driver)
    assert (one.kind, one.deal_id) == ("shipped_unpaid", deal)
    change("UPDATE one_c_document SET is_deleted = true WHERE kind = 'shipment'")
    services.run()
    assert found(driver) == []


def told(driver: Driver) -> list[int]:
    wanted = "SELECT person_id FROM notice WHERE text LIKE 'Сверка: новых расхождений – 2.%' ORDER BY id"
    return list(driver.read(lambda session: session.scalars(text(wanted)).all()))


def test_owners_are_told_once_of_all_that_is_new(driver: Driver) -> None:
    for amount in (100, 200):
        driver.fill(deal_for(driver, 1000), paid=amount, by="accountant")
    assert services.run().told == 1
    assert told(driver) == [driver.company["accountant"]]
    assert services.run().told == 0
    assert told(driver) == [driver.company["accountant"]]


def test_without_an_accountant_the_row_is_nobodys_until_there_is_one(driver: Driver) -> None:
    accountant = driver.company["accountant"]
    driver.fill(deal_for(driver, 1000), paid=1, by="accountant")
    invoice(driver, deal_for(driver, 2000), 2000)
    change("UPDATE invoice SET deal_id = NULL")
    change("DELETE FROM role_holder WHERE role_code = :role", role=ACCOUNTANT)
    assert services.run().told == 0
    assert {one.owner_id for one in found(driver)} == {None}
    change("INSERT INTO role_holder VALUES (:role, :id)", role=ACCOUNTANT, id=accountant)
    assert services.run().told == 1
    assert {one.owner_id for one in found(driver)} == {accountant}


def test_two_runs_at_once_make_one_row(driver: Driver) -> None:
    driver.fill(deal_for(driver, 1000), paid=5, by="accountant")
    barrier = threading.Barrier(3)

    def run() -> int:
        barrier.wait(10)
        return services.run().opened

    with ThreadPoolExecutor(3) as pool:
        made = [pool.submit(run) for _ in range(3)]
        assert sorted(one.result(60) for one in made) == [0, 0, 1]
    assert len(found(driver)) == 1


def test_every_rule_has_its_words() -> None:
    named = set(services.RULES)
    assert named == set(KINDS)
    for kind in KINDS:
        assert sentence(kind, {}).count("—") >= 1, kind
        assert next_step(kind, {"date": "2026-11-20"})
        link = step_link(kind, deal_id=1, invoice_id=2, payment_id=3, details={"statement_id": 4})
        assert link.startswith("/backoffice/")


def test_a_broken_run_leaves_everything_as_it_was(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.fill(deal_for(driver, 1000), paid=5, by="accountant")
    services.run()
    before = [(one.id, one.seen_at) for one in found(driver)]
    driver.later(days=1)
    original: Callable[..., int] = services._tell

    def broken(*_: Any) -> int:
        raise RuntimeError

    monkeypatch.setattr(services, "_tell", broken)
    with pytest.raises(RuntimeError):
        services.run()
    assert [(one.id, one.seen_at) for one in found(driver)] == before
    monkeypatch.setattr(services, "_tell", original)
    assert services.run().open == 1
