"""The talk on the card of a deal: what is said is escaped, a call is a notice, a slip is taken back (issue 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.ui.conftest import ORIGIN, Desk

pytestmark = pytest.mark.db
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def deal(desk: Desk) -> int:
    return desk.deal("Разговор")


def last_comment(desk: Desk) -> int:
    return int(desk.one("SELECT max(id) FROM comment"))


def test_without_a_login_nothing_is_said(desk: Desk, deal: int) -> None:
    nobody = TestClient(desk.app, follow_redirects=False)
    for path in (f"/deals/{deal}/comments", "/comments/1/remove", "/comments/1/back"):
        answer = nobody.post(f"/backoffice{path}", data={"text": "x"}, headers={"Origin": ORIGIN})
        assert answer.headers["location"].startswith("/backoffice/login"), path


def test_a_foreign_talk_does_not_exist(desk: Desk, deal: int) -> None:
    desk.as_("manager").post(f"/deals/{deal}/comments", text="Между нами")
    made, stranger = last_comment(desk), desk.as_("stranger")
    assert stranger.post(f"/deals/{deal}/comments", text="x").status_code == 404
    assert stranger.post(f"/comments/{made}/remove").status_code == 404
    assert stranger.post(f"/comments/{made}/back").status_code == 404
    assert desk.as_("boss").post(f"/comments/{made}/remove").status_code == 403


def test_what_is_said_stands_escaped_with_its_links(desk: Desk, deal: int, words: Callable[[Any], str]) -> None:
    manager = desk.as_("manager")
    assert "Пока никто ничего не написал" in words(manager.get(f"/deals/{deal}"))
    text = f"{HOSTILE} https://example.ru/a?b=1. javascript:alert(1)"
    answer = manager.post(f"/deals/{deal}/comments", follow=False, text=text)
    assert answer.headers["location"] == f"/backoffice/deals/{deal}#comment-{last_comment(desk)}"
    page = manager.get(f"/deals/{deal}")
    assert HOSTILE in words(page)
    assert "<img src=x" not in page.text
    assert '<a href="https://example.ru/a?b=1" target="_blank" rel="noopener noreferrer nofollow">' in page.text
    assert 'href="javascript' not in page.text


def test_a_call_is_a_notice_that_leads_to_the_words(desk: Desk, deal: int, words: Callable[[Any], str]) -> None:
    desk.as_("manager").post(f"/deals/{deal}/comments", text="@Гусев посмотрите")
    stranger = desk.as_("stranger")
    page = stranger.get("/notices")
    assert "Иванова И. зовёт вас в обсуждение: Разговор" in words(page)
    notice = desk.one(
        "SELECT max(notice.id) FROM notice JOIN account USING (person_id) WHERE account.login = 'stranger'"
    )
    answer = stranger.post(f"/notices/{notice}/open", follow=False)
    assert answer.headers["location"] == f"/backoffice/deals/{deal}#comment-{last_comment(desk)}"
    assert "@Гусев посмотрите" in words(stranger.get(f"/deals/{deal}"))


def test_who_was_chosen_in_the_list_settles_it(desk: Desk, deal: int) -> None:
    chosen = str(desk.company.people["stranger"])
    desk.as_("manager").post(f"/deals/{deal}/comments", text="Посмотрите", mentions=f"{chosen},x,,{chosen}")
    called = "SELECT count(*) FROM comment_mention WHERE comment_id = :id AND person_id = :person"
    assert desk.one(called, id=last_comment(desk), person=int(chosen)) == 1


def test_what_cannot_be_said_stays_in_its_box(desk: Desk, deal: int, words: Callable[[Any], str]) -> None:
    manager = desk.as_("manager")
    for text, said in (("", "Напишите сообщение."), ("слово " * 1000, "до 4000 знаков")):
        answer = manager.post(f"/deals/{deal}/comments", text=text)
        assert answer.status_code == 422
        assert said in words(answer)
        assert 'aria-invalid="true"' in answer.text
        box = re.search(r'<textarea[^>]*id="talk-text"[^>]*>([^<]*)</textarea>', answer.text)
        assert box is not None
        assert box.group(1) == text
    assert words(manager.get(f"/deals/{deal}")).count("Сообщение удалено") == 0


def test_a_form_sent_twice_says_it_once(desk: Desk, deal: int) -> None:
    manager = desk.as_("manager")
    for _ in range(2):
        manager.post(f"/deals/{deal}/comments", text="Один раз", request_key="pressed-twice")
    counted = "SELECT count(*) FROM comment JOIN deal USING (case_id) WHERE deal.id = :id"
    assert desk.one(counted, id=deal) == 1


def test_a_slip_is_taken_back_and_returned(desk: Desk, deal: int, words: Callable[[Any], str]) -> None:
    manager = desk.as_("manager")
    manager.post(f"/deals/{deal}/comments", text="Не туда написала")
    made = last_comment(desk)
    back = f"/backoffice/deals/{deal}#comment-{made}"
    answer = manager.post(f"/comments/{made}/remove", back=back)
    assert "Сообщение удалено. Вернуть его можно в течение часа" in words(answer)
    page = manager.get(f"/deals/{deal}")
    assert "Не туда написала" not in page.text
    assert f'action="/backoffice/comments/{made}/back"' in page.text
    others = desk.as_("boss").get(f"/deals/{deal}").text
    assert "Не туда написала" not in others
    assert f"/comments/{made}/back" not in others
    assert "Не туда написала" in words(manager.post(f"/comments/{made}/back", back=back))
    evil = manager.post(f"/comments/{made}/remove", follow=False, back="https://evil.example/")
    assert evil.headers["location"] == "/backoffice/deals"


def test_older_words_are_turned_to(desk: Desk, deal: int, words: Callable[[Any], str]) -> None:
    manager = desk.as_("manager")
    for number in range(33):
        manager.api("POST", f"/deals/{deal}/comments", json={"text": f"слово-{number}-"})
    page = manager.get(f"/deals/{deal}")
    assert "слово-32-" in page.text
    assert "слово-2-" not in page.text
    older = re.search(r'href="/backoffice(/deals/\d+\?talk=\d+)#talk"', page.text)
    assert older is not None
    before = words(manager.get(older.group(1)))
    assert "слово-2-" in before
    assert "слово-32-" not in before
    assert "К последним" in before
    assert manager.get(f"/deals/{deal}?talk=x").status_code == 200
