"""What a payment pays for: the order of the matching, and everything that must not be decided without a person."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.money.purposes import Mention
from include.money.rules import (
    Candidate,
    Decision,
    PaymentFacts,
    Share,
    Verdict,
    decide,
    is_persons_account,
    payment_key,
)
from include.shared.numbers import number_key

pytestmark = pytest.mark.unit
INN, OTHER = "7707083893", "6154288189"
DAY = dt.date(2026, 11, 21)


def pays(amount: str, purpose: str, inn: str | None = INN, direction: str = "in") -> PaymentFacts:
    return PaymentFacts(Decimal(amount), direction, inn, purpose)


def invoice(
    number: str = "15",
    amount: str = "1000",
    paid: str = "0",
    *,
    at: int = 1,
    inn: str | None = INN,
    date: dt.date = DAY,
    deal: int | None = 7,
    entered: str = "0",
    lost: bool = False,
) -> Candidate:
    return Candidate(
        at, number, number_key(number), date, Decimal(amount), Decimal(paid), inn, deal, Decimal(entered), lost
    )


def kinds(decision: Decision) -> list[str]:
    return [one.kind for one in decision.proposals]


def test_number_inn_and_sum_are_right_so_it_is_matched_at_once() -> None:
    for purpose in ("Оплата по счету №15 от 21.11.2026", "Оплата по счету 15", "сч. № 15 от 21.11.26 в т.ч. НДС 22%"):
        found = decide(pays("1000.00", purpose), [invoice()])
        assert found.verdict is Verdict.AUTO
        assert found.shares == (Share(1, 7, Decimal(1000)),)
        assert "№ 15" in found.why


def test_the_balance_counts_and_not_the_whole_sum() -> None:
    assert decide(pays("400", "счет 15"), [invoice(paid="600")]).verdict is Verdict.AUTO
    assert kinds(decide(pays("1000", "счет 15"), [invoice(paid="600")])) == ["over"]


def test_several_named_invoices_whose_balances_make_the_sum_are_matched_at_once() -> None:
    candidates = [invoice("15", "1000"), invoice("16", "500", at=2, deal=8), invoice("17", "250", "50", at=3, deal=9)]
    found = decide(pays("1700", "Оплата по счетам № 15, 16 и 17 от 21.11.2026"), candidates)
    assert found.verdict is Verdict.AUTO
    assert found.shares == (Share(1, 7, Decimal(1000)), Share(2, 8, Decimal(500)), Share(3, 9, Decimal(200)))


def test_a_part_of_an_invoice_is_offered_to_the_accountant() -> None:
    found = decide(pays("300", "счет 15"), [invoice()])
    assert found.verdict is Verdict.PROPOSE
    assert found.shares == ()
    assert found.proposals[0].kind == "partial"
    assert found.proposals[0].shares == (Share(1, 7, Decimal(300)),)
    assert "часть" in found.why


def test_an_overpayment_is_offered_and_what_is_over_stays() -> None:
    found = decide(pays("1200", "счет 15"), [invoice()])
    assert found.verdict is Verdict.PROPOSE
    assert (found.proposals[0].kind, found.proposals[0].left) == ("over", Decimal(200))
    assert found.proposals[0].shares == (Share(1, 7, Decimal(1000)),)


def test_several_invoices_and_another_sum_are_filled_from_the_oldest() -> None:
    old, new = invoice("15", "1000", at=5, date=dt.date(2026, 1, 1)), invoice("16", "500", at=2, deal=8)
    found = decide(pays("1200", "счета № 16, 15"), [new, old])
    assert found.proposals[0].shares == (Share(5, 7, Decimal(1000)), Share(2, 8, Decimal(200)))
    assert found.proposals[0].kind == "partial"


def test_one_of_the_named_invoices_is_unknown_so_a_person_looks() -> None:
    found = decide(pays("1000", "счета № 15, 99"), [invoice()])
    assert found.verdict is Verdict.PROPOSE
    assert "99" in found.why


def test_inn_and_the_only_open_invoice_of_this_sum_is_offered() -> None:
    found = decide(pays("1000", "Оплата по договору № 5"), [invoice(), invoice("16", "500", at=2)])
    assert found.verdict is Verdict.PROPOSE
    assert kinds(found) == ["amount"]
    assert "единственный" in found.why


def test_two_open_invoices_of_this_sum_are_both_offered() -> None:
    found = decide(pays("1000", "За товар"), [invoice(), invoice("16", "1000", at=2)])
    assert [one.shares[0].invoice_id for one in found.proposals] == [1, 2]


def test_all_open_invoices_together_are_offered() -> None:
    found = decide(pays("1500", "За товар"), [invoice(), invoice("16", "500", at=2, deal=8)])
    assert kinds(found) == ["split"]
    assert sum(one.amount for one in found.proposals[0].shares) == 1500


def test_a_third_party_pays_for_a_client_and_is_never_matched_alone() -> None:
    found = decide(pays("1000", "За ООО Ромашка по счету № 15 от 21.11.2026", OTHER), [invoice()])
    assert found.verdict is Verdict.PROPOSE
    assert kinds(found) == ["third_party"]
    assert "другое лицо" in found.why


def test_a_person_without_inn_is_offered() -> None:
    found = decide(pays("1000", "счет 15", None), [invoice(inn=None)])
    assert found.verdict is Verdict.PROPOSE
    assert "ИНН плательщика не указан" in found.why


def test_the_number_of_a_contract_is_not_an_invoice() -> None:
    found = decide(pays("1000", "Оплата по договору № 15 от 21.11.2026", OTHER), [invoice()])
    assert found.verdict is Verdict.QUEUE


def test_numbers_begin_anew_each_year_so_the_date_decides() -> None:
    candidates = [invoice(date=dt.date(2025, 3, 1)), invoice(at=2)]
    assert decide(pays("1000", "счет 15 от 21.11.2026"), candidates).shares[0].invoice_id == 2
    unclear = decide(pays("1000", "счет 15"), candidates)
    assert unclear.verdict is Verdict.PROPOSE
    wrong = decide(pays("1000", "счет 15 от 01.01.2020"), [invoice()])
    assert wrong.verdict is Verdict.PROPOSE
    assert "21.11.2026" in wrong.why


def test_the_open_invoice_of_two_with_one_number_is_meant() -> None:
    candidates = [invoice(date=dt.date(2025, 3, 1), paid="1000"), invoice(at=2)]
    found = decide(pays("1000", "счет 15"), candidates)
    assert (found.verdict, found.shares[0].invoice_id) == (Verdict.AUTO, 2)


def test_the_short_form_of_a_number_of_1c() -> None:
    ours = invoice("УТ-000015")
    assert decide(pays("1000", "счет № 15 от 21.11.2026"), [ours]).verdict is Verdict.AUTO
    assert decide(pays("1000", "счет № 15"), [ours]).verdict is Verdict.PROPOSE
    assert decide(pays("1000", "счет № 5 от 21.11.2026", OTHER), [ours]).verdict is Verdict.QUEUE


def test_latin_letters_in_a_number() -> None:
    assert decide(pays("1000", "счет XAM-15"), [invoice("ХАМ-15")]).verdict is Verdict.AUTO


def test_money_entered_by_hand_before_is_not_counted_twice() -> None:
    found = decide(pays("1000", "счет 15"), [invoice(entered="1000")])
    assert found.verdict is Verdict.PROPOSE
    assert found.proposals[0].entered
    assert "вручную" in found.why


def test_a_paid_invoice_is_not_paid_again() -> None:
    found = decide(pays("1000", "счет 15"), [invoice(paid="1000")])
    assert found.verdict is Verdict.QUEUE
    assert "двойная оплата" in found.why
    assert found.proposals == ()


def test_an_invoice_without_a_deal_waits_for_one() -> None:
    found = decide(pays("1000", "счет 15"), [invoice(deal=None)])
    assert found.verdict is Verdict.QUEUE
    assert "не привязан к сделке" in found.why


def test_a_lost_deal_is_looked_at_by_a_person() -> None:
    found = decide(pays("1000", "счет 15"), [invoice(lost=True)])
    assert found.verdict is Verdict.PROPOSE
    assert "проиграна" in found.why


def test_nothing_fits_so_the_queue_offers_what_is_open() -> None:
    found = decide(pays("77", "За товар"), [invoice()])
    assert found.verdict is Verdict.QUEUE
    assert kinds(found) == ["open"]
    assert decide(pays("77", "За товар", OTHER), []).why.startswith("Счетов плательщика")


def test_a_supplier_gives_money_back_to_us() -> None:
    found = decide(pays("1000", "Возврат по счету № 15 от 21.11.2026"), [invoice()])
    assert found.verdict is Verdict.QUEUE
    assert "возврате" in found.why


def test_a_refund_to_a_client_is_offered_and_never_done_alone() -> None:
    found = decide(pays("300", "Возврат по счету № 15", direction="out"), [invoice(paid="1000")])
    assert found.verdict is Verdict.PROPOSE
    assert (found.proposals[0].kind, found.proposals[0].shares) == ("refund", (Share(1, 7, Decimal(300)),))


def test_a_refund_is_never_more_than_was_paid() -> None:
    found = decide(pays("1500", "Возврат оплаты", direction="out"), [invoice(paid="1000")])
    assert (found.proposals[0].shares[0].amount, found.proposals[0].left) == (Decimal(1000), Decimal(500))


def test_a_refund_to_nobody_we_know_stays_in_the_queue() -> None:
    assert decide(pays("300", "Возврат", OTHER, "out"), [invoice()]).verdict is Verdict.QUEUE


def test_our_own_payment_to_a_supplier_is_no_refund() -> None:
    found = decide(pays("1000", "Оплата по счету № 15", direction="out"), [invoice(paid="1000")])
    assert (found.verdict, found.proposals) == (Verdict.QUEUE, ())


def test_what_a_sheet_names_is_used_instead_of_the_purpose() -> None:
    """R000-2: the column with the number of the invoice."""
    facts = PaymentFacts(Decimal(1000), "in", INN, "", (Mention("15", "15", None),))
    assert decide(facts, [invoice()]).verdict is Verdict.AUTO


amounts = st.integers(0, 300).map(lambda one: Decimal(one) * 10)
invoices = st.builds(
    Candidate,
    st.integers(1, 5),
    st.sampled_from(["15", "16"]),
    st.sampled_from(["15", "16"]),
    st.sampled_from([DAY, dt.date(2025, 1, 1)]),
    amounts.filter(bool),
    amounts,
    st.sampled_from([INN, OTHER, None]),
    st.sampled_from([7, 8, None]),
    amounts,
    st.booleans(),
)
purposes = st.sampled_from(["счет 15", "счета 15, 16", "счет 16 от 21.11.2026", "за товар", "Возврат по счету 15"])


@given(amounts, purposes, st.sampled_from([INN, None]), st.sampled_from(["in", "out"]), st.lists(invoices, max_size=6))
def test_money_is_never_made_nor_lost(
    amount: Decimal, purpose: str, inn: str | None, direction: str, candidates: list[Candidate]
) -> None:
    candidates = list({one.invoice_id: one for one in candidates}.values())
    found = decide(PaymentFacts(amount, direction, inn, purpose), candidates)
    known = {one.invoice_id: one for one in candidates}
    assert found.why.endswith(".")
    if found.verdict is Verdict.AUTO:
        assert direction == "in"
        assert sum(one.amount for one in found.shares) == amount
        assert all(known[one.invoice_id].inn == inn for one in found.shares)
        assert all(one.amount == known[one.invoice_id].due for one in found.shares)
    else:
        assert found.shares == ()
    for proposal in found.proposals:
        assert sum((one.amount for one in proposal.shares), proposal.left) == amount
        assert all(one.amount > 0 for one in proposal.shares)
        assert proposal.why.endswith(".")


def key(**changes: object) -> str:
    values: dict[str, object] = {
        "account": "40702810477266704262", "direction": "in", "number": "15", "date": DAY, "amount": Decimal("100.00"),
        "counter_account": "40702810000000074935", "purpose": "Оплата по счету № 15",
    }  # fmt: skip
    return payment_key(**(values | changes))  # type: ignore[arg-type]


def test_the_same_payment_has_the_same_key() -> None:
    same = (
        {"amount": Decimal(100)}, {"number": "0015"}, {"number": "№ 15"}, {"purpose": "Оплата  по сче ту №\u00a015"},
        {"purpose": "ОПЛАТА по счёту № 15"},
    )  # fmt: skip
    for change in same:
        assert key(**change) == key()


@pytest.mark.parametrize(
    "change",
    [
        {"account": "40702810477266704263"}, {"direction": "out"}, {"number": "16"}, {"date": dt.date(2026, 11, 22)},
        {"amount": Decimal("100.01")}, {"counter_account": None}, {"purpose": "Оплата по счету № 16"},
    ],
)  # fmt: skip
def test_another_payment_has_another_key(change: dict[str, object]) -> None:
    assert key(**change) != key()


def test_accounts_of_persons() -> None:
    assert is_persons_account("40817810374036778862")
    assert not is_persons_account("40702810477266704262")
    assert not is_persons_account(None)
