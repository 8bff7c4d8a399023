"""Which files are taken: names without tricks, contents that are what their name says (issue 3, R002-63)."""

from __future__ import annotations

import pytest

from include.documents import rules
from include.shared.errors import InvalidInput

pytestmark = pytest.mark.unit
EXE = b"MZ\x90\x00\x03\x00\x00\x00" + bytes(200)
HTML = b"<html><script>alert(1)</script></html>"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("договор.docx", "договор.docx"),
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\Иванова\\Договор 1.docx", "Договор 1.docx"),
        ("  два   пробела\t.pdf ", "два пробела.pdf"),
        ("a\x00b\r\nc.txt", "abc.txt"),
        ("договор\u202excod.pdf", "договорxcod.pdf"),  # the mark turns what follows: «договорfdp.docx»
        ("и\u0306.txt", "й.txt"),
        ("...скрытый.csv", "скрытый.csv"),
        (f"{'д' * 300}.docx", f"{'д' * 195}.docx"),
    ],
)
def test_a_name_is_only_a_name(given: str, kept: str) -> None:
    assert rules.clean_name(given) == kept
    assert len(rules.clean_name(given)) <= 200


@pytest.mark.parametrize("given", ["", "без расширения", ".docx", "../..", "\x00", "папка/", "  .txt"])
def test_a_file_without_a_name_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput, match="нет имени или расширения") as refused:
        rules.clean_name(given)
    assert refused.value.field == "file"


@pytest.mark.parametrize("extension", ["exe", "html", "htm", "svg", "js", "docm", "bat", "lnk", "php", "docx exe"])
def test_kinds_that_are_not_taken_are_named(extension: str) -> None:
    with pytest.raises(InvalidInput, match=r"не принимаются\. Загрузите один из: docx, doc"):
        rules.kind_of(f"файл.{extension}")


def seen(name: str, *chunks: bytes) -> None:
    sight = rules.Sight(rules.kind_of(name))
    for chunk in chunks:
        sight.see(chunk)
    sight.check(name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", b"PK\x03\x04....word/document.xml"),
        ("a.DOCX", b"PK\x03\x04....word/document2.xml"),
        ("a.xlsx", b"PK\x03\x04....xl/workbook.xml"),
        ("a.odt", b"PK\x03\x04....mimetypeapplication/vnd.oasis.opendocument.text"),
        ("a.doc", rules.OLE + b"..." + "WordDocument".encode("utf-16-le")),
        ("a.xls", rules.OLE + b"..." + "Workbook".encode("utf-16-le")),
        ("a.pdf", b"%PDF-1.7 ..."),
        ("a.rtf", b"{\\rtf1 ...}"),
        ("a.png", b"\x89PNG\r\n\x1a\n..."),
        ("a.jpg", b"\xff\xd8\xff\xe0..."),
        ("a.jpeg", b"\xff\xd8\xff\xe0..."),
        ("a.zip", b"PK\x05\x06" + bytes(18)),
        ("a.txt", "Договор\r\n".encode()),
        ("a.csv", "Имя;Сумма\n".encode("cp1251")),
        ("a.txt", "Договор".encode("utf-16")),
        ("a.txt", HTML),  # a text is served and shown as text
    ],
)
def test_a_content_that_is_what_its_name_says_is_taken(name: str, content: bytes) -> None:
    seen(name, content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", EXE),
        ("a.docx", HTML),
        ("a.docx", b"PK\x03\x04 an archive of pictures"),
        ("a.docx", rules.OLE + b"encrypted"),  # a document with a password
        ("a.xlsx", b"PK\x03\x04....word/document.xml"),
        ("a.doc", rules.OLE + b"an installer"),
        ("a.pdf", HTML),
        ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("a.jpg", b"\x89PNG\r\n\x1a\n"),
        ("a.txt", EXE),
        ("a.csv", b"PK\x03\x04\x00\x00"),
        ("a.zip", EXE),
        ("a.rtf", b"{\\html}"),
    ],
)
def test_a_lying_extension_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(InvalidInput, match="не похоже на") as refused:
        seen(name, content)
    assert refused.value.field == "file"


def test_a_mark_cut_in_two_by_reading_is_still_seen() -> None:
    seen("a.docx", b"PK\x03\x04....word/doc", b"ument.xml....")
    with pytest.raises(InvalidInput):
        seen("a.txt", b"text " * 100, EXE)


def test_an_empty_and_a_large_file_are_refused() -> None:
    with pytest.raises(InvalidInput, match="пустой"):
        rules.check_size(0, 100)
    with pytest.raises(InvalidInput, match="больше 3 МБ"):
        rules.check_size(3 * 2**20 + 1, 3 * 2**20)
    rules.check_size(3 * 2**20, 3 * 2**20)


@pytest.mark.parametrize(
    ("field", "task"), [("task-12", 12), ("contract_draft", None), ("task-", None), ("task-x", None), ("task-²", None)]
)
def test_fields_of_tasks_are_told_from_those_of_deals(field: str, task: int | None) -> None:
    assert rules.task_of_field(field) == task


def test_a_version_and_a_size_are_said_in_words() -> None:
    assert rules.version_words({"name": "договор.docx", "number": 2}) == "договор.docx (версия 2)"
    assert rules.version_words(None) == ""
    assert rules.version_words("что-то") == ""
    assert [rules.size_words(one) for one in (10, 12_000, 1_500_000)] == ["10 Б", "12 КБ", "1,4 МБ"]
