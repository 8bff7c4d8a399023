"""The board: filters in the address and remembered, columns page by page, quick with twenty thousand deals."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

pytestmark = pytest.mark.db


def titles(answer) -> set[str]:
    return set(re.findall(r'class="dealcard-title"[^>]*>([^<]+)<', answer.text))


def board(desk, query: str = "who=all", login: str = "admin"):
    answer = desk.as_(login).get(f"/board/goods?{query}")
    assert answer.status_code == 200, answer.text[:500]
    return answer


@pytest.fixture(scope="module")
def deals(desk):
    """Deals that differ in what the filters ask about."""
    made = {
        "Насос": desk.deal("Насос", amount="1000"),
        "Вал": desk.deal("Вал", "colleague", amount="50 000,50"),
        "Ремень": desk.deal("Ремень", "stranger"),
        "Цепь": desk.deal("Цепь", company_id=desk.company.companies["romashka"], amount="300"),
    }
    desk.task("поздно", "Вал", "colleague", due_at="2020-01-01T00:00:00+00:00")
    desk.task("рано", "Насос", due_at="2090-01-01T00:00:00+00:00")
    desk.change("UPDATE stage_visit SET entered_at = now() - interval '20 days' WHERE deal_id = :id", id=made["Ремень"])
    return made


@pytest.mark.parametrize("path", ["/board", "/board/goods", "/board/goods/stages/new", "/board/goods/cards/1"])
def test_nobody_sees_the_board_without_a_login(desk, path):
    answer = TestClient(desk.app).get(f"/backoffice{path}", follow_redirects=False)
    assert answer.status_code == 303
    assert "/login" in answer.headers["location"]


def test_the_board_shows_only_what_may_be_seen(desk, deals):
    assert {"Насос", "Вал", "Ремень", "Цепь"} <= titles(board(desk))
    assert titles(board(desk, login="stranger")) & set(deals) == {"Ремень"}
    assert desk.as_("stranger").get(f"/board/goods/cards/{deals['Вал']}").status_code == 404
    assert "Вал" not in desk.as_("stranger").get("/board/goods/stages/new").text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("who=mine", set()), ("person={manager}", {"Насос", "Цепь"}), ("dept={sales}", {"Насос", "Вал", "Цепь"}),
        ("dept={top}", {"Насос", "Вал", "Ремень", "Цепь"}), ("company=ромашка", {"Цепь"}), ("company=770708", {"Цепь"}),
        ("late=1", {"Вал"}), ("stuck=19", {"Ремень"}), ("stuck=21", set()), ("from=999,99", {"Насос", "Вал"}),
        ("to=1000", {"Насос", "Цепь"}), ("from=301&to=50000", {"Насос"}), ("q=нас", {"Насос"}),
        ("q=ромашка", {"Цепь"}), ("late=1&dept={sales}&from=1", {"Вал"}), ("late=1&q=насос", set()),
    ],
)  # fmt: skip
def test_each_filter_keeps_what_it_says(desk, deals, query, shown):
    ids = {
        "manager": desk.company.people["manager"],
        "sales": desk.one("SELECT id FROM department WHERE name = 'Отдел продаж'"),
        "top": desk.one("SELECT id FROM department WHERE name = 'Компания'"),
    }
    assert titles(board(desk, query.format(**ids))) & set(deals) == shown


def test_heads_count_and_sum_what_is_left(desk, deals, words):
    said = words(board(desk, "q=цепь"))
    assert "Не обработан 300 ₽" in said
    assert "1 открытая сделка на 300 ₽" in said


@pytest.mark.parametrize("query", ["from=много", "to=-5", "stuck=скоро", "stuck=99999"])
def test_what_cannot_be_read_is_said_and_left_out(desk, deals, words, query):
    answer = board(desk, query)
    assert "Не учтено" in words(answer)
    assert set(deals) <= titles(answer)


@pytest.mark.parametrize(
    "query", ["person=abc", "dept=-1", "person=99999999999999999999", "q=%00", "late=да", "page=-7", "stage=нет&page=9"]
)
def test_a_strange_address_does_no_harm(desk, deals, query):
    board(desk, query)


def test_hostile_filters_stay_text(desk):
    answer = board(desk, "q=%3Cscript%3Ealert(1)%3C/script%3E&company=%22%3E%3Cimg%20src=x%3E")
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text


def test_filters_are_remembered_per_person_and_direction(desk, deals, words):
    boss, manager = desk.as_("boss"), desk.as_("manager")
    set_ = boss.post("/board/goods/filter", follow=False, q="вал", late="1", who="all")
    assert set_.headers["location"] == "/backoffice/board/goods?who=all&q=%D0%B2%D0%B0%D0%BB&late=1"
    bare = boss.get("/board/goods")
    assert titles(bare) == {"Вал"}
    assert "только просроченные" in words(bare)
    assert titles(boss.get("/board/goods?who=all")) > {"Вал"}  # an address that says what it shows wins
    assert titles(manager.get("/board/goods")) >= {"Насос", "Цепь"}
    assert boss.get("/board/services", follow_redirects=False).status_code == 200
    boss.post("/board/goods/filter", q="вал", late="1", reset="1")
    assert boss.get("/board/goods", follow_redirects=False).status_code == 200


def test_each_chosen_filter_can_be_taken_away(desk, deals):
    answer = board(desk, "late=1&q=вал&stuck=3")
    links = re.findall(r'class="tag is-blue" href="([^"]+)"', answer.text)
    assert len(links) == 3
    assert all(("late" in one) + ("q=" in one) + ("stuck" in one) == 2 for one in links)


def test_remembering_refuses_an_unknown_direction_and_nonsense(desk):
    assert desk.as_("boss").post("/board/нет/filter", q="x").status_code == 404
    long = desk.as_("boss").post("/board/goods/filter", follow=False, q="я" * 5000)
    assert len(long.headers["location"]) < 3000


def test_remembered_filters_need_the_page_s_own_token(desk):
    client = desk.as_("boss").client
    foreign = client.post("/backoffice/board/goods/filter", data={"q": "x"}, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403


def test_a_column_goes_on_page_by_page(desk, words):
    for number in range(13):
        desk.deal(f"Партия {number:02}", funnel="Услуги")
    first = desk.as_("admin").get("/board/services?q=партия")
    assert len(titles(first)) == 10
    assert "Ещё 3 из 3" in words(first)
    second = desk.as_("admin").get("/board/services/stages/new?q=партия&page=2")
    assert titles(second) == {"Партия 00", "Партия 01", "Партия 02"}
    assert "<html" not in second.text
    without_scripts = desk.as_("admin").get("/board/services?q=партия&stage=new&page=2")
    assert titles(without_scripts) == titles(second)
    assert "К началу" in words(without_scripts)
    beyond = desk.as_("admin").get("/board/services?q=партия&stage=new&page=9")
    assert titles(beyond) == set()
    assert "13 открытых сделок" in words(beyond)


def test_a_card_is_shown_alone_as_it_stands_now(desk, deals):
    answer = desk.as_("admin").get(f"/board/goods/cards/{deals['Насос']}")
    assert titles(answer) == {"Насос"}
    assert 'data-stage-code="new"' in answer.text
    assert desk.as_("admin").get(f"/board/services/cards/{deals['Насос']}").status_code == 404


def test_twenty_thousand_deals_stay_quick(desk):
    """The number of questions does not depend on the number of deals or cards."""
    desk.change(
        "WITH made AS (INSERT INTO process_case (key, kind, title, seq, time_zone)"
        " SELECT 'bulk-' || n, 'deal', 'Сделка ' || n, 0, 'Europe/Moscow' FROM generate_series(1, 20000) n"
        " RETURNING id, title), deals AS (INSERT INTO deal (case_id, title, search_key, funnel_code, stage_id,"
        " responsible_id, amount, created_at)"
        " SELECT made.id, title, lower(title), 'goods', (SELECT id FROM stage WHERE funnel_code = 'goods'"
        " ORDER BY position LIMIT 1 OFFSET made.id % 7), :person, 10, now() FROM made RETURNING id, stage_id)"
        " INSERT INTO stage_visit (deal_id, stage_id, entered_at) SELECT id, stage_id, now() FROM deals",
        person=desk.company.people["manager"],
    )
    desk.change("ANALYZE")
    for login, query in (
        ("admin", "who=all"), ("boss", "who=all"), ("boss", "late=1"), ("boss", "stuck=5&from=1&q=сделка"),
    ):  # fmt: skip
        desk.as_(login)
        with desk.questions() as asked:
            board(desk, query, login)
        assert len(asked) <= 28, (login, query, asked)
