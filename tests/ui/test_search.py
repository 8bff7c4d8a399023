"""The search page, the search of the header and its API."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

pytestmark = pytest.mark.db


@pytest.fixture(scope="module")
def bearing(desk):
    deal = desk.deal("Подшипники качения 6205", company_id=desk.company.companies["romashka"])
    desk.task("искать", "Подшипники качения 6205")
    desk.change("UPDATE task SET title = 'Уточнить подшипник' WHERE id = :id", id=desk.company.tasks["искать"])
    return deal


def test_nobody_searches_without_a_login(desk):
    stranger = TestClient(desk.app)
    assert stranger.get("/backoffice/search?q=подшипник", follow_redirects=False).status_code == 303
    assert stranger.get("/backoffice/api/search?q=подшипник").status_code == 401


def test_results_stand_in_groups_with_what_fits_marked(desk, bearing, words):
    answer = desk.as_("manager").get("/search?q=подшипника")
    said = words(answer)
    assert said.index("Сделки") < said.index("Задачи")
    assert "<mark>Подшипники</mark>" in answer.text
    assert f'href="/backoffice/deals/{bearing}"' in answer.text
    assert f'href="/backoffice/tasks/{desk.company.tasks["искать"]}"' in answer.text
    by_company = desk.as_("manager").get("/search?q=ромашка")
    assert f'href="/backoffice/deals/{bearing}"' in by_company.text
    link = re.search(r'href="(/backoffice/deals\?company=\d+)"', by_company.text).group(1)
    listed = desk.as_("manager").get(link.removeprefix("/backoffice"))
    assert "компания: ООО «Ромашка»" in words(listed)
    assert "Подшипники качения 6205" in words(listed)


def test_others_find_nothing_and_are_told_why(desk, bearing, words):
    said = words(desk.as_("stranger").get("/search?q=подшипники"))
    assert "Ничего не нашлось" in said
    assert "Видно только то, к чему у вас есть доступ" in said


@pytest.mark.parametrize(("query", "said"), [("", "Что найти?"), ("я", "Слишком коротко"), ("!!", "Слишком коротко")])
def test_too_little_is_asked_for_more(desk, words, query, said):
    assert said in words(desk.as_("manager").get(f"/search?q={query}"))


@pytest.mark.parametrize("query", ["%00%00", "%F0%28", "%5C", "'';--", "%3Cscript%3E", "a" * 5000, "%EE%80%80x"])
def test_strange_signs_are_never_an_error_of_ours(desk, query):
    answer = desk.as_("manager").get(f"/search?q={query}&kind=нет")
    assert answer.status_code == 200
    assert "<script>" not in answer.text


def test_the_api_answers_with_pieces_not_markup(desk, bearing):
    answer = desk.as_("manager").api("GET", "/search?q=подшип&per_group=5").json()
    (hit,) = next(one["hits"] for one in answer["groups"] if one["kind"] == "deals")
    assert hit["id"] == bearing
    assert hit["parts"][0] == {"text": "Подшипники", "found": True}
    only = desk.as_("manager").api("GET", "/search?q=подшип&kind=tasks").json()
    assert [one["kind"] for one in only["groups"]] == ["tasks"]
    assert desk.as_("manager").api("GET", "/search?q=п").json()["too_short"] is True
    assert desk.as_("manager").api("GET", "/search?q=подшип&kind=люди").status_code == 422
    assert desk.as_("manager").api("GET", "/search?q=подшип&per_group=1000").status_code == 422


def test_a_search_asks_the_database_a_few_times_only(desk, bearing):
    desk.as_("boss").get("/search?q=подшипник")
    with desk.questions() as asked:
        desk.as_("boss").get("/search?q=подшипник")
    assert len(asked) <= 12, asked


def test_the_box_of_the_header_leads_to_the_page(desk):
    page = desk.as_("manager").get("/search?q=подшипник").text
    assert re.search(r'<form class="topsearch" action="/backoffice/search"', page)
    assert 'value="подшипник"' in page


def test_an_unknown_company_of_the_list_is_said_so(desk):
    assert desk.as_("manager").get("/deals?company=999999").status_code == 404
    assert desk.as_("manager").get("/deals?company=abc").status_code == 200
