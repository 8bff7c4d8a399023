"""The files of a deal as a person meets them: upload, refusal beside the field, versions, preview, what changed."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import docx
import openpyxl
import pytest
from starlette.testclient import TestClient

from include.process.rules import filled
from tests.ui.conftest import ORIGIN, Desk

pytestmark = pytest.mark.db
FIELD = "contract_draft"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000 1f15c4890000000d4944415478da63fcffff3f030005fe02fea7"
    "9d9d1c0000000049454e44ae426082".replace(" ", "")
)


def saved(document: Any) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def word(*paragraphs: str) -> bytes:
    document = docx.Document()
    for one in paragraphs:
        document.add_paragraph(one)
    return saved(document)


def send(desk: Desk, path: str, content: bytes, name: str, by: str = "manager", follow: bool = True) -> Any:
    visitor = desk.as_(by)
    return visitor.client.post(
        f"/backoffice{path}", data={"csrf": visitor.token()}, files={"file": (name, content)},
        headers={"Origin": ORIGIN}, follow_redirects=follow,
    )  # fmt: skip


def put(desk: Desk, deal: int, content: bytes, name: str = "договор.txt", by: str = "manager") -> int:
    answer = send(desk, f"/deals/{deal}/files/{FIELD}", content, name, by, follow=False)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"/backoffice/deals/{deal}#field-{FIELD}"
    return int(desk.one("SELECT max(id) FROM file_version"))


def versions_of(desk: Desk, deal: int) -> int:
    counted = "SELECT count(*) FROM file_version JOIN deal USING (case_id) WHERE deal.id = :id"
    return int(desk.one(counted, id=deal))


@pytest.fixture
def deal(desk: Desk) -> int:
    return desk.deal("Договор")


def test_without_a_login_there_are_no_files(desk: Desk, deal: int) -> None:
    version = put(desk, deal, b"text")
    nobody = TestClient(desk.app, follow_redirects=False)
    for path in ("", "/view", "/inline", f"/compare?with={version}"):
        answer = nobody.get(f"/backoffice/files/{version}{path}")
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/backoffice/login")
    answer = nobody.post(
        f"/backoffice/deals/{deal}/files/{FIELD}", files={"file": ("a.txt", b"x")}, headers={"Origin": ORIGIN}
    )
    assert answer.headers["location"].startswith("/backoffice/login")


def test_a_foreign_file_does_not_exist(desk: Desk, deal: int) -> None:
    version = put(desk, deal, b"text")
    stranger = desk.as_("stranger")
    for path in ("", "/view", "/inline", f"/compare?with={version}"):
        assert stranger.get(f"/files/{version}{path}").status_code == 404, path
    assert stranger.post(f"/files/{version}/restore", confirmed="yes").status_code == 404
    assert send(desk, f"/deals/{deal}/files/{FIELD}", b"mine", "a.txt", by="stranger").status_code == 404
    assert send(desk, f"/deals/{deal}/files/{FIELD}", b"mine", "a.txt", by="accountant").status_code == 403
    assert versions_of(desk, deal) == 1


def test_the_card_shows_the_file_and_its_versions(desk: Desk, deal: int, words: Callable[[Any], str]) -> None:
    """R002-63, R002-66: the file stands in «Проект договора» with its versions."""
    manager = desk.as_("manager")
    assert "Файла ещё нет" in words(manager.get(f"/deals/{deal}"))
    put(desk, deal, b"first", "договор.txt")
    put(desk, deal, b"second", f"{HOSTILE[:30].replace('/', '')}.txt")
    page = manager.get(f"/deals/{deal}")
    said = words(page)
    assert "версия 2 · 6 Б" in said
    assert "Все версии (2)" in said
    assert "<script>alert" not in page.text
    assert f'id="field-{FIELD}"' in page.text  # where a guard's «исправить» leads
    accountant = desk.as_("accountant").get(f"/deals/{deal}").text
    assert "data-upload" not in accountant
    assert "договор.txt" in accountant


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("договор.html", b"<b>", "Файлы «.html» не принимаются"),
        ("договор.pdf", b"<html>", "не похоже на PDF"),
        ("договор.txt", b"", "Файл пустой"),
        ("", b"x", "Выберите файл"),
    ],
)
def test_a_refused_file_is_told_beside_its_field(
    desk: Desk, deal: int, words: Callable[[Any], str], name: str, content: bytes, said: str
) -> None:
    answer = send(desk, f"/deals/{deal}/files/{FIELD}", content, name)
    assert answer.status_code == 422
    beside = re.search(r'data-upload-error role="alert">([^<]*)<', answer.text)
    assert beside is not None, words(answer)
    assert said in words(beside_of(beside))
    assert 'aria-invalid="true"' in answer.text
    assert "Сделано, идёт, дальше" in words(answer)  # the page itself stays


def beside_of(found: re.Match[str]) -> Any:
    class Said:
        text = found.group(1)

    return Said


def test_a_file_above_the_limit_is_told_beside_its_field_too(desk: Desk, deal: int) -> None:
    desk.as_("admin").api("PUT", "/settings/file_limit_mb", json={"value": 1})
    try:
        answer = send(desk, f"/deals/{deal}/files/{FIELD}", b"x" * (2 * 2**20), "большой.txt")
    finally:
        desk.as_("admin").api("PUT", "/settings/file_limit_mb", json={"value": 50})
    assert answer.status_code == 413
    assert "Файл больше 1 МБ. Уменьшите его или разделите на части." in answer.text
    assert 'id="files-title"' in answer.text


def test_a_form_of_a_foreign_page_or_without_its_token_is_refused(desk: Desk, deal: int) -> None:
    client = desk.as_("manager").client
    path = f"/backoffice/deals/{deal}/files/{FIELD}"
    for origin, token in (("https://evil.example", desk.as_("manager").token()), (ORIGIN, "x"), (ORIGIN, "")):
        for content in (b"forged", b"x" * (60 * 2**20)) if origin != ORIGIN else (b"forged",):
            answer = client.post(
                path, data={"csrf": token}, files={"file": ("a.txt", content)}, headers={"Origin": origin}
            )
            assert answer.status_code == 403
    assert versions_of(desk, deal) == 0


def test_the_upload_stands_in_the_task_that_asks_for_it(desk: Desk, words: Callable[[Any], str]) -> None:
    """R002-63: «если файл не загружен, то задачу нельзя закрыть»; the executor uploads it on the spot."""
    desk.deal("Нестандартный")
    task = desk.task("draft", "Нестандартный", "stranger", guard=filled(FIELD).body)
    stranger = desk.as_("stranger")
    page = stranger.get(f"/tasks/{task}")
    assert f'action="/backoffice/tasks/{task}/files/{FIELD}"' in page.text
    assert "Проект договора" in words(page)
    refused = send(desk, f"/tasks/{task}/files/{FIELD}", b"MZ", "договор.exe", by="stranger")
    assert refused.status_code == 422
    assert "Файлы «.exe» не принимаются" in words(refused)
    assert "Выполнить" in words(refused)
    assert stranger.post(f"/tasks/{task}/close").status_code == 409
    answer = send(desk, f"/tasks/{task}/files/{FIELD}", b"draft", "договор.txt", by="stranger")
    assert "Файл «договор.txt» загружен: версия 1." in words(answer)
    assert "Нельзя закрыть" not in words(answer)
    assert stranger.post(f"/tasks/{task}/close", follow=False).status_code == 303
    assert "data-upload" not in stranger.get(f"/tasks/{task}").text


# --- what is shown ------------------------------------------------------------------------------------------------


def test_a_file_is_downloaded_under_its_own_name_and_a_sealed_policy(desk: Desk, deal: int) -> None:
    version = put(desk, deal, b"<html><script>alert(1)</script></html>", "Договор «А».txt")
    answer = desk.as_("manager").get(f"/files/{version}")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert (
        "filename*=UTF-8''%D0%94%D0%BE%D0%B3%D0%BE%D0%B2%D0%BE%D1%80%20%C2%AB%D0%90%C2%BB.txt"
        in (answer.headers["content-disposition"])
    )
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "content", "policy", "how"),
    [
        ("скан.png", PIXEL, "sandbox; default-src 'none'; img-src 'self'", "inline"),
        ("скан.pdf", b"%PDF-1.4 ...", "default-src 'none'; object-src 'self'", "inline"),
        ("скан.txt", b"<script>", "sandbox; default-src 'none'", "attachment"),
    ],
)
def test_only_images_and_pdf_are_shown_by_the_browser_itself(
    desk: Desk, deal: int, name: str, content: bytes, policy: str, how: str
) -> None:
    version = put(desk, deal, content, name)
    answer = desk.as_("manager").get(f"/files/{version}/inline")
    assert answer.content == content
    assert answer.headers["content-security-policy"].startswith(policy)
    assert "script" not in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"].startswith(how)
    assert answer.headers["x-frame-options"] == ("SAMEORIGIN" if how == "inline" else "DENY")


def test_a_document_is_shown_as_escaped_text(desk: Desk, deal: int, words: Callable[[Any], str]) -> None:
    page = desk.as_("manager").get(f"/files/{put(desk, deal, word('Договор', HOSTILE), 'договор.docx')}/view")
    assert page.status_code == 200
    assert HOSTILE in words(page)
    assert "<img src=x" not in page.text
    assert "Показан только текст" in words(page)


def test_a_table_and_a_picture_are_shown(desk: Desk, deal: int, words: Callable[[Any], str]) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Наименование", HOSTILE])
    page = desk.as_("manager").get(f"/files/{put(desk, deal, saved(book), 'смета.xlsx')}/view")
    assert "<td>Наименование</td>" in page.text
    assert HOSTILE in words(page)
    version = put(desk, deal, PIXEL, "скан.png")
    page = desk.as_("manager").get(f"/files/{version}/view").text
    assert f'<img class="filepicture" src="/backoffice/files/{version}/inline" alt="скан.png">' in page
    version = put(desk, deal, b"%PDF-1.4 ...", "скан.pdf")
    assert f'<iframe class="filepdf" src="/backoffice/files/{version}/inline"' in (
        desk.as_("manager").get(f"/files/{version}/view").text
    )


def test_what_cannot_be_shown_says_so_and_offers_the_download(
    desk: Desk, deal: int, words: Callable[[Any], str]
) -> None:
    version = put(desk, deal, b"{\\rtf1 ...}", "договор.rtf")
    page = desk.as_("manager").get(f"/files/{version}/view")
    assert "Файлы .rtf здесь не показываются: скачайте файл" in words(page)
    assert f'href="/backoffice/files/{version}"' in page.text


# --- versions -----------------------------------------------------------------------------------------------------


def test_what_changed_is_marked_for_eyes_and_ears(desk: Desk, deal: int, words: Callable[[Any], str]) -> None:
    """★40: the approver sees what changed."""
    same = [f"Пункт {number}" for number in range(10)]
    old = put(desk, deal, word(*same, "Цена 100 рублей"), "договор.docx")
    new = put(desk, deal, word(*same, "Цена 200 рублей", HOSTILE), "договор.docx")
    page = desk.as_("manager").get(f"/files/{new}/compare?with={old}")
    said = words(page)
    assert "Изменено: 2 абзаца" in said
    assert "Цена [убрано: 100 ] [добавлено: 200 ] рублей" in said
    assert "Без изменений: 8 абзацев" in said
    assert re.search(r"<del><span class=\"visually-hidden\">\[убрано: </span>100 ", page.text)
    assert "<img src=x" not in page.text
    assert desk.as_("manager").get(f"/files/{new}/compare").status_code == 404
    assert "одинаково до последнего знака" in words(desk.as_("manager").get(f"/files/{new}/compare?with={new}"))


def test_an_old_version_is_brought_back_after_a_question(desk: Desk, deal: int, words: Callable[[Any], str]) -> None:
    old = put(desk, deal, b"first")
    put(desk, deal, b"second")
    manager = desk.as_("manager")
    asked = manager.post(f"/files/{old}/restore")
    assert "Вернуть версию 1?" in words(asked)
    assert versions_of(desk, deal) == 2
    answer = manager.post(f"/files/{old}/restore", confirmed="yes")
    assert "Версия 1 возвращена: теперь это версия 3." in words(answer)
    assert desk.as_("accountant").post(f"/files/{old}/restore", confirmed="yes").status_code == 403
