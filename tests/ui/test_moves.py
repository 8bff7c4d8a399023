"""A move on the pages and over the API: warned of, confirmed, refused with what is unmet (R002-32, R002-60)."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

pytestmark = pytest.mark.db
UNSIGNED = "Договор не подписан"


@pytest.fixture
def unsigned(desk, request):
    """A deal on «Договор» whose contract is needed and not signed."""
    deal = desk.deal(f"Без подписи {request.node.name[:40]}", contract_needed=True, amount="100")
    desk.move(deal, "Договор")
    return deal


@pytest.fixture
def blocking(desk):
    desk.change("UPDATE setting SET value = 'true' WHERE code = 'contract_signed_blocks'")
    yield
    desk.change("UPDATE setting SET value = 'false' WHERE code = 'contract_signed_blocks'")


def test_nobody_moves_without_a_login(desk, unsigned):
    stranger = TestClient(desk.app)
    assert stranger.get(f"/backoffice/api/deals/{unsigned}/moves").status_code == 401
    asked = stranger.post(f"/backoffice/api/deals/{unsigned}/stage", json={"stage": "won"})
    assert asked.status_code in (401, 403)


def test_a_foreign_deal_has_no_moves(desk, unsigned):
    assert desk.as_("colleague").api("GET", f"/deals/{unsigned}/moves").status_code == 404
    assert desk.as_("colleague").post(f"/deals/{unsigned}/stage", stage="picking").status_code == 404


def test_whoever_only_sees_the_deal_is_told_that_he_may_not_move_it(desk, unsigned):
    rows = desk.as_("accountant").api("GET", f"/deals/{unsigned}/moves").json()
    assert rows
    assert not any(one["may"] for one in rows)
    refused = desk.as_("accountant").post(f"/deals/{unsigned}/stage", stage="picking", seen_stage="contract")
    assert refused.status_code == 403


def test_a_page_move_with_a_warning_asks_first(desk, unsigned, words):
    asked = desk.as_("manager").post(f"/deals/{unsigned}/stage", stage="picking", seen_stage="contract")
    assert asked.status_code == 200
    assert "Перевести на «Комплектация»?" in words(asked)
    assert UNSIGNED in words(asked)
    assert f'href="/backoffice/deals/{unsigned}#field-contract_signed"' in asked.text
    assert desk.stage(unsigned) == "contract"
    done = desk.as_("manager").post(f"/deals/{unsigned}/stage", stage="picking", seen_stage="contract", confirmed="yes")
    assert "переведена на стадию «Комплектация»" in words(done)
    assert desk.stage(unsigned) == "picking"


def test_a_page_move_that_is_forbidden_lists_what_is_unmet_with_links(desk, unsigned, blocking, words):
    for confirmed in ("", "yes"):  # agreeing changes nothing
        refused = desk.as_("admin").post(
            f"/deals/{unsigned}/stage", stage="picking", seen_stage="contract", confirmed=confirmed
        )
        assert refused.status_code == 409
        assert "Сделку нельзя перевести на «Комплектация»" in words(refused)
        assert UNSIGNED in words(refused)
        assert f'href="/backoffice/deals/{unsigned}#field-contract_signed"' in refused.text
    assert desk.stage(unsigned) == "contract"


def test_the_api_moves_and_hands_the_warnings_over(desk, unsigned):
    """R002-32: a warning never stops a program."""
    moved = desk.as_("manager").api("POST", f"/deals/{unsigned}/stage", json={"stage": "picking"})
    assert moved.status_code == 200
    assert moved.json()["stage"]["code"] == "picking"
    assert [one["text"] for one in moved.json()["warnings"]] == [UNSIGNED]
    again = desk.as_("manager").api("POST", f"/deals/{unsigned}/stage", json={"stage": "contract"})
    assert again.json()["warnings"] == []


def test_the_api_refuses_with_what_is_missing(desk, unsigned, blocking):
    refused = desk.as_("manager").api("POST", f"/deals/{unsigned}/stage", json={"stage": "Комплектация"})
    assert refused.status_code == 409
    link = f"/backoffice/deals/{unsigned}#field-contract_signed"
    assert refused.json()["missing"] == [{"text": UNSIGNED, "link": link}]
    assert desk.stage(unsigned) == "contract"


def test_moves_over_the_api_say_what_each_stage_misses(desk, unsigned):
    desk.task("открытая", next(name for name, one in desk.company.deals.items() if one == unsigned))
    rows = {one["stage"]["code"]: one for one in desk.as_("manager").api("GET", f"/deals/{unsigned}/moves").json()}
    assert set(rows) == {"new", "identification", "quote", "picking", "shipping", "wrap_up", "won", "lost"}
    assert [one["text"] for one in rows["picking"]["warnings"]] == [UNSIGNED]
    assert [one["text"].replace("\u00a0", " ") for one in rows["won"]["warnings"]] == [
        UNSIGNED, "Есть долг: 100,00 ₽", "Не закрыта задача «Задача открытая»",
    ]  # fmt: skip
    assert rows["lost"]["warnings"] == rows["quote"]["warnings"] == []
    assert [code for code, one in rows.items() if one["closes"]] == ["won", "lost"]
    assert all(one["may"] and not one["blocks"] for one in rows.values())


def test_closing_still_asks_where_nothing_is_missing(desk, words):
    deal = desk.deal("Чистая сделка")
    asked = desk.as_("manager").post(f"/deals/{deal}/stage", stage="won", seen_stage="new")
    assert "Перевести на «Сделка успешна»?" in words(asked)
    assert "Обратите внимание" not in words(asked)
    assert desk.stage(deal) == "new"
