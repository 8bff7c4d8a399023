"""API of money: nobody and forbidden first; then a statement, a payment and an invoice from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

import include.exchange_1c.models
import include.one_c_http.models
import include.orders.models
import include.reconciliation.models  # noqa: F401 - their tables are in the throw-away database too
from tests.db.banking import INN, OURS, US, client, own_accounts, paying, sheet, statement
from tests.ui.conftest import Desk

pytestmark = pytest.mark.db
READS = ("/payments", "/queue", "/payments/1", "/payments/1/targets", "/statements", "/statements/1", "/accounts",
         "/statements/template", "/invoices/without-deal", "/invoices/1/deals")  # fmt: skip
CHANGES = {
    "/payments/1/match": {"parts": [{"deal_id": 1, "amount": "1.00"}]}, "/payments/1/unmatch": {"reason": "так"},
    "/payments/1/ignore": {"reason": "так"}, "/payments/1/queue": None, "/allocations/1/undo": {"reason": "так"},
    "/match-again": None, "/statements/1/check": None, "/statements/1/load": None, "/statements/1/discard": None,
    "/accounts": {"account": OURS, "bik": "044525225", "bank": "Б", "organisation": US},
    "/accounts/1/state": {"active": False}, "/invoices/1/attach": {"deal_id": 1},
    "/invoices/1/cancel": {"reason": "так"}, "/invoices/1/restore": None,
}  # fmt: skip
_numbers = iter(range(100, 100_000))


@pytest.fixture(autouse=True)
def _ours(desk: Desk) -> Iterator[None]:
    own_accounts(OURS)
    yield


def api(desk: Desk, method: str, path: str, *, by: str = "accountant", **more: Any) -> Any:
    return desk.as_(by).api(method, f"/money{path}", **more)


def send(desk: Desk, content: bytes, kind: str = "bank", name: str = "kl_to_1c.txt") -> Any:
    return api(desk, "POST", f"/statements/{kind}", files={"file": (name, content)})


def loaded(desk: Desk, *documents: dict[str, Any]) -> list[dict[str, Any]]:
    at = send(desk, statement(*documents)).json()["id"]
    assert api(desk, "POST", f"/statements/{at}/load").status_code == 200
    found = api(desk, "GET", "/payments", params={"statement_id": at}).json()["page"]["items"]
    return sorted(found, key=lambda one: int(one["id"]))


def invoice_of(desk: Desk, deal: int, amount: str = "1000") -> dict[str, Any]:
    sent = {"number": f"А-{next(_numbers)}", "date": "2026-11-20", "amount": amount}
    answer = api(desk, "POST", f"/deals/{deal}/invoices/recorded", json=sent)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def deal_of(desk: Desk, amount: int = 1000) -> int:
    return desk.deal(f"Сделка {next(_numbers)}", company_id=client(INN), amount=amount)


def test_nobody_gets_or_changes_anything(desk: Desk) -> None:
    nobody = TestClient(desk.app, follow_redirects=False)
    for path in READS:
        assert nobody.get(f"/backoffice/api/money{path}").status_code == 401, path
    for path, body in CHANGES.items():
        assert nobody.post(f"/backoffice/api/money{path}", json=body).status_code == 401, path
    big = nobody.post("/backoffice/api/money/statements/bank", files={"file": ("a.txt", b"x" * 3_000_000)})
    assert big.status_code == 401


@pytest.mark.parametrize("login", ["manager", "boss", "ops", "stranger"])
def test_those_who_do_not_handle_money_are_refused(desk: Desk, login: str) -> None:
    invoice_of(desk, deal_of(desk))
    loaded(desk, paying(3, f"x {next(_numbers)}"))
    for path in READS:
        assert api(desk, "GET", path, by=login).status_code == 403, path
    for path, body in CHANGES.items():
        assert api(desk, "POST", path, by=login, json=body).status_code == 403, path


def test_a_statement_from_end_to_end(desk: Desk) -> None:
    deal = deal_of(desk)
    invoice = invoice_of(desk, deal)
    content = statement(paying(1000, f"Оплата по счёту № {invoice['number']}"), paying(5, f"x{next(_numbers)}"))
    sent = send(desk, content)
    assert sent.status_code == 201
    row = sent.json()
    assert row["state"] == "checked"
    assert row["link"] == f"/backoffice/money/statements/{row['id']}"
    shown = api(desk, "GET", f"/statements/{row['id']}").json()
    assert (shown["news"]["incoming"], shown["news"]["incoming_sum"]) == (2, "1005.00")
    done = api(desk, "POST", f"/statements/{row['id']}/load").json()
    assert "Сопоставлено само: 1" in done["text"]
    assert done["statement"]["row"]["state"] == "loaded"
    again = api(desk, "POST", f"/statements/{row['id']}/load").json()
    assert "уже загружен" in again["text"]
    assert api(desk, "POST", f"/statements/{row['id']}/discard").status_code == 409
    money = api(desk, "GET", f"/deals/{deal}", by="manager").json()
    assert (money["confirmed"], money["invoices"][0]["due"]) == ("1000.00", "0.00")


def test_a_table_tells_its_wrong_cells(desk: Desk) -> None:
    good = {"Дата": "20.11.2026", "Сумма": "19,90", "Плательщик": "ООО Ромашка", "ИНН": INN,
            "Назначение": f"за товар {next(_numbers)}"}  # fmt: skip
    row = send(desk, sheet(good, {**good, "Дата": "вчера"}), "sheet", "платежи.xlsx").json()
    shown = api(desk, "GET", f"/statements/{row['id']}").json()
    assert [one["cell"] for one in shown["problems"]] == ["A3"]
    assert shown["news"]["incoming"] == 1


def test_a_payment_is_given_taken_back_and_put_aside(desk: Desk) -> None:
    deal = deal_of(desk)
    invoice = invoice_of(desk, deal)
    (payment,) = loaded(desk, paying(600, f"аванс {next(_numbers)}"))
    here = f"/payments/{payment['id']}"
    found = api(desk, "GET", f"{here}/targets", params={"query": invoice["number"]}).json()
    assert (deal, invoice["id"], "1000.00") in {(one["deal"]["id"], one["invoice_id"], one["due"]) for one in found}
    part = {"deal_id": deal, "invoice_id": invoice["id"], "amount": "600.00"}
    for wrong in ({**part, "amount": 600.0}, {**part, "amount": "0"}, {**part, "amount": "1.001"},
                  {**part, "extra": 1}):  # fmt: skip
        assert api(desk, "POST", f"{here}/match", json={"parts": [wrong]}).status_code == 422, wrong
    too_much = api(desk, "POST", f"{here}/match", json={"parts": [{**part, "amount": "601"}]})
    assert too_much.status_code == 409
    foreign = api(desk, "POST", f"{here}/match", json={"parts": [{**part, "deal_id": deal_of(desk)}]})
    assert foreign.status_code == 422
    made = api(desk, "POST", f"{here}/match", json={"parts": [part]}).json()
    assert made["payment"]["row"]["state"] == "matched"
    assert api(desk, "POST", f"{here}/ignore", json={"reason": "так"}).status_code == 409
    allocation = made["payment"]["allocations"][0]["id"]
    back = api(desk, "POST", f"/allocations/{allocation}/undo", json={"reason": "не то"}).json()
    assert (back["row"]["state"], back["undone"][0]["undone_reason"]) == ("queue", "не то")
    assert api(desk, "POST", f"{here}/ignore", json={"reason": ""}).status_code == 422
    assert api(desk, "POST", f"{here}/ignore", json={"reason": "кредит"}).json()["row"]["state"] == "ignored"
    assert api(desk, "POST", f"{here}/queue").json()["row"]["state"] == "queue"


def test_an_invoice_is_issued_once_for_a_key(desk: Desk) -> None:
    deal, key = deal_of(desk, 300), {"Idempotency-Key": f"k-{next(_numbers)}"}
    first = api(desk, "POST", f"/deals/{deal}/invoices", by="manager", json={}, headers=key)
    assert first.status_code == 201, first.text
    assert (first.json()["amount"], first.json()["source"]) == ("300.00", "own")
    second = api(desk, "POST", f"/deals/{deal}/invoices", by="manager", json={}, headers=key)
    assert second.json()["id"] == first.json()["id"]
    assert api(desk, "POST", f"/deals/{deal}/invoices", by="stranger", json={}).status_code == 404
    refused = api(desk, "POST", f"/deals/{deal}/invoices", by="manager", json={"vat": "vat99", "amount": "1"})
    assert (refused.status_code, refused.json()["field"]) == (422, "vat")
    here = f"/invoices/{first.json()['id']}"
    assert api(desk, "GET", here, by="manager").status_code == 200
    assert api(desk, "GET", here, by="stranger").status_code == 404
    cancelled = api(desk, "POST", f"{here}/cancel", json={"reason": "передумали"}).json()
    assert (cancelled["state"], cancelled["cancelled_reason"]) == ("cancelled", "передумали")
    assert api(desk, "POST", f"{here}/restore").json()["state"] == "issued"


def test_a_large_statement_passes_the_limit_of_other_requests(desk: Desk) -> None:
    many = [paying(1, f"много {number} {'о' * 200}", number=str(number)) for number in range(3000)]
    content = statement(*many)
    assert len(content) > 1_000_000
    assert send(desk, content).json()["state"] == "checked"
