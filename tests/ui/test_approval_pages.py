"""The pages of approvals: lists, one screen to decide, a letter's link that decides nothing by being opened."""

from __future__ import annotations

import hashlib
import io
import itertools
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from include.approvals import core
from include.deals.models import Deal
from include.documents.models import FileVersion
from include.shared.clock import machine_now
from include.shared.work import transaction
from tests.ui.api.conftest import forget_guesses

pytestmark = pytest.mark.db
ORIGIN = "http://testserver"
HOSTILE = "<script>alert(1)</script>\"'><img src=x>"
Words = Callable[[Any], str]
_keys = itertools.count(1)


@pytest.fixture(autouse=True)
def nobody_guesses() -> Iterator[None]:
    yield
    forget_guesses()


@pytest.fixture
def begin(desk: Any) -> Callable[..., int]:
    """Ask the head of sales about a deal of the manager."""

    def make(**more: Any) -> int:
        with transaction() as work:
            case_id = work.session.get_one(Deal, desk.company.deals["mine"]).case_id
            work.lock_case(case_id)
            values = {
                "key": f"page/{next(_keys)}", "case_id": case_id, "instance_id": None, "step": "approval",
                "title": "Нестандартный договор", "description": "Прошу согласовать", "mode": "chain", "quorum": None,
                "field": None, "fix": {"title": "Устранить замечания", "to": "responsible"},
                "initiator_id": desk.company.people["manager"], "stage_id": None, "on_leave": "cancel",
                "term": {"days": 2}, "seats": [core.Seat("Утверждающий договор", "head")],
            }  # fmt: skip
            return core.open_approval(work, **{**values, **more}).id

    return make


@pytest.fixture
def head(desk: Any) -> Any:
    return desk.as_("boss")


@pytest.fixture
def manager(desk: Any) -> Any:
    return desk.as_("manager")


@pytest.fixture
def card(desk: Any) -> str:
    return f"/deals/{desk.company.deals['mine']}"


def state(desk: Any, approval_id: int) -> str:
    return str(desk.one("SELECT state FROM approval WHERE id = :id", id=approval_id))


def link_of(head: Any, approval_id: int) -> str:
    """The path of a fresh letter link, as the page shows it."""
    shown = head.post(f"/approvals/{approval_id}/link")
    assert shown.status_code == 200
    found = re.search(r'value="[^"]+(/backoffice/decide/[^"]+)"', shown.text)
    assert found is not None
    return found.group(1)


def anybody(desk: Any) -> TestClient:
    return TestClient(desk.app, raise_server_exceptions=False)


def test_nobody_gets_in_without_a_login(desk: Any, words: Words) -> None:
    for path in ("/approvals", "/approvals/1"):
        answer = anybody(desk).get(f"/backoffice{path}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/backoffice/login")


def test_what_waits_is_counted_listed_and_decided(
    desk: Any, begin: Any, words: Words, head: Any, manager: Any, card: str
) -> None:
    """R002-64, R002-67; features 37."""
    before = re.search(r'count-inline">(\d+)', head.get("/approvals").text)
    approval = begin()
    listed = head.get("/approvals")
    assert int(re.search(r'count-inline">(\d+)', listed.text).group(1)) == int(before.group(1) if before else 0) + 1
    assert "Нестандартный договор" in words(listed)
    shown = head.get(f"/approvals/{approval}")
    for said in ("Прошу согласовать", "Согласовать", "Отклонить", "Кто просит", "Утверждающий договор"):
        assert said in words(shown)
    assert 'value="approve"' not in manager.get(f"/approvals/{approval}").text
    answer = head.post(f"/approvals/{approval}/decision", answer="approve")
    assert "Согласовано: «Нестандартный договор»." in words(answer)
    assert state(desk, approval) == "approved"
    assert "Нестандартный договор" in words(head.get("/approvals?view=decided"))
    assert "Нестандартный договор" in words(manager.get("/approvals?view=initiated"))


def test_a_rejection_without_a_remark_keeps_the_page_and_says_where(
    desk: Any, begin: Any, words: Words, head: Any, manager: Any, card: str
) -> None:
    """R002-65: the form cannot be sent empty; the text is kept."""
    approval = begin()
    bad = head.post(f"/approvals/{approval}/decision", answer="reject", remark="  ")
    assert bad.status_code == 422
    assert 'aria-invalid="true" aria-describedby="remark-note"' in bad.text
    assert "без замечаний отклонить нельзя" in words(bad)
    long = head.post(f"/approvals/{approval}/decision", answer="reject", remark="я" * 4001)
    assert (long.status_code, "я" * 4001 in long.text) == (422, True)
    answer = head.post(f"/approvals/{approval}/decision", answer="reject", remark=HOSTILE)
    assert "<script>alert" not in answer.text
    assert "Есть замечания, их устраняют" in words(answer)
    shown = words(manager.get(card))
    assert "устраняются замечания" in shown
    assert "<script>alert(1)" in shown


def test_the_second_to_answer_is_told_who_was_first(desk: Any, begin: Any, words: Words, head: Any) -> None:
    approval = begin()
    shown = head.get(f"/approvals/{approval}").text
    seat = re.search(r'name="seat_id" value="(\d+)"', shown).group(1)
    head.post(f"/approvals/{approval}/decision", answer="approve", seat_id=seat)
    late = head.post(f"/approvals/{approval}/decision", answer="reject", remark="поздно", seat_id=seat)
    assert late.status_code == 409
    assert "Вы уже решили: согласовано." in words(late)


def test_a_notice_leads_to_the_approval(desk: Any, begin: Any, words: Words, head: Any) -> None:
    approval = begin()
    notice = desk.one(
        "SELECT id FROM notice WHERE approval_id = :id AND person_id = :person",
        id=approval,
        person=desk.company.people["boss"],
    )
    answer = head.post(f"/notices/{notice}/open")
    assert answer.url.path == f"/backoffice/approvals/{approval}"


def test_an_approval_that_is_void_says_so_on_page_and_card(
    desk: Any, begin: Any, words: Words, head: Any, manager: Any, card: str
) -> None:
    """★40."""
    approval = begin()
    head.post(f"/approvals/{approval}/decision", answer="approve")
    desk.change("UPDATE approval SET voided_at = now() WHERE id = :id", id=approval)
    assert "Файл изменён после согласования" in words(head.get(f"/approvals/{approval}"))
    assert "согласование не действует: файл изменён" in words(manager.get(card))


def test_opening_a_link_decides_nothing_and_asking_it_to_decides_once(
    desk: Any, begin: Any, words: Words, head: Any
) -> None:
    """Features 38: scanners and prefetch are harmless; single use."""
    approval = begin()
    path = link_of(head, approval)
    client = anybody(desk)
    for _ in range(2):
        shown = client.get(path)
        assert (shown.status_code, shown.headers["cache-control"]) == (200, "no-store")
        assert client.head(path).status_code == 200
    assert "Решает Паздников" in words(shown)
    assert state(desk, approval) == "open"
    empty = client.post(path, data={"answer": "reject", "remark": ""}, headers={"Origin": ORIGIN})
    assert (empty.status_code, "без замечаний" in words(empty)) == (422, True)
    foreign = client.post(path, data={"answer": "approve"}, headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, state(desk, approval)) == (403, "open")
    done = client.post(path, data={"answer": "approve"}, headers={"Origin": ORIGIN})
    assert (done.status_code, state(desk, approval)) == (200, "approved")
    assert "Решение принято от имени: Паздников" in words(done)
    again = client.post(path, data={"answer": "approve"}, headers={"Origin": ORIGIN})
    assert (again.status_code, "решение уже принято" in words(again)) == (409, True)
    assert client.get(path).status_code == 410


def test_a_link_shows_only_what_is_decided(desk: Any, begin: Any, words: Words, head: Any, card: str) -> None:
    approval = begin(description="Без скидки")
    path = link_of(head, approval)
    shown = anybody(desk).get(path)
    assert "Без скидки" in words(shown)
    for private in (card, f"/approvals/{approval}", "mainnav", "Ответственный"):
        assert private not in shown.text
    assert anybody(desk).get(f"{path}/file").status_code == 404


def test_a_link_gives_its_own_file_and_no_other(
    desk: Any, begin: Any, words: Words, head: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, bytes] = {}

    def put(content: bytes) -> int:
        digest = hashlib.sha256(content).hexdigest()
        kept[digest] = content
        with transaction() as work:
            case_id = work.session.get_one(Deal, desk.company.deals["mine"]).case_id
            work.lock_case(case_id)
            version = FileVersion(
                case_id=case_id, field="contract_draft", number=len(kept), content_hash=digest, size=len(content),
                name="Договор.docx", media_type="application/x-contract", uploaded_at=work.now,
            )  # fmt: skip
            work.session.add(version)
            work.session.flush()
            core.file_replaced(work, case_id, "contract_draft", version)
            return version.id

    monkeypatch.setattr("include.documents.storage.open_whole", lambda digest: io.BytesIO(kept[digest]))
    put(b"one")
    path = link_of(head, begin(field="contract_draft"))
    answer = anybody(desk).get(f"{path}/file")
    assert (answer.status_code, answer.content) == (200, b"one")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "Договор.docx" in words(anybody(desk).get(path))
    put(b"two")
    assert anybody(desk).get(f"{path}/file").status_code == 404
    assert "Файл заменён" in words(anybody(desk).get(path))


def test_a_dead_link_tells_nothing_but_why(desk: Any, begin: Any, words: Words, head: Any) -> None:
    approval = begin(description="Секрет сделки")
    path = link_of(head, approval)
    desk.change("UPDATE decision_link SET expires_at = :at", at=machine_now() - timedelta(days=1))
    shown = anybody(desk).get(path)
    assert shown.status_code == 410
    assert "Срок ссылки истёк" in words(shown)
    assert "Секрет сделки" not in words(shown)


def test_forged_links_are_nothing_and_guessing_is_slowed(desk: Any, words: Words) -> None:
    client = anybody(desk)
    for number in range(10):
        answer = client.get(f"/backoffice/decide/guess-{number}")
        assert answer.status_code == 404
    assert "Эта ссылка не подходит" in words(answer)
    assert client.get("/backoffice/decide/guess").status_code == 429
