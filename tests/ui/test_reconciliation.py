"""«Сверка» as people meet it: who sees what, the filters, the next step, a run by hand; the same as JSON (★70)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

import include.exchange_1c.models
import include.one_c_http.models
import include.orders.models
import include.reconciliation.models  # noqa: F401 - their tables are in the throw-away database too
from tests.db.banking import INN, OURS, client, own_accounts
from tests.ui.conftest import ORIGIN, Desk

pytestmark = pytest.mark.db
_numbers = iter(range(100, 100_000))


@pytest.fixture(autouse=True)
def _clean(desk: Desk) -> Iterator[None]:
    own_accounts(OURS)
    desk.change("TRUNCATE discrepancy RESTART IDENTITY")
    desk.change("UPDATE deal SET paid = 0, debt = coalesce(amount, 0), overpaid = 0 WHERE paid <> 0")
    desk.change("DELETE FROM invoice")
    yield


def differing(desk: Desk, login: str = "manager", amount: int = 1000) -> int:
    """A deal whose invoice is of another sum: its responsible is to decide."""
    deal = desk.deal(f"Сделка {next(_numbers)}", login, company_id=client(INN), amount=amount)
    made = desk.as_("accountant").api("POST", f"/money/deals/{deal}/invoices", json={"amount": "1.00"})
    assert made.status_code == 201, made.text
    return deal


def run(desk: Desk, by: str = "accountant") -> Any:
    return desk.as_(by).post("/reconciliation/run")


def test_nobody_sees_it_without_a_login(desk: Desk) -> None:
    nobody = TestClient(desk.app, follow_redirects=False)
    assert nobody.get("/backoffice/reconciliation").headers["location"].startswith("/backoffice/login")
    assert nobody.get("/backoffice/api/reconciliation").status_code == 401
    assert nobody.post("/backoffice/api/reconciliation/run").status_code == 401


@pytest.mark.parametrize("login", ["manager", "boss", "ops", "stranger"])
def test_only_those_who_handle_money_run_it(desk: Desk, login: str) -> None:
    assert run(desk, login).status_code == 403
    assert desk.as_(login).api("POST", "/reconciliation/run").status_code == 403
    assert "Сверить сейчас" not in desk.as_(login).get("/reconciliation").text


def test_a_run_without_the_token_of_a_page_is_refused(desk: Desk) -> None:
    answer = desk.as_("accountant").client.post("/backoffice/reconciliation/run", headers={"Origin": ORIGIN})
    assert answer.status_code == 403


def test_everybody_sees_what_is_his(desk: Desk, words: Callable[[Any], str]) -> None:
    mine, other = differing(desk, "manager"), differing(desk, "stranger")
    assert "новых расхождений – 2" in words(run(desk))
    link = 'href="/backoffice/deals/{}#invoices"'
    for login, seen in {"accountant": {mine, other}, "admin": {mine, other}, "ops": {mine, other}, "manager": {mine},
                        "boss": {mine}, "stranger": {other}, "product": set()}.items():  # fmt: skip
        shown = desk.as_(login).get("/reconciliation")
        assert shown.status_code == 200
        for deal in (mine, other):
            assert (link.format(deal) in shown.text) is (deal in seen), (login, deal)
        found = desk.as_(login).api("GET", "/reconciliation").json()
        assert {one["deal"]["id"] for one in found["page"]["items"]} == seen, login
    assert "Всё сходится" in words(desk.as_("product").get("/reconciliation"))


def test_a_row_says_what_whose_how_long_and_what_to_do(desk: Desk, words: Callable[[Any], str]) -> None:
    differing(desk)
    run(desk)
    desk.change("UPDATE discrepancy SET found_at = now() - interval '9 days'")
    said = words(desk.as_("accountant").get("/reconciliation"))
    assert "Счета не сходятся с суммой сделки" in said
    assert "Сумма сделки 1 000,00 ₽, счетов выставлено на 1,00 ₽." in said
    assert "Выставьте недостающий счёт" in said
    assert "9 дней" in said
    assert "Иванова" in said


def test_it_is_filtered_by_kind_owner_and_state(desk: Desk, words: Callable[[Any], str]) -> None:
    deal = differing(desk)
    desk.change("UPDATE deal SET paid = 5 WHERE id = :id", id=deal)
    run(desk)
    accountant, owner = desk.as_("accountant"), desk.company.people["manager"]
    ask = accountant.get
    assert "2 расхождения" not in words(ask("/reconciliation"))
    by_kind = words(ask("/reconciliation", params={"kind": "paid_differs"}))
    assert "платежами подтверждено 0,00 ₽" in by_kind
    assert "счетов выставлено на" not in by_kind
    by_owner = words(ask("/reconciliation", params={"owner": str(owner)}))
    assert "счетов выставлено на" in by_owner
    assert "платежами подтверждено" not in by_owner
    assert "Таких расхождений нет" in words(ask("/reconciliation", params={"owner": "none"}))
    found = accountant.api("GET", "/reconciliation", params={"owner_id": 0}).json()
    assert (found["page"]["total"], {one["kind"] for one in found["kinds"]}) == (0, {"paid_differs", "invoices_differ"})
    for strange in ({"kind": "nope"}, {"owner": "x"}, {"state": "?"}, {"page": "-1"}, {"page": "9999"}):
        assert ask("/reconciliation", params=strange).status_code == 200, strange


def test_what_agrees_again_is_among_the_closed(desk: Desk, words: Callable[[Any], str]) -> None:
    deal = differing(desk)
    run(desk)
    desk.change("UPDATE deal SET amount = 1 WHERE id = :id", id=deal)
    made = desk.as_("accountant").api("POST", "/reconciliation/run").json()
    assert (made["opened"], made["closed"], made["open"]) == (0, 1, 0)
    said = words(desk.as_("accountant").get("/reconciliation"))
    assert "Всё сходится" in said
    assert "закрылось – 1" in said
    closed = words(desk.as_("manager").get("/reconciliation", params={"state": "closed"}))
    assert "Счета не сходятся с суммой сделки" in closed
    assert desk.as_("manager").api("GET", "/reconciliation", params={"closed": True}).json()["page"]["total"] == 1
