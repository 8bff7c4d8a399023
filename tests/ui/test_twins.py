"""«Похожие контрагенты» as those who answer for the exchange meet them: joined, told apart, undone (line 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from include.companies import twins
from include.companies.models import Company
from include.companies.services import create_company
from include.shared.db import engine
from include.shared.work import INTEGRATION, transaction
from tests.ui.conftest import ORIGIN, Desk

pytestmark = pytest.mark.db
Words = Callable[[Any], str]
INN = "7707083893"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def pair(desk: Desk) -> Iterator[dict[str, int]]:
    """A card of staff with a deal, its twin of 1C with another one, and the question about them."""
    with engine().begin() as connection:
        connection.execute(text("TRUNCATE company_twin"))
        connection.execute(text("UPDATE company SET inn = NULL, external_id = NULL, joined_into_id = NULL"))
    with transaction(desk.company.actor("manager")) as work:
        kept = create_company(work, f"ООО Ромашка {HOSTILE}", inn=INN, kpp="770701001").id
    with transaction(INTEGRATION) as work:
        other = Company(
            name="Ромашка ООО", search_key="ромашка ооо", external_id="one-c", inn=INN, kpp="770702002",
            created_at=work.now, details={"addresses": [{"text": "Москва, Тверская, 1"}]},
        )  # fmt: skip
        work.session.add(other)
        work.session.flush()
        twins.note(work, 0, ["one-c"])
        other_id = other.id
    desk.deal("За первой", company_id=kept)
    desk.deal("За второй", company_id=other_id)
    yield {"kept": kept, "other": other_id, "id": int(desk.one("SELECT id FROM company_twin"))}


def test_nobody_and_others_are_refused(desk: Desk, pair: dict[str, int]) -> None:
    nobody = TestClient(desk.app, follow_redirects=False)
    here = f"/twins/{pair['id']}"
    assert nobody.get("/backoffice/api/twins").status_code == 401
    assert nobody.get(f"/backoffice{here}").status_code == 303
    for login in ("manager", "boss", "stranger", "ops"):
        someone = desk.as_(login)
        assert someone.get("/twins").status_code == 403, login
        assert someone.get(here).status_code == 403
        assert someone.post("/twins", kept_id="1", other_id="2").status_code == 403
        for act in ("join", "separate", "undo"):
            assert someone.post(f"{here}/{act}", confirmed="yes").status_code == 403
            assert someone.api("POST", f"{here}/{act}").status_code == 403
    assert desk.one("SELECT state FROM company_twin") == "open"


def test_an_act_without_its_token_is_refused(desk: Desk, pair: dict[str, int]) -> None:
    client = desk.as_("accountant").client
    answer = client.post(f"/backoffice/twins/{pair['id']}/separate", data={"csrf": "чужой"}, headers={"Origin": ORIGIN})
    assert answer.status_code == 403
    assert desk.one("SELECT state FROM company_twin") == "open"


def test_two_cards_are_joined_and_taken_apart(desk: Desk, pair: dict[str, int], words: Words) -> None:
    accountant, here = desk.as_("accountant"), f"/twins/{pair['id']}"
    page = accountant.get("/twins")
    assert "одинаковый ИНН, разные КПП" in words(page)
    assert "<script>alert" not in page.text
    shown = words(accountant.get(here))
    assert "Москва, Тверская, 1" in shown
    assert "К ней перейдут: сделок: 1." in shown
    asked = words(accountant.post(f"{here}/join"))
    assert "Соединить карточки?" in asked
    assert desk.one("SELECT state FROM company_twin") == "open"
    done = words(accountant.post(f"{here}/join", confirmed="yes"))
    assert "Карточки соединены" in done
    assert f"действует № {pair['kept']}" in done
    owners = "SELECT count(*) FROM deal WHERE company_id = :kept"
    assert desk.one(owners, kept=pair["kept"]) == 2
    again = accountant.post(f"{here}/join", confirmed="yes")
    assert again.status_code == 409
    assert "уже решено" in words(again)
    assert "Ромашка ООО" in words(accountant.get("/twins?state=joined"))
    undone = words(accountant.post(f"{here}/undo"))
    assert "пара снова ждёт" in undone
    assert desk.one(owners, kept=pair["kept"]) == 1


def test_different_ones_are_told_apart(desk: Desk, pair: dict[str, int], words: Words) -> None:
    accountant = desk.as_("accountant")
    assert "разные контрагенты" in words(accountant.post(f"/twins/{pair['id']}/separate"))
    assert "Решать нечего" in words(accountant.get("/twins"))
    assert accountant.post(f"/twins/{pair['id']}/separate").status_code == 409


def test_a_person_chooses_two_cards(desk: Desk, pair: dict[str, int], words: Words) -> None:
    accountant = desk.as_("accountant")
    with transaction(desk.company.actor("manager")) as work:
        third = create_company(work, "Лютик особый").id
    found = words(accountant.get("/twins?one=Ромашка&other=Лютик"))
    assert f"№ {third} Лютик особый" in found
    assert "Вторая карточка не найдена" in words(accountant.get("/twins?one=Ромашка&other=нетникого"))
    assert accountant.post("/twins", kept_id="", other_id="").status_code == 422
    same = accountant.post("/twins", kept_id=str(third), other_id=str(third))
    assert same.status_code == 422
    made = words(accountant.post("/twins", kept_id=str(pair["other"]), other_id=str(third)))
    assert "Выбраны человеком" in made


def test_the_same_by_the_api(desk: Desk, pair: dict[str, int]) -> None:
    accountant, here = desk.as_("accountant"), f"/twins/{pair['id']}"
    found = accountant.api("GET", "/twins").json()
    assert found["counts"] == {"open": 1, "joined": 0, "separated": 0}
    assert found["page"]["items"][0]["id"] == pair["id"]
    card = accountant.api("GET", here).json()
    assert {one["title"] for one in card["fields"] if one["differs"]} >= {"Наименование", "КПП", "Ид 1С"}
    assert card["other"]["hanging"] == ["сделок: 1"]
    joined = accountant.api("POST", f"{here}/join").json()
    assert (joined["row"]["state"], joined["decided_by"]["id"]) == ("joined", desk.company.people["accountant"])
    assert accountant.api("POST", f"{here}/separate").status_code == 409
    assert accountant.api("POST", f"{here}/undo").json()["row"]["state"] == "open"
    body = {"kept_id": pair["kept"], "other_id": pair["other"]}
    assert accountant.api("POST", "/twins", json=body).json()["row"]["id"] == pair["id"]
    assert accountant.api("POST", "/twins", json={**body, "other_id": 10**9}).status_code == 404
    assert accountant.api("GET", f"/twins/{10**9}").status_code == 404
