"""Approvals over the API: who sees what, the answer, the letter's link (R002-64…67, features 34–38)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from include.approvals import core
from include.approvals.core import Seat
from include.deals import services as deals
from include.deals.models import Deal
from include.documents import services as documents
from include.shared.work import transaction
from tests.ui.api.conftest import Company

pytestmark = pytest.mark.db
FIX = {"title": "Устранить замечания", "to": "responsible"}
_keys = itertools.count(1)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKOFFICE_SECRET", "secret-of-the-tests")


@pytest.fixture
def begin(company: Company) -> Any:
    """Ask approvers about a deal of the manager."""

    def make(*addresses: str, deal: int = company.deals["mine"], **more: Any) -> int:
        with transaction() as work:
            case_id = work.session.get_one(Deal, deal).case_id
            work.lock_case(case_id)
            values = {
                "key": f"api/{next(_keys)}", "case_id": case_id, "instance_id": None, "step": "approval",
                "title": "Договор", "description": "Нестандартный", "mode": "chain", "quorum": None, "field": None,
                "fix": FIX, "initiator_id": company.people["manager"], "stage_id": None, "on_leave": "cancel",
                "term": {"days": 1}, "seats": [Seat("Утверждающий договор", one) for one in addresses],
            }  # fmt: skip
            return core.open_approval(work, **{**values, **more}).id

    return make


def upload(deal: int, content: str) -> int:
    with transaction() as work:
        case_id = work.session.get_one(Deal, deal).case_id
        return documents.add_version(work, case_id, "contract_draft", "Договор.txt", content.encode()).id


def test_an_approval_waits_in_the_list_of_who_decides_and_is_decided(as_: Any, begin: Any) -> None:
    one = begin("head")
    waiting = as_("boss").get("/approvals").json()
    assert one in [row["id"] for row in waiting["items"]]
    assert one in [row["id"] for row in as_("manager").get("/approvals?scope=initiated").json()["items"]]
    assert one not in [row["id"] for row in as_("manager").get("/approvals").json()["items"]]
    page = as_("boss").get(f"/approvals/{one}").json()
    assert (page["may_decide"], page["approval"]["state_title"]) == (True, "согласуется")
    assert page["rounds"][0]["seats"][0]["deciders"][0]["name"] == "Паздников И."
    decided = as_("boss").post(f"/approvals/{one}/decision", json={"answer": "approve"})
    assert decided.status_code == 200, decided.text
    assert decided.json()["approval"]["state"] == "approved"
    assert one in [row["id"] for row in as_("boss").get("/approvals?scope=decided").json()["items"]]
    assert as_("boss").post(f"/approvals/{one}/decision", json={"answer": "approve"}).status_code == 200


def test_a_rejection_needs_its_remark(as_: Any, begin: Any) -> None:
    """R002-65."""
    one = begin("head")
    for body in ({"answer": "reject"}, {"answer": "reject", "remark": "  "}):
        answer = as_("boss").post(f"/approvals/{one}/decision", json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, "remark")
    answer = as_("boss").post(f"/approvals/{one}/decision", json={"answer": "reject", "remark": "нет реквизитов"})
    assert answer.json()["approval"]["state"] == "rework"
    task = as_("manager").get(f"/tasks/{answer.json()['fix_task_id']}").json()
    assert "нет реквизитов" in task["description"]


@pytest.mark.parametrize(
    "body", [{}, {"answer": "maybe"}, {"answer": "approve", "x": 1}, {"answer": "approve", "seat_id": 0}]
)
def test_nonsense_is_refused(as_: Any, begin: Any, body: dict[str, Any]) -> None:
    one = begin("head")
    assert as_("boss").post(f"/approvals/{one}/decision", json=body).status_code == 422


def test_others_do_not_learn_of_it(as_: Any, begin: Any) -> None:
    one = begin("head")
    for path in (f"/approvals/{one}", "/approvals/999999", "/deals/999999/approvals"):
        assert as_("stranger").get(path).status_code == 404
    assert as_("stranger").post(f"/approvals/{one}/decision", json={"answer": "approve"}).status_code == 404
    assert as_("stranger").post(f"/approvals/{one}/link").status_code == 404


@pytest.mark.parametrize("login", ["manager", "admin", "accountant"])
def test_whoever_sees_the_deal_reads_and_does_not_decide(as_: Any, begin: Any, login: str) -> None:
    one = begin("head")
    assert as_(login).get(f"/approvals/{one}").json()["may_decide"] is False
    assert as_(login).post(f"/approvals/{one}/decision", json={"answer": "approve"}).status_code == 403
    assert as_(login).post(f"/approvals/{one}/link").status_code == 403


def test_who_decides_without_seeing_the_deal_gets_no_way_to_it(as_: Any, begin: Any) -> None:
    one = begin("role:product_manager", key=f"api/{next(_keys)}")
    case = as_("product").get(f"/approvals/{one}").json()["approval"]["case"]
    sees = as_("product").get(f"/deals/{case['deal_id'] or 1}").status_code == 200
    assert (case["link"] is not None) == sees


def test_an_old_file_is_not_approved(as_: Any, begin: Any, company: Company) -> None:
    """★40."""
    with transaction(company.actor("manager")) as work:
        manager = company.people["manager"]
        deal = deals.create_deal(work, title="Сделка с договором", funnel="Товары", responsible_id=manager).id
    seen = upload(deal, "Цена 100")
    one = begin("head", deal=deal, field="contract_draft")
    new = upload(deal, "Цена 120")
    decide = as_("boss").post
    assert decide(f"/approvals/{one}/decision", json={"answer": "approve", "seen_version": seen}).status_code == 409
    assert decide(f"/approvals/{one}/decision", json={"answer": "approve", "seen_version": new}).status_code == 200
    page = as_("boss").get(f"/approvals/{one}").json()
    assert page["file"]["id"] == new
    assert page["rounds"][0]["seats"][0]["version"] == page["file"]["number"]


def test_the_link_of_who_decides(as_: Any, begin: Any) -> None:
    one = begin("head")
    made = as_("boss").post(f"/approvals/{one}/link").json()
    assert "/backoffice/decide/" in made["url"]
    assert made["expires_at"]


def test_the_approvals_of_a_deal(as_: Any, begin: Any, company: Company) -> None:
    one = begin("head")
    listed = as_("manager").get(f"/deals/{company.deals['mine']}/approvals").json()
    assert listed[0]["approval"]["id"] == one
