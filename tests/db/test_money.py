"""Bank statements and payment sheets on a real database: loaded once, matched, taken back; balances and faults."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text

from include.documents import storage
from include.money import accounts, allocation, intake, invoices, matching
from include.money.allocation import Part
from include.money.models import BankStatement, Payment, PaymentAllocation, StatementAccount
from include.process.rules import at_least
from include.shared.errors import Conflict, InvalidInput
from include.shared.models import Audit
from include.shared.work import transaction
from tests.db.banking import (
    INN,
    OTHER_INN,
    OURS,
    OURS_TOO,
    US,
    check,
    deal_for,
    invoice,
    own_accounts,
    paid,
    paying,
    payments,
    sheet,
    spending,
    statement,
    take,
)
from tests.db.driver import Driver, on_stage, task
from tests.db.memory import Memory

pytestmark = pytest.mark.db


@pytest.fixture(autouse=True)
def memory() -> Iterator[Memory]:
    made = Memory()
    storage.use(made)
    yield made
    storage.use(None)


@pytest.fixture(autouse=True)
def clean(driver: Driver) -> Iterator[None]:
    own_accounts(OURS)
    yield
    with transaction() as work:
        work.session.execute(text("TRUNCATE payment_allocation, payment, statement_account, bank_statement CASCADE"))
        work.session.execute(text("TRUNCATE invoice CASCADE"))
        work.session.execute(text("DELETE FROM own_account"))


def row(driver: Driver, statement_id: int) -> BankStatement:
    return driver.read(lambda session: session.get_one(BankStatement, statement_id))


def reasons(driver: Driver, statement_id: int) -> str:
    return " ".join(one["text"] for one in row(driver, statement_id).report["problems"])


def active(driver: Driver) -> list[PaymentAllocation]:
    wanted = select(PaymentAllocation).where(PaymentAllocation.undone_at.is_(None)).order_by(PaymentAllocation.id)
    return list(driver.read(lambda session: session.scalars(wanted).all()))


# --- loading ----------------------------------------------------------------------------------------------------------


def test_a_payment_that_names_its_invoice_raises_the_sum_and_closes_the_task(driver: Driver) -> None:
    """R002-43, R002-74: number, ИНН and sum are right – no hand is needed, and the task that waited for money ends."""
    wanted = at_least("paid", "amount")
    pay = on_stage("Не обработан", {"pay": task("Получить оплату", guard=wanted, closes_itself=True)})
    deal = deal_for(driver, 1000, processes=[pay])
    assert driver.state(pay, "pay") == "waiting"
    invoice(driver, deal, 1000, "15")
    loaded = take(driver, statement(paying(1000, "Оплата по счёту № 15 от 20.11.2026, НДС не облагается")))
    assert (loaded.payments, loaded.repeated) == (1, False)
    assert paid(driver, deal) == (Decimal(1000), Decimal(0))
    (found,) = payments(driver)
    assert (found.state, found.allocated) == ("matched", Decimal(1000))
    (given,) = active(driver)
    assert (given.how, given.raised) == ("auto", Decimal(1000))
    assert "остатку" in given.why
    assert driver.state(pay, "pay") == "done"


def test_the_same_statement_changes_nothing_the_second_time(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    invoice(driver, deal, 1000, "15")
    content = statement(paying(1000, "счет 15"), paying(10, "за воду", number="9"))
    first = take(driver, content)
    again = take(driver, content)
    assert (first.payments, again.payments, again.repeated) == (2, 0, True)
    recoded = take(driver, statement(paying(1000, "счет 15"), paying(10, "за воду", number="9"), encoding="utf-8"))
    assert recoded.payments == 0
    assert "были раньше – 2" in recoded.text
    assert len(payments(driver)) == 2
    assert paid(driver, deal)[0] == 1000


def test_overlapping_statements_load_only_what_is_new(driver: Driver) -> None:
    take(driver, statement(paying(10, "раз", number="1"), paying(10, "раз", number="1")))
    assert len(payments(driver)) == 2  # two payments alike in everything are two payments
    more = take(driver, statement(*[paying(10, "раз", number="1")] * 3, paying(7, "два", number="2")))
    assert more.payments == 2
    assert [one.amount for one in payments(driver)] == [10, 10, 10, 7]


def test_nothing_is_loaded_while_the_balances_do_not_add_up(driver: Driver) -> None:
    number = check(driver, statement(paying(10, "раз"), wrong="0.01"))
    assert row(driver, number).state == "refused"
    assert "конечный остаток" in reasons(driver, number)
    with pytest.raises(Conflict, match="не готов"):
        intake.load(driver.company.viewer("accountant").actor, number)
    assert payments(driver) == []


def test_an_unknown_account_is_named_and_the_file_goes_on_once_it_is_ours(driver: Driver) -> None:
    content = statement(paying(10, "раз", ПолучательСчет=OURS_TOO), accounts=(OURS_TOO,))
    number = check(driver, content)
    assert row(driver, number).state == "refused"
    assert [one["account"] for one in row(driver, number).report["unknown_accounts"]] == [OURS_TOO]
    own_accounts(OURS_TOO)
    actor = driver.company.viewer("accountant").actor
    intake.check_again(actor, number)
    assert row(driver, number).state == "checked"
    assert intake.load(actor, number).payments == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "пуст"),
        (b"hello", "1CClientBankExchange"),
        (statement(paying(10, "раз"))[:-150], "обрывается"),
        (b"PK\x03\x04rest", "архив"),
    ],
)
def test_a_bad_file_is_refused_in_words_and_kept(driver: Driver, content: bytes, said: str) -> None:
    if not content:
        with pytest.raises(InvalidInput, match=said):
            check(driver, content)
        return
    number = check(driver, content)
    assert row(driver, number).state == "refused"
    assert said in reasons(driver, number)
    assert payments(driver) == []


def test_a_transfer_between_our_accounts_stands_once_on_each(driver: Driver) -> None:
    own_accounts(OURS, OURS_TOO)
    loaded = take(
        driver,
        statement(spending(40, "Перевод между счетами", to=OURS_TOO), accounts=(OURS, OURS_TOO), doubled=True),
    )
    assert loaded.payments == 2
    assert {(one.direction, one.state) for one in payments(driver)} == {("in", "internal"), ("out", "internal")}
    kept = driver.read(lambda session: session.scalar(select(func.count()).select_from(StatementAccount)))
    assert kept == 2


def test_a_disk_that_is_full_leaves_nothing_half_loaded(driver: Driver, memory: Memory) -> None:
    memory.fails = OSError(28, "No space left on device")
    with pytest.raises(storage.StorageFailed):
        check(driver, statement(paying(10, "раз")))
    memory.fails = None
    assert payments(driver) == []
    assert take(driver, statement(paying(10, "раз"))).payments == 1


def test_two_loads_at_once_load_once(driver: Driver) -> None:
    """Two people press «Загрузить» for files that overlap."""
    actor = driver.company.viewer("accountant").actor
    one = check(driver, statement(paying(10, "раз")))
    two = check(driver, statement(paying(10, "раз"), paying(7, "два", number="9")))
    ready = threading.Barrier(4)

    def press(number: int) -> int:
        ready.wait()
        return intake.load(actor, number).payments

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(press, number) for number in (one, one, two, two)]
        assert sum(each.result() for each in done) == 2
    assert sorted(each.amount for each in payments(driver)) == [7, 10]


# --- matching ---------------------------------------------------------------------------------------------------------


def decided(driver: Driver, payment: Payment) -> str:
    return driver.read(lambda session: next(iter(matching.decisions(session, [payment]).values())).why)


def test_part_over_several_and_strange_ones(driver: Driver) -> None:
    """R002-74: a part and an overpayment wait for a person; several invoices in one payment are split."""
    deal, second = deal_for(driver, 1000), deal_for(driver, 500)
    invoice(driver, deal, 1000, "101")
    invoice(driver, second, 500, "102")
    take(
        driver,
        statement(
            paying(300, "Частичная оплата счета 101", number="1"),
            paying(1700, "Оплата счета № 101", number="2"),
            paying(1500, "Оплата по счетам № 101, 102", number="3"),
            paying(99, "За услуги", number="4", inn=OTHER_INN),
        ),
    )
    states = {one.number: one.state for one in payments(driver)}
    assert states == {"1": "queue", "2": "queue", "3": "matched", "4": "queue"}
    assert paid(driver, deal) == (Decimal(1000), Decimal(0))
    assert paid(driver, second) == (Decimal(500), Decimal(0))
    assert len(active(driver)) == 2


def test_what_a_person_matches_is_matched_and_can_be_taken_back_with_a_trace(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    made = invoice(driver, deal, 1000, "103")
    take(driver, statement(paying(300, "аванс без номера")))
    (found,) = payments(driver)
    with driver.acting("accountant") as work:
        allocation.allocate(work, found.id, [Part(deal, Decimal(300), made.id)], how="manual")
    assert paid(driver, deal) == (Decimal(300), Decimal(700))
    with driver.acting("accountant") as work, pytest.raises(InvalidInput, match="причину"):
        allocation.unmatch(work, found.id, " ")
    with driver.acting("accountant") as work:
        allocation.unmatch(work, found.id, "не тот клиент")
    assert paid(driver, deal) == (Decimal(0), Decimal(1000))
    (back,) = payments(driver)
    assert (back.state, back.allocated) == ("queue", Decimal(0))
    trace = driver.read(
        lambda session: session.scalars(select(Audit.reason).where(Audit.action == "payment.unmatched")).all()
    )
    assert list(trace) == ["не тот клиент"]
    assert driver.told("снята со сделки") == ["manager"]


def test_money_entered_by_hand_is_not_counted_twice(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    invoice(driver, deal, 1000, "104")
    driver.fill(deal, paid=1000, by="accountant")
    take(driver, statement(paying(1000, "счет № 104")))
    (found,) = payments(driver)
    assert found.state == "queue"
    assert "вручную" in decided(driver, found)
    with driver.acting("accountant") as work:
        allocation.allocate(work, found.id, [Part(deal, Decimal(1000))], how="manual", counted=True)
    assert paid(driver, deal) == (Decimal(1000), Decimal(0))
    with driver.acting("accountant") as work:
        allocation.unmatch(work, found.id, "проверка")
    assert paid(driver, deal) == (Decimal(1000), Decimal(0))


def test_a_refund_is_offered_and_lowers_the_sum(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    made = invoice(driver, deal, 1000, "105")
    take(driver, statement(paying(1000, "счет № 105")))
    take(driver, statement(spending(400, "Возврат излишне уплаченного по счету № 105"), spending(5, "Комиссия банка")))
    refund, fee = payments(driver)[1:]
    assert (refund.state, fee.state) == ("queue", "spent")
    assert "Возврат" in decided(driver, refund)
    with driver.acting("accountant") as work:
        allocation.allocate(work, refund.id, [Part(deal, Decimal(400), made.id)], how="manual")
    assert paid(driver, deal) == (Decimal(600), Decimal(400))


def test_more_than_is_left_cannot_be_given(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    take(driver, statement(paying(300, "аванс")))
    (found,) = payments(driver)
    with driver.acting("accountant") as work, pytest.raises(Conflict, match="больше, чем осталось"):
        allocation.allocate(work, found.id, [Part(deal, Decimal(301))], how="manual")
    assert paid(driver, deal)[0] == 0


def test_an_invoice_that_comes_later_finds_its_payment(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    take(driver, statement(paying(1000, "Оплата по счету УТ-77")))
    assert payments(driver)[0].state == "queue"
    late = invoice(driver, deal, 1000, "УТ-77")
    actor = driver.company.viewer("accountant").actor
    with transaction(actor) as work:
        assert matching.reconsider(work, [late.number_key]) == 1
    assert matching.run(actor).matched == 1
    assert paid(driver, deal)[0] == 1000


def test_a_number_without_its_prefix_is_found_with_its_date(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    invoice(driver, deal, 1000, "УТ-000078", "2026-11-20")
    take(driver, statement(paying(1000, "Оплата по счету 78 от 20.11.2026")))
    assert paid(driver, deal)[0] == 1000


def test_two_matchings_at_once_give_each_payment_once(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    for number in range(10):
        invoice(driver, deal, 100, f"20{number}")
    actor = driver.company.viewer("accountant").actor
    content = statement(*(paying(100, f"счет № 20{number}", number=str(number)) for number in range(10)))
    intake.load(actor, check(driver, content))
    with ThreadPoolExecutor(3) as pool:
        found = [one.result() for one in [pool.submit(matching.run, actor) for _ in range(3)]]
    assert sum(one.matched for one in found) == 10
    assert paid(driver, deal) == (Decimal(1000), Decimal(0))
    assert len(active(driver)) == 10


def test_a_matching_that_dies_goes_on_where_it_stopped(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    deal = deal_for(driver, 1000)
    for number in range(4):
        invoice(driver, deal, 100, f"30{number}")
    actor = driver.company.viewer("accountant").actor
    content = statement(*(paying(100, f"счет № 30{number}", number=str(number)) for number in range(4)))
    intake.load(actor, check(driver, content))
    calls = iter(range(100))
    real = matching.allocate

    def dying(*args: object, **values: object) -> object:
        if next(calls) == 2:
            raise RuntimeError("kill")
        return real(*args, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(matching, "allocate", dying)
    with pytest.raises(RuntimeError):
        matching.run(actor)
    assert paid(driver, deal)[0] == 200
    assert matching.run(actor).matched == 2
    assert paid(driver, deal)[0] == 400


# --- sheets -----------------------------------------------------------------------------------------------------------


def test_a_sheet_is_loaded_with_the_errors_of_its_cells_and_matched(driver: Driver) -> None:
    """R000-2: rows with a wrong cell stay out and are named; the others are matched as the bank's are."""
    deal, named = deal_for(driver, 1000), deal_for(driver, 250, inn=OTHER_INN)
    invoice(driver, deal, 1000, "106")
    invoice(driver, named, 250, "107")
    content = sheet(
        {"Дата": "21.11.2026", "Сумма": 1000, "Плательщик": "ООО Ромашка", "ИНН": INN, "Счёт №": "106", "Сделка": ""},
        {"Дата": "нет", "Сумма": "много", "Плательщик": "ООО", "ИНН": "1", "Счёт №": "", "Сделка": ""},
        {"Дата": "22.11.2026", "Сумма": 250, "Плательщик": "ООО", "ИНН": OTHER_INN, "Счёт №": "", "Сделка": named},
    )
    number = check(driver, content, "sheet", "платежи.xlsx")
    report = row(driver, number).report
    assert row(driver, number).state == "checked"
    assert {one["cell"] for one in report["problems"]} == {"A3", "B3", "D3"}
    loaded = take(driver, content, "sheet", "платежи.xlsx")
    assert loaded.payments == 2
    assert paid(driver, deal)[0] == 1000
    assert paid(driver, named)[0] == 250


def test_the_bank_and_a_sheet_tell_of_the_same_money_once(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    invoice(driver, deal, 1000, "108")
    line = {"Дата": "21.11.2026", "Сумма": 1000, "Номер": "7", "ИНН": INN, "Назначение платежа": "счет № 108"}
    take(driver, sheet(line), "sheet", "п.xlsx")
    again = take(driver, statement(paying(1000, "счет № 108", number="7")))
    assert again.payments == 0
    assert paid(driver, deal)[0] == 1000
    assert len(payments(driver)) == 1


def test_a_sheet_that_is_no_xlsx_is_refused(driver: Driver) -> None:
    number = check(driver, b"1;2;3", "sheet", "платежи.xlsx")
    assert row(driver, number).state == "refused"
    assert reasons(driver, number)


def test_the_template_is_a_sheet_that_we_read(driver: Driver) -> None:
    number = check(driver, intake.template(), "sheet", "образец.xlsx")
    assert "ни одного платежа" in reasons(driver, number)


# --- invoices and accounts --------------------------------------------------------------------------------------------


def test_numbers_of_invoices_go_on_without_doubles_when_many_are_issued_at_once(driver: Driver) -> None:
    """R002-7."""
    deal = deal_for(driver, 1000)

    def one(_: int) -> str:
        with driver.acting("manager") as work:
            return invoices.issue(work, deal, amount=10).number

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(one, range(8)))
    assert len(set(numbers)) == 8
    with driver.acting("accountant") as work, pytest.raises(Conflict, match="уже есть"):
        invoices.record(work, deal, number=f"№ {numbers[0]}", date=driver.now.date(), amount=5, organisation=US)


def test_an_invoice_with_payments_cannot_be_cancelled(driver: Driver) -> None:
    deal = deal_for(driver, 1000)
    made = invoice(driver, deal, 1000, "109")
    take(driver, statement(paying(1000, "счет № 109")))
    with driver.acting("accountant") as work, pytest.raises(Conflict, match="есть оплаты"):
        invoices.cancel(work, made.id, "ошибка")


def test_an_account_must_fit_its_bank(driver: Driver) -> None:
    made = [f"4070281{key}400000000001" for key in range(10)]
    fits = next(one for one in made if accounts.key_fits(one, "044525225"))
    wrong = next(one for one in made if one != fits)
    with driver.acting("accountant") as work:
        with pytest.raises(InvalidInput, match="не подходят"):
            accounts.add_account(work, account=wrong, bik="044525225", bank="Банк", organisation=US)
        assert accounts.add_account(work, account=fits, bik="044525225", bank="Банк", organisation=US).active
        with pytest.raises(Conflict, match="уже есть"):
            accounts.add_account(work, account=fits, bik="044525225", bank="Банк", organisation=US)
