"""API of talk: nobody, foreign and forbidden first; then what is said, taken back and returned (issue 3)."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from tests.ui.api.conftest import Company, client_of

pytestmark = pytest.mark.db


def test_nobody_reads_or_says_anything(outer_app: FastAPI, company: Company) -> None:
    client, deal = client_of(outer_app), company.deals["mine"]
    for method, path in (
        ("GET", f"/deals/{deal}/comments"),
        ("POST", f"/deals/{deal}/comments"),
        ("DELETE", "/comments/1"),
        ("POST", "/comments/1/back"),
    ):
        assert client.request(method, f"/backoffice/api{path}", json={"text": "x"}).status_code == 401, path


def test_a_foreign_talk_does_not_exist(as_: Any, company: Company) -> None:
    deal = company.deals["mine"]
    made = as_("manager").post(f"/deals/{deal}/comments", json={"text": "Между нами"}).json()
    stranger = as_("stranger")
    assert stranger.get(f"/deals/{deal}/comments").status_code == 404
    assert stranger.post(f"/deals/{deal}/comments", json={"text": "x"}).status_code == 404
    assert stranger.delete(f"/comments/{made['id']}").status_code == 404
    assert stranger.post(f"/comments/{made['id']}/back").status_code == 404
    assert as_("boss").delete(f"/comments/{made['id']}").status_code == 403
    assert as_("manager").delete("/comments/999999").status_code == 404


def test_what_is_said_is_read_taken_back_and_returned(as_: Any, company: Company) -> None:
    manager, deal = as_("manager"), company.deals["guarded"]
    answer = manager.post(f"/deals/{deal}/comments", json={"text": "@Гусев посмотрите"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert [one["id"] for one in made["mentions"]] == [company.people["stranger"]]
    read = as_("stranger").get(f"/deals/{deal}/comments").json()  # called, so he may
    assert [one["text"] for one in read["comments"]] == ["@Гусев посмотрите"]
    removed = manager.delete(f"/comments/{made['id']}").json()
    assert (removed["removed"], removed["text"], removed["mentions"]) == (True, "", [])
    assert as_("stranger").get(f"/deals/{deal}/comments").status_code == 404
    assert manager.post(f"/comments/{made['id']}/back").json()["text"] == "@Гусев посмотрите"


def test_a_repeated_request_says_nothing_twice(as_: Any, company: Company) -> None:
    manager, path = as_("manager"), f"/deals/{company.deals['service']}/comments"
    sent = {"json": {"text": "Один раз"}, "headers": {"Idempotency-Key": "said-once"}}
    assert manager.post(path, **sent).json()["id"] == manager.post(path, **sent).json()["id"]
    assert manager.get(path).json()["count"] == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"text": ""}, {"text": " \n "}, {"text": "x" * 4001}, {"text": "x", "mentions": [999999]},
     {"text": "x", "mentions": [True]}, {"text": "x", "more": 1}, {"text": "a\x00b"}, {"text": None}],
)  # fmt: skip
def test_what_cannot_be_said_is_refused(as_: Any, company: Company, body: dict[str, Any]) -> None:
    answer = as_("manager").post(f"/deals/{company.deals['mine']}/comments", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]
