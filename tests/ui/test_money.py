"""The pages of money as an accountant meets them: a file looked through and loaded, payments decided, taken back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from starlette.testclient import TestClient

import include.exchange_1c.models
import include.one_c_http.models
import include.orders.models
import include.reconciliation.models  # noqa: F401 - their tables are in the throw-away database too
from tests.db.banking import INN, OTHER_INN, OURS, OURS_TOO, US, client, own_accounts, paying, sheet, statement
from tests.ui.conftest import ORIGIN, Desk

pytestmark = pytest.mark.db
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
PAGES = ("", "/queue", "/statements", "/invoices", "/accounts")
_numbers = iter(range(100, 100_000))


@pytest.fixture(autouse=True)
def _ours(desk: Desk) -> Iterator[None]:
    own_accounts(OURS)
    yield
    desk.change("UPDATE deal SET paid = 0 WHERE paid < 0")


def send(desk: Desk, kind: str, content: bytes, name: str, by: str = "accountant", follow: bool = True) -> Any:
    visitor = desk.as_(by)
    return visitor.client.post(
        f"/backoffice/money/statements/{kind}", data={"csrf": visitor.token()}, files={"file": (name, content)},
        headers={"Origin": ORIGIN}, follow_redirects=follow,
    )  # fmt: skip


def sent(desk: Desk, content: bytes, kind: str = "bank", name: str = "kl_to_1c.txt") -> int:
    answer = send(desk, kind, content, name, follow=False)
    assert answer.status_code == 303, answer.text
    return int(re.search(r"/statements/(\d+)$", answer.headers["location"]).group(1))  # type: ignore[union-attr]


def loaded(desk: Desk, *documents: dict[str, Any]) -> list[int]:
    """Send a statement and load it; returns its payments."""
    at = sent(desk, statement(*documents))
    assert desk.as_("accountant").post(f"/money/statements/{at}/load").status_code == 200
    return [
        int(one) for one in desk.one("SELECT array_agg(id ORDER BY id) FROM payment WHERE statement_id = :id", id=at)
    ]


def deal_of(desk: Desk, amount: int = 1000, inn: str = INN) -> int:
    return desk.deal(f"Сделка {next(_numbers)}", company_id=client(inn), amount=amount)


def invoice_of(desk: Desk, deal: int, amount: str = "1000", **more: str) -> tuple[int, str]:
    """Record an invoice of the deal; returns its id and number."""
    number = f"С-{next(_numbers)}"
    data = {"recorded.number": number, "recorded.date": "2026-11-20", "recorded.amount": amount,
            "recorded.organisation": US, **more}  # fmt: skip
    answer = desk.as_("accountant").post(f"/money/deals/{deal}/invoices/recorded", **data)
    assert answer.status_code == 200, answer.text
    return int(desk.one("SELECT id FROM invoice WHERE number = :number", number=number)), number


def paid(desk: Desk, deal: int) -> int:
    return int(desk.one("SELECT paid FROM deal WHERE id = :id", id=deal))


def confirmed(answer: Any, desk: Desk, by: str = "accountant") -> Any:
    """Press the button of the page that asks again."""
    assert 'name="confirmed"' in answer.text, answer.text
    action = re.search(r'<form class="btn-list" method="post" action="/backoffice([^"]+)"', answer.text)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.text.split("<main")[1]))
    hidden.pop("csrf")
    return desk.as_(by).post(action.group(1), **hidden)  # type: ignore[union-attr]


# --- rights -------------------------------------------------------------------------------------------------------


def test_nobody_sees_money_without_a_login(desk: Desk) -> None:
    nobody = TestClient(desk.app, follow_redirects=False)
    for path in (*PAGES, "/payments/1", "/invoices/1", "/statements/1"):
        answer = nobody.get(f"/backoffice/money{path}")
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/backoffice/login")


@pytest.mark.parametrize("login", ["manager", "boss", "ops", "stranger"])
def test_only_those_who_handle_money_see_it(desk: Desk, login: str) -> None:
    (payment,) = loaded(desk, paying(500, f"без счёта {next(_numbers)}"))
    visitor = desk.as_(login)
    for path in (*PAGES, f"/payments/{payment}", "/statements/1", "/statements/template"):
        answer = visitor.get(f"/money{path}")
        assert answer.status_code == 403, path
        assert "с деньгами работают бухгалтер и администратор" in answer.text
    for path in (f"/payments/{payment}/ignore", f"/payments/{payment}/match", f"/payments/{payment}/unmatch",
                 "/match-again", "/accounts", "/accounts/1/state", "/statements/1/load", "/statements/1/discard",
                 "/allocations/1/undo"):  # fmt: skip
        answer = visitor.post(f"/money{path}", reason="так", **{"part.1.0": "1"})
        assert answer.status_code == 403, path
    assert send(desk, "bank", statement(paying(1, "x")), "a.txt", by=login).status_code == 403
    assert desk.one("SELECT state FROM payment WHERE id = :id", id=payment) == "queue"


def test_a_form_without_its_token_changes_nothing(desk: Desk) -> None:
    (payment,) = loaded(desk, paying(501, f"без счёта {next(_numbers)}"))
    client_ = desk.as_("accountant").client
    answer = client_.post(
        f"/backoffice/money/payments/{payment}/ignore", data={"reason": "так"}, headers={"Origin": ORIGIN}
    )
    assert answer.status_code == 403
    assert desk.one("SELECT state FROM payment WHERE id = :id", id=payment) == "queue"


# --- files --------------------------------------------------------------------------------------------------------


def test_a_statement_is_looked_through_then_loaded_once(desk: Desk, words: Callable[[Any], str]) -> None:
    deal = deal_of(desk)
    _, number = invoice_of(desk, deal)
    content = statement(paying(1000, f"Оплата по счёту № {number} от 20.11.2026"), paying(70, "что-то", number="9"))
    at = sent(desk, content)
    seen = desk.as_("accountant").get(f"/money/statements/{at}")
    said = words(seen)
    assert "Файл проверен, но ещё не загружен" in said
    assert "Новые поступления 2 на 1 070,00 ₽" in said
    assert "Загрузить 2 платежа" in said
    assert desk.one("SELECT count(*) FROM payment WHERE statement_id = :id", id=at) == 0
    said = words(desk.as_("accountant").post(f"/money/statements/{at}/load"))
    assert "Новых платежей – 2; поступлений – 2 на 1 070,00 ₽. Сопоставлено само: 1, ждут разбора: 0." in said
    assert paid(desk, deal) == 1000
    assert sent(desk, content) == at
    again = words(desk.as_("accountant").post(f"/money/statements/{at}/load"))
    assert "уже загружен" in again
    assert paid(desk, deal) == 1000
    assert "Сейчас: сопоставлен 1" in again


def test_balances_that_do_not_add_up_stop_a_statement(desk: Desk, words: Callable[[Any], str]) -> None:
    at = sent(desk, statement(paying(333, "x"), wrong=5))
    said = words(desk.as_("accountant").get(f"/money/statements/{at}"))
    assert "Этот файл загрузить нельзя" in said
    assert "Ошибки" in said
    answer = desk.as_("accountant").post(f"/money/statements/{at}/load")
    assert answer.status_code == 409
    assert "Файл не готов к загрузке" in words(answer)
    assert desk.one("SELECT count(*) FROM payment WHERE statement_id = :id", id=at) == 0


def test_an_unknown_account_is_added_from_the_statement(desk: Desk, words: Callable[[Any], str]) -> None:
    accountant = desk.as_("accountant")
    unknown = "40702810900000000006"
    at = sent(desk, statement({**paying(44, "x"), "ПолучательСчет": unknown}, accounts=(unknown,)))
    seen = accountant.get(f"/money/statements/{at}")
    assert "Добавить как наш счёт" in words(seen)
    assert f'name="account" value="{unknown}"' in seen.text
    back = f"/backoffice/money/statements/{at}"
    form = accountant.get("/money/accounts", params={"account": unknown, "bik": "044525225", "back": back})
    assert f'value="{unknown}"' in form.text
    wrong = accountant.post("/money/accounts", account="123", bik="044525225", bank="Банк", organisation=US, back=back)
    assert wrong.status_code == 422
    assert "Номер счёта – 20 цифр" in wrong.text
    desk.change(
        "INSERT INTO own_account (account, bik, bank, organisation, added_at) VALUES (:a, '044525225', 'Б', :o, now())",
        a=unknown, o=US,
    )  # fmt: skip
    assert "Файл проверен снова" in words(accountant.post(f"/money/statements/{at}/check"))
    assert "Файл проверен, но ещё не загружен" in words(accountant.get(f"/money/statements/{at}"))


def test_an_account_is_added_closed_after_a_question_and_opened(desk: Desk, words: Callable[[Any], str]) -> None:
    accountant = desk.as_("accountant")
    good = next(one for one in (f"4070281{key}000000000777" for key in range(10)) if fits(one))
    answer = accountant.post("/money/accounts", account=good, bik="044525225", bank="ПАО Сбербанк", organisation=US)
    assert f"Счёт {good} добавлен." in words(answer)
    own = desk.one("SELECT id FROM own_account WHERE account = :a", a=good)
    asked = accountant.post(f"/money/accounts/{own}/state", active="no")
    assert "Закрыть счёт" in asked.text
    assert desk.one("SELECT active FROM own_account WHERE id = :id", id=own) is True
    assert "закрыт" in words(confirmed(asked, desk))
    assert desk.one("SELECT active FROM own_account WHERE id = :id", id=own) is False
    accountant.post(f"/money/accounts/{own}/state", active="yes")
    assert desk.one("SELECT active FROM own_account WHERE id = :id", id=own) is True
    desk.change("DELETE FROM own_account WHERE id = :id", id=own)


def fits(account: str) -> bool:
    from include.money.accounts import key_fits

    return key_fits(account, "044525225")


def test_a_table_says_what_is_wrong_cell_by_cell(desk: Desk, words: Callable[[Any], str]) -> None:
    good = {"Дата": "20.11.2026", "Сумма": "150,50", "Плательщик": "ООО Ромашка", "ИНН": INN, "Назначение": "за товар"}
    at = sent(desk, sheet(good, {**good, "Сумма": "сто рублей"}), "sheet", "платежи.xlsx")
    said = words(desk.as_("accountant").get(f"/money/statements/{at}"))
    assert "таблица Excel" in said
    assert "ячейка B3" in said
    assert "Загрузить 1 платёж" in said
    desk.as_("accountant").post(f"/money/statements/{at}/load")
    assert desk.one("SELECT count(*) FROM payment WHERE statement_id = :id", id=at) == 1


def test_the_sample_of_the_table_can_be_downloaded_and_read(desk: Desk) -> None:
    answer = desk.as_("accountant").get("/money/statements/template")
    assert answer.status_code == 200
    assert answer.content.startswith(b"PK")
    assert "payments.xlsx" in answer.headers["content-disposition"]


def test_a_file_is_given_up_after_a_question_and_may_come_again(desk: Desk, words: Callable[[Any], str]) -> None:
    content = statement(paying(91, f"позже {next(_numbers)}"))
    at = sent(desk, content)
    asked = desk.as_("accountant").post(f"/money/statements/{at}/discard")
    assert desk.one("SELECT state FROM bank_statement WHERE id = :id", id=at) == "checked"
    assert "не загружен" in words(confirmed(asked, desk))
    assert desk.one("SELECT state FROM bank_statement WHERE id = :id", id=at) == "discarded"
    assert sent(desk, content) == at
    assert desk.one("SELECT state FROM bank_statement WHERE id = :id", id=at) == "checked"


@pytest.mark.parametrize(
    ("content", "kind", "name", "status"),
    [
        (b"", "bank", "a.txt", 422), (b"%PDF-1.4 not a statement", "bank", "a.txt", 303),
        (b"PK\x03\x04 cut", "sheet", "a.xlsx", 303), (b"\xff\xfe\x00" * 50, "bank", "a.txt", 303),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_in_words(
    desk: Desk, content: bytes, kind: str, name: str, status: int, words: Callable[[Any], str]
) -> None:
    answer = send(desk, kind, content, name, follow=False)
    assert answer.status_code == status, answer.text
    if status == 303:
        said = words(desk.as_("accountant").client.get(answer.headers["location"]))
        assert "Этот файл загрузить нельзя" in said
    else:
        assert "Файл пуст" in answer.text


def test_no_file_at_all_is_told_beside_the_form(desk: Desk) -> None:
    visitor = desk.as_("accountant")
    answer = visitor.client.post(
        "/backoffice/money/statements/bank", data={"csrf": visitor.token()}, files={"other": ("a", b"x")},
        headers={"Origin": ORIGIN},
    )  # fmt: skip
    assert answer.status_code == 422
    assert "Выберите файл." in answer.text


def test_names_from_a_file_are_text_not_html(desk: Desk) -> None:
    (payment,) = loaded(desk, {**paying(77, HOSTILE), "Плательщик": HOSTILE})
    for path in (f"/payments/{payment}", "/queue", ""):
        shown = desk.as_("accountant").get(f"/money{path}").text
        assert "<script>alert(1)" not in shown
        assert "<img src=x" not in shown
        assert "&lt;script&gt;alert(1)" in shown


# --- payments -----------------------------------------------------------------------------------------------------


def test_the_queue_offers_and_one_press_decides(desk: Desk, words: Callable[[Any], str]) -> None:
    deal = deal_of(desk)
    _, number = invoice_of(desk, deal)
    (payment,) = loaded(desk, paying(400, f"Частичная оплата по счёту {number}"))
    seen = desk.as_("accountant").get("/money/queue")
    assert "оплачена часть" in words(seen)
    form = next(one for one in re.findall(r"<form.*?</form>", seen.text, re.S) if f"/payments/{payment}/match" in one)
    hidden = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form))
    hidden.pop("csrf")
    said = words(desk.as_("accountant").post(f"/money/payments/{payment}/match", **hidden))
    assert "Платёж сопоставлен." in said
    assert paid(desk, deal) == 400
    assert desk.one("SELECT state FROM payment WHERE id = :id", id=payment) == "matched"


def test_a_payment_is_found_a_deal_and_split_by_hand(desk: Desk, words: Callable[[Any], str]) -> None:
    first, second = deal_of(desk, 300, OTHER_INN), deal_of(desk, 700, OTHER_INN)
    invoice, number = invoice_of(desk, second, "700")
    (payment,) = loaded(desk, paying(1000, f"за всё {next(_numbers)}", inn="7728168971"))
    accountant = desk.as_("accountant")
    found = accountant.get(f"/money/payments/{payment}", params={"find": number})
    assert f'name="part.{second}.{invoice}"' in found.text
    found = accountant.get(f"/money/payments/{payment}", params={"find": f"№ {first}"})
    assert f'name="part.{first}.0"' in found.text
    too_much = accountant.post(
        f"/money/payments/{payment}/match", **{f"part.{first}.0": "300", f"part.{second}.{invoice}": "700,01"}
    )
    assert too_much.status_code == 409
    assert "Распределено больше, чем осталось" in words(too_much)
    wrong = accountant.post(f"/money/payments/{payment}/match", **{f"part.{first}.0": "много"})
    assert wrong.status_code == 422
    assert "нужна сумма" in wrong.text
    nothing = accountant.post(f"/money/payments/{payment}/match", **{f"part.{first}.0": ""})
    assert nothing.status_code == 422
    assert "Выберите, за что этот платёж" in words(nothing)
    accountant.post(f"/money/payments/{payment}/match", **{f"part.{first}.0": "300", f"part.{second}.{invoice}": "700"})
    assert (paid(desk, first), paid(desk, second)) == (300, 700)


def test_undoing_asks_what_falls_and_leaves_a_trace(desk: Desk, words: Callable[[Any], str]) -> None:
    deal = deal_of(desk)
    _, number = invoice_of(desk, deal)
    (payment,) = loaded(desk, paying(1000, f"Оплата по счёту {number}"))
    assert paid(desk, deal) == 1000
    accountant, here = desk.as_("accountant"), f"/money/payments/{payment}"
    refused = accountant.post(f"{here}/unmatch", reason="  ")
    assert refused.status_code == 422
    assert "Напишите причину" in refused.text
    asked = accountant.post(f"{here}/unmatch", reason="не тот клиент")
    assert "уменьшится на 1 000,00 ₽" in words(asked)
    assert paid(desk, deal) == 1000
    said = words(confirmed(asked, desk))
    assert "снова ждёт разбора" in said
    assert "не тот клиент" in said
    assert paid(desk, deal) == 0
    assert "Отменённые сопоставления (1)" in words(accountant.get(here))


def test_one_part_is_taken_back_from_the_deals_card(desk: Desk, words: Callable[[Any], str]) -> None:
    deal = deal_of(desk)
    _, number = invoice_of(desk, deal)
    (payment,) = loaded(desk, paying(1000, f"Оплата по счёту {number}"))
    allocation = desk.one("SELECT id FROM payment_allocation WHERE payment_id = :id", id=payment)
    back = f"/backoffice/deals/{deal}#invoices"
    accountant = desk.as_("accountant")
    assert "Напишите причину" in words(accountant.post(f"/money/allocations/{allocation}/undo", reason="", back=back))
    asked = accountant.post(f"/money/allocations/{allocation}/undo", reason="ошибка банка", back=back)
    said = words(confirmed(asked, desk))
    assert "Счета и оплаты" in said
    assert paid(desk, deal) == 0
    again = accountant.post(f"/money/allocations/{allocation}/undo", reason="ещё раз", back=back)
    assert "уже отменено" in words(again)


def test_a_payment_is_put_aside_and_taken_back(desk: Desk, words: Callable[[Any], str]) -> None:
    (payment,) = loaded(desk, paying(62, f"кредит {next(_numbers)}"))
    accountant, here = desk.as_("accountant"), f"/money/payments/{payment}"
    assert accountant.post(f"{here}/ignore", reason="").status_code == 422
    assert "Платёж отложен" in words(accountant.post(f"{here}/ignore", reason="кредит банка"))
    assert "не от клиента" in words(accountant.get(here))
    assert "снова ждёт разбора" in words(accountant.post(f"{here}/queue"))


def test_a_payment_may_be_the_money_that_was_entered_by_hand(desk: Desk) -> None:
    deal = desk.deal(f"Сделка {next(_numbers)}", company_id=client(INN), amount=1000, paid=1000)
    invoice, number = invoice_of(desk, deal)
    (payment,) = loaded(desk, paying(1000, f"Оплата по счёту {number}"))
    assert desk.one("SELECT state FROM payment WHERE id = :id", id=payment) == "queue"
    seen = desk.as_("accountant").get(f"/money/payments/{payment}").text
    assert "Это те же деньги" in seen
    desk.as_("accountant").post(
        f"/money/payments/{payment}/match", counted="yes", **{f"part.{deal}.{invoice}": "1000.00"}
    )
    assert paid(desk, deal) == 1000


def test_payments_are_filtered_and_counted(desk: Desk, words: Callable[[Any], str]) -> None:
    mark = f"особый-{next(_numbers)}"
    loaded(desk, paying(12, mark, number="501"), paying(30, mark, number="502"))
    accountant = desk.as_("accountant")
    said = words(accountant.get("/money", params={"q": mark}))
    assert "2 платежа: пришло 42 ₽" in said
    assert "Ничего не нашлось" in words(accountant.get("/money", params={"q": mark, "direction": "out"}))
    assert "Ничего не нашлось" in words(accountant.get("/money", params={"q": "нет такого"}))
    for strange in ({"page": "x"}, {"since": "вчера"}, {"state": "nope"}, {"account": "-1"}, {"q": "\x00%_"}):
        assert accountant.get("/money", params=strange).status_code == 200, strange


def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    accountant = desk.as_("accountant")
    for path in ("/payments/999999", "/payments/x", "/invoices/999999", "/statements/999999"):
        assert accountant.get(f"/money{path}").status_code == 404, path
    for path in ("/allocations/999999/undo", "/statements/999999/load", "/invoices/999999/restore"):
        assert accountant.post(f"/money{path}", reason="так").status_code == 404, path


# --- invoices -----------------------------------------------------------------------------------------------------


def test_the_responsible_issues_an_invoice_and_a_second_press_does_not_double(
    desk: Desk, words: Callable[[Any], str]
) -> None:
    deal = deal_of(desk, 500)
    card = desk.as_("manager").get(f"/deals/{deal}")
    assert "Счетов по сделке ещё не выставляли" in words(card)
    assert "Внести счёт, выставленный в 1С" not in words(card)
    key = re.search(
        r'action="/backoffice/money/deals/\d+/invoices".*?name="request_key" value="([^"]+)"', card.text, re.S
    )
    data = {"request_key": key.group(1), "invoice.amount": "500,00", "invoice.organisation": US, "invoice.vat": "vat20"}  # type: ignore[union-attr]
    said = words(desk.as_("manager").post(f"/money/deals/{deal}/invoices", **data))
    assert "Выставлен счёт № " in said
    desk.as_("manager").post(f"/money/deals/{deal}/invoices", **data)
    assert desk.one("SELECT count(*) FROM invoice WHERE deal_id = :id", id=deal) == 1
    assert desk.one("SELECT vat_amount FROM invoice WHERE deal_id = :id", id=deal) == Decimal("83.33")
    wrong = desk.as_("manager").post(
        f"/money/deals/{deal}/invoices", **{**data, "request_key": "", "invoice.amount": "x"}
    )
    assert wrong.status_code == 422
    assert "нужна сумма" in wrong.text


def test_who_may_not_issue_and_who_does_not_even_see(desk: Desk) -> None:
    deal = deal_of(desk, 500)
    data = {"invoice.amount": "500", "invoice.organisation": US}
    assert desk.as_("stranger").post(f"/money/deals/{deal}/invoices", **data).status_code == 404
    product = desk.as_("product").post(f"/money/deals/{deal}/invoices", **data)
    assert product.status_code == 403
    refused = desk.as_("manager").post(f"/money/deals/{deal}/invoices/recorded", **{
        "recorded.number": "1", "recorded.date": "2026-11-20", "recorded.amount": "1", "recorded.organisation": US,
    })  # fmt: skip
    assert refused.status_code == 403
    assert desk.one("SELECT count(*) FROM invoice WHERE deal_id = :id", id=deal) == 0


def test_an_invoice_is_cancelled_after_a_question_and_restored(desk: Desk, words: Callable[[Any], str]) -> None:
    deal = deal_of(desk)
    invoice, number = invoice_of(desk, deal)
    accountant, here = desk.as_("accountant"), f"/money/invoices/{invoice}"
    assert accountant.post(f"{here}/cancel", reason="").status_code == 422
    asked = accountant.post(f"{here}/cancel", reason="передумали")
    assert f"Отменить счёт № {number}?" in words(asked)
    assert f"Счёт № {number} отменён." in words(confirmed(asked, desk))
    assert "снова действует" in words(accountant.post(f"{here}/restore"))
    loaded(desk, paying(1000, f"Оплата по счёту {number}"))
    refused = accountant.post(f"{here}/cancel", reason="передумали")
    assert refused.status_code == 409
    assert "сначала отмените их сопоставление" in words(refused)


def test_people_of_the_deal_see_its_invoice_and_others_do_not(desk: Desk, words: Callable[[Any], str]) -> None:
    invoice, number = invoice_of(desk, deal_of(desk))
    said = words(desk.as_("manager").get(f"/money/invoices/{invoice}"))
    assert f"Счёт № {number}" in said
    assert "Отменить счёт" not in said
    assert desk.as_("stranger").get(f"/money/invoices/{invoice}").status_code == 404
    assert desk.as_("manager").post(f"/money/invoices/{invoice}/cancel", reason="так").status_code == 403


def test_an_invoice_without_a_deal_finds_it_and_its_payment(desk: Desk, words: Callable[[Any], str]) -> None:
    deal, number = deal_of(desk, 640), f"УТ-{next(_numbers)}"
    desk.change(
        "INSERT INTO invoice (company_id, organisation, year, number, number_key, date, amount, source, created_at)"
        " VALUES (:client, :us, 2026, :number, :number, '2026-11-20', 640, 'one_c', now())",
        client=client(INN), us=US, number=number,
    )  # fmt: skip
    invoice = desk.one("SELECT id FROM invoice WHERE number = :number", number=number)
    (payment,) = loaded(desk, paying(640, f"Оплата по счёту {number}"))
    assert desk.one("SELECT state FROM payment WHERE id = :id", id=payment) == "queue"
    accountant = desk.as_("accountant")
    assert f"№ {number}" in words(accountant.get("/money/invoices"))
    seen = accountant.get(f"/money/invoices/{invoice}")
    assert "сумма совпала" in words(seen)
    assert f'name="deal_id" value="{deal}"' in seen.text
    missing = accountant.post(f"/money/invoices/{invoice}/attach", deal_id="")
    assert missing.status_code == 422
    assert "отнесён к сделке" in words(accountant.post(f"/money/invoices/{invoice}/attach", deal_id=str(deal)))
    assert paid(desk, deal) == 640


def test_the_card_shows_what_came_and_what_is_left(desk: Desk, words: Callable[[Any], str]) -> None:
    deal = deal_of(desk, 1000)
    invoice, number = invoice_of(desk, deal)
    (payment,) = loaded(desk, paying(400, f"Оплата по счёту {number}"))
    desk.as_("accountant").post(f"/money/payments/{payment}/match", **{f"part.{deal}.{invoice}": "400"})
    said = words(desk.as_("manager").get(f"/deals/{deal}"))
    assert "оплачен частично" in said
    assert "осталось 600,00 ₽" in said
    assert "отменить сопоставление" not in said
    assert OURS_TOO not in said
