"""API of files: nobody, foreign and forbidden first; then what a program sends and gets (issue 3, R002-63)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import docx
import pytest
from fastapi import FastAPI

from include.documents import storage
from include.process.rules import filled
from tests.ui.api.conftest import OUR, Company, client_of, give_task

pytestmark = pytest.mark.db
FIELD = "contract_draft"


def word(*paragraphs: str) -> bytes:
    document = docx.Document()
    for one in paragraphs:
        document.add_paragraph(one)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def put(api: Any, deal: int, content: bytes = b"text", name: str = "договор.txt", field: str = FIELD) -> Any:
    return api.post(f"/deals/{deal}/files/{field}", files={"file": (name, content, "text/html")})


# --- 401, 403, 404 ------------------------------------------------------------------------------------------------


def test_nobody_gets_or_sends_anything(outer_app: FastAPI, company: Company) -> None:
    client = client_of(outer_app)
    deal = company.deals["mine"]
    for path in (f"/deals/{deal}/files", "/files/1", "/files/1/content", "/files/1/changes/2"):
        assert client.get(f"/backoffice/api{path}").status_code == 401
    for content in (b"text", b"x" * 3_000_000):  # refused before the body is read at all
        answer = client.post(f"/backoffice/api/deals/{deal}/files/{FIELD}", files={"file": ("a.txt", content)})
        assert answer.status_code == 401


@pytest.mark.parametrize(("login", "status"), [("accountant", 403), ("product", 403), ("stranger", 404), ("ops", 403)])
def test_who_may_not_upload(as_: Any, company: Company, login: str, status: int) -> None:
    answer = put(as_(login), company.deals["mine"])
    assert answer.status_code == status, answer.text
    assert (as_("manager").get(f"/deals/{company.deals['mine']}/files").json()[0]["versions"]) == []


def test_a_foreign_file_does_not_exist(as_: Any) -> None:
    deal = as_("manager").post("/deals", json={"title": "Чужая сделка", "funnel": "Товары"}).json()["id"]
    made = put(as_("manager"), deal, b"secret of the deal").json()["id"]
    for path in (f"/files/{made}", f"/files/{made}/content", f"/files/{made}/changes/{made}", "/files/999999"):
        assert as_("stranger").get(path).status_code == 404, path
    assert as_("stranger").post(f"/files/{made}/restore").status_code == 404
    assert as_("accountant").post(f"/files/{made}/restore").status_code == 403
    assert as_("accountant").get(f"/files/{made}/content").content == b"secret of the deal"


# --- what is taken and what is not --------------------------------------------------------------------------------


def test_a_file_is_sent_listed_and_sent_back(as_: Any, company: Company) -> None:
    manager, deal, content = as_("manager"), company.deals["mine"], word("Договор")
    made = put(manager, deal, content, "../../Договор №1.docx")
    assert made.status_code == 201, made.text
    row = made.json()
    assert (row["name"], row["number"], row["size"], row["present"]) == ("Договор №1.docx", 1, len(content), True)
    assert row["content_hash"] == hashlib.sha256(content).hexdigest()
    assert row["media_type"].endswith("wordprocessingml.document")  # never what the sender says
    (field,) = manager.get(f"/deals/{deal}/files").json()
    assert (field["code"], [one["id"] for one in field["versions"]]) == (FIELD, [row["id"]])
    answer = manager.get(f"/files/{row['id']}/content")
    assert answer.content == content
    assert answer.headers["content-type"] == row["media_type"]
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"_______ _1.docx\"; filename*=UTF-8''%D0%94%D0%BE%D0%B3%D0%BE%D0%B2%D0%BE%D1%80%20"
        "%E2%84%961.docx"
    )
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert manager.get(f"/deals/{deal}").json()["fields"]  # the card still opens with a file in it


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("договор.html", b"<script>alert(1)</script>", "не принимаются"),
        ("договор.svg", b"<svg onload='alert(1)'/>", "не принимаются"),
        ("договор.exe", b"MZ", "не принимаются"),
        ("договор.pdf", b"<script>alert(1)</script>", "не похоже на PDF"),
        ("договор.docx", b"MZ\x90\x00", "не похоже на документ Word"),
        ("договор.txt", b"", "пустой"),
        ("", b"text", "Выберите файл"),
        ("договор", b"text", "расширения"),
    ],
)
def test_what_is_refused_is_refused_in_words(as_: Any, company: Company, name: str, content: bytes, said: str) -> None:
    answer = put(as_("manager"), company.deals["guarded"], content, name)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]
    assert answer.json()["field"] == "file"
    assert as_("manager").get(f"/deals/{company.deals['guarded']}/files").json()[0]["versions"] == []


def test_only_fields_for_files_take_files(as_: Any, company: Company) -> None:
    for field in ("complexity", "нет-такого", "task-1", "..%2f..", "a" * 200):
        assert put(as_("manager"), company.deals["guarded"], field=field).status_code in (403, 404, 422), field
    answer = as_("manager").patch(f"/deals/{company.deals['guarded']}/fields", json={FIELD: "договор.docx"})
    assert answer.status_code == 422
    assert "загрузите в него файл" in answer.json()["error"]


def test_a_body_above_the_limit_is_refused_by_its_length_and_by_its_bytes(as_: Any, company: Company) -> None:
    deal = company.deals["guarded"]
    admin, manager = as_("admin"), as_("manager")
    assert admin.put("/settings/file_limit_mb", json={"value": 1}).status_code == 200
    try:
        answer = put(manager, deal, b"x" * (2 * 2**20))
        assert answer.status_code == 413
        assert answer.json()["error"] == "Файл больше 1 МБ. Уменьшите его или разделите на части."

        def stream() -> Iterator[bytes]:  # in chunks, its length not announced
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
            for _ in range(40):
                yield b"x" * 2**16
            yield b"\r\n--x--\r\n"

        answer = manager.post(
            f"/deals/{deal}/files/{FIELD}",
            content=stream(),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
        assert answer.status_code == 413
        assert put(manager, deal, b"x" * (2**20 - 100)).status_code == 201
    finally:
        assert admin.put("/settings/file_limit_mb", json={"value": 50}).status_code == 200
    assert put(manager, deal, b"y" * (3 * 2**20)).status_code == 201
    # whatever is no upload stays small
    assert manager.post(f"/deals/{deal}/comments", content=b"x" * (2 * 2**20)).status_code == 413


def test_a_form_that_is_no_form_is_refused(as_: Any, company: Company) -> None:
    path = f"/deals/{company.deals['guarded']}/files/{FIELD}"
    manager = as_("manager")
    for body, kind in (
        (b"", "multipart/form-data; boundary=x"),
        (b"garbage", "multipart/form-data; boundary=x"),
        (b"garbage", "multipart/form-data"),
        (b"{}", "application/json"),
        (b"file=x", "application/x-www-form-urlencoded"),
    ):
        answer = manager.post(path, content=body, headers={"Content-Type": kind})
        assert answer.status_code == 422, (body, kind, answer.text)
    two = [("file", ("a.txt", b"1")), ("file", ("b.txt", b"2"))]
    assert manager.post(path, files=two).status_code == 422


def test_a_foreign_page_uploads_nothing(outer_app: FastAPI, tokens: dict[str, str], company: Company) -> None:
    from tests.ui.api.test_routes import csrf_of

    client = client_of(outer_app)
    client.cookies.set("_token", tokens["manager"])
    path = f"/backoffice/api/deals/{company.deals['guarded']}/files/{FIELD}"
    token, evil = csrf_of(outer_app, tokens["manager"]), "https://evil.example"
    sent: dict[str, Any] = {"files": {"file": ("a.txt", b"forged")}}
    assert client.post(path, headers={"Origin": evil, "X-CSRF-Token": token}, **sent).status_code == 403
    assert client.post(path, headers={"Origin": OUR}, **sent).status_code == 403
    assert client.post(path, headers={"Origin": OUR, "X-CSRF-Token": "x"}, **sent).status_code == 403
    assert client.post(path, headers={"Origin": OUR, "X-CSRF-Token": token}, **sent).status_code == 201


# --- versions -----------------------------------------------------------------------------------------------------


def test_versions_are_compared_and_brought_back(as_: Any, company: Company) -> None:
    """R002-66, ★40: the versions of the file are shown, and what changed between them."""
    manager, deal = as_("manager"), company.deals["mine"]
    first = put(manager, deal, word("Договор", "Цена 100 рублей"), "договор.docx").json()
    second = put(manager, deal, word("Договор", "Цена 200 рублей"), "договор.docx").json()
    found = manager.get(f"/files/{second['id']}/changes/{first['id']}").json()
    assert found["count"] == 1
    assert [one["kind"] for one in found["paragraphs"]] == ["same", "changed"]
    back = manager.post(f"/files/{first['id']}/restore")
    assert back.status_code == 201
    assert (back.json()["number"], back.json()["content_hash"]) == (second["number"] + 1, first["content_hash"])


def test_the_executor_of_a_task_uploads_what_it_asks_for(as_: Any, company: Company) -> None:
    """R002-63: the file is uploaded right in the task, by whoever does it."""
    task = give_task(company, "draft", "service", "stranger", guard=filled(FIELD).body)
    stranger = as_("stranger")
    answer = stranger.post(f"/tasks/{task}/files/{FIELD}", files={"file": ("проект.txt", b"by the executor")})
    assert answer.status_code == 201, answer.text
    assert stranger.post(f"/tasks/{task}/files/complexity", files={"file": ("a.txt", b"x")}).status_code == 422
    assert as_("product").post(f"/tasks/{task}/files/{FIELD}", files={"file": ("a.txt", b"x")}).status_code == 404
    assert stranger.post(f"/tasks/{task}/close", json={}).status_code == 200


def test_a_lost_content_is_said_and_not_sent(as_: Any, company: Company) -> None:
    manager = as_("manager")
    made = put(manager, company.deals["mine"], b"to be damaged").json()
    before = storage.present()

    class Damaged:
        def put(self, *_: Any) -> None:
            raise OSError(28, "No space left on device")

        def open(self, _: str) -> Any:
            return io.BytesIO(b"damaged")

        def exists(self, _: str) -> bool:
            return True

    storage.use(Damaged())
    try:
        answer = manager.get(f"/files/{made['id']}/content")
        assert (answer.status_code, "повреждено" in answer.json()["error"]) == (503, True)
        answer = put(manager, company.deals["mine"], b"onto a full disk")
        assert (answer.status_code, "закончилось место" in answer.json()["error"]) == (503, True)
    finally:
        storage.use(before)
    newest = manager.get(f"/deals/{company.deals['mine']}/files").json()[0]["versions"][0]
    assert newest["id"] == made["id"]
