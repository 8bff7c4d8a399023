"""What of a file is shown, and what a hostile one cannot do (issue 3: files with preview)."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable

import docx
import openpyxl
import pytest

from include.documents import packages, preview
from include.documents.rules import KINDS

pytestmark = pytest.mark.unit
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def shown(extension: str, content: bytes) -> preview.Preview:
    return preview.preview(KINDS[extension].media_type, io.BytesIO(content))


def saved(document: object) -> bytes:
    stream = io.BytesIO()
    document.save(stream)  # type: ignore[attr-defined]
    return stream.getvalue()


def package(parts: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return stream.getvalue()


def word(body: str) -> bytes:
    text = f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
    return package({"[Content_Types].xml": b"<Types/>", "word/document.xml": text.encode()})


def test_a_word_document_is_shown_as_its_text() -> None:
    document = docx.Document()
    document.add_heading("Договор поставки")
    document.add_paragraph("1. Предмет")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Подшипник 6205", "10 шт."
    document.add_paragraph("Подписи <b>сторон</b>")
    document.sections[0].footer.paragraphs[0].text = "Страница договора"
    made = shown("docx", saved(document))
    assert made.kind == "text"
    assert made.paragraphs == [
        "Договор поставки", "1. Предмет", "Подшипник 6205 | 10 шт.", "Подписи <b>сторон</b>", "Страница договора",
    ]  # fmt: skip


def test_tracked_changes_and_controls_are_read_as_they_stand_now() -> None:
    """What a tracked change has put in counts, what it has taken out does not: else an approver would miss it."""
    body = (
        "<w:p><w:r><w:t>Цена </w:t></w:r><w:ins><w:r><w:t>200</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>100</w:delText></w:r></w:del>"
        "<w:moveFrom><w:r><w:t>ушло</w:t></w:r></w:moveFrom><w:r><w:tab/><w:t>рублей</w:t></w:r></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>Из шаблона</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    )
    assert shown("docx", word(body)).paragraphs == ["Цена 200\tрублей", "Из шаблона"]


def test_a_table_shows_its_first_sheet() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Наименование", "Сумма"])
    book.active.append(["<script>", 12.5])
    book.create_sheet("Второй").append(["не видно"])
    made = shown("xlsx", saved(book))
    assert (made.kind, made.rows, made.cut) == ("table", [["Наименование", "Сумма"], ["<script>", "12.5"]], False)
    assert made.lines == ["Наименование | Сумма", "<script> | 12.5"]


def test_a_long_table_and_a_long_text_say_that_they_are_cut() -> None:
    book = openpyxl.Workbook()
    for number in range(preview.MOST_ROWS + 20):
        book.active.append([number])
    made = shown("xlsx", saved(book))
    assert (len(made.rows), made.cut) == (preview.MOST_ROWS, True)
    made = shown("txt", b"line\n" * (preview.MOST_PARAGRAPHS + 5))
    assert (len(made.paragraphs), made.cut) == (preview.MOST_PARAGRAPHS, True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
def test_texts_of_all_ages_are_read(encoding: str) -> None:
    assert shown("txt", "Договор\nпоставки".encode(encoding)).paragraphs == ["Договор", "поставки"]


def test_an_open_document_is_shown_without_what_was_deleted() -> None:
    text, office = "urn:oasis:names:tc:opendocument:xmlns:text:1.0", "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
    body = (
        f'<office:document-content xmlns:office="{office}" xmlns:text="{text}">'
        "<text:tracked-changes><text:p>удалено</text:p></text:tracked-changes>"
        "<text:h>Договор</text:h><text:p>Цена<text:tab/><text:span>200</text:span> рублей</text:p>"
        "</office:document-content>"
    )
    assert shown("odt", package({"content.xml": body.encode()})).paragraphs == ["Договор", "Цена\t200 рублей"]


def test_an_archive_shows_what_lies_in_it() -> None:
    made = shown("zip", package({"скан 1.pdf": b"12345"}))
    assert made.rows[1] == ["скан 1.pdf", "5"]


@pytest.mark.parametrize(
    ("extension", "kind"), [("pdf", "pdf"), ("png", "image"), ("doc", "nothing"), ("rtf", "nothing")]
)
def test_what_the_server_does_not_read_is_left_to_the_browser_or_said(extension: str, kind: str) -> None:
    made = shown(extension, b"")
    assert made.kind == kind
    assert bool(made.note) == (kind == "nothing")


def bomb(size: int = 300 * 2**20) -> bytes:
    """A document of some hundred kilobytes whose text unpacks to hundreds of megabytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made, made.open("word/document.xml", "w") as part:
        for _ in range(size // 2**20):
            part.write(b"<w:p/>" * (2**20 // 6))
    return stream.getvalue()


def lying_bomb() -> bytes:
    """The same, whose list says that the text is small."""
    content = bytearray(bomb(30 * 2**20))
    at = content.rfind(b"PK\x01\x02")
    struct.pack_into("<L", content, at + 24, 1000)
    return bytes(content)


def crowd() -> bytes:
    return package({f"word/{number}": b"" for number in range(60_000)}, zipfile.ZIP_STORED)


def laughs() -> bytes:
    text = (
        '<!DOCTYPE w [<!ENTITY a "ха"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
        f'<w:document xmlns:w="{W}"><w:p><w:r><w:t>&c;</w:t></w:r></w:p></w:document>'
    )
    return package({"word/document.xml": text.encode()})


def outsider() -> bytes:
    text = (
        '<!DOCTYPE w [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
        f'<w:document xmlns:w="{W}"><w:p><w:r><w:t>&a;</w:t></w:r></w:p></w:document>'
    )
    return package({"word/document.xml": text.encode()})


def wide() -> bytes:
    text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE w [<!ENTITY a "ха">]><w/>'
    return package({"word/document.xml": text.encode("utf-16")})


@pytest.mark.parametrize("hostile", [bomb, lying_bomb, crowd, laughs, outsider, wide])
def test_a_hostile_document_is_refused_and_not_unpacked(
    hostile: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = 0
    real = zipfile.ZipExtFile.read

    def counting(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        nonlocal unpacked
        chunk = real(self, n)
        unpacked += len(chunk)
        return chunk

    content = hostile()
    monkeypatch.setattr(zipfile.ZipExtFile, "read", counting)
    made = shown("docx", content)
    assert made.kind == "nothing"
    assert made.note
    assert unpacked <= packages.LARGEST_PART


def test_a_hostile_table_is_refused() -> None:
    book = openpyxl.Workbook()
    book.active.append(["x"])
    parts = {}
    with zipfile.ZipFile(io.BytesIO(saved(book))) as made:
        parts = {name: made.read(name) for name in made.namelist()}
    parts["xl/sharedStrings.xml"] = b'<!DOCTYPE s [<!ENTITY a "x">]><sst/>'
    assert shown("xlsx", package(parts)).kind == "nothing"
    parts["xl/sharedStrings.xml"] = b"<sst>" + b" " * (packages.LARGEST_PART + 1) + b"</sst>"
    assert shown("xlsx", package(parts)).kind == "nothing"


@pytest.mark.parametrize("extension", ["docx", "xlsx", "odt", "zip"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"PK\x05\x06", b"x" * 1000, b"PK\x05\x06" + b"\xff" * 18])
def test_a_broken_file_is_said_to_be_broken(extension: str, content: bytes) -> None:
    made = shown(extension, content)
    assert made.kind == "nothing"
    assert made.note


def test_a_document_cut_in_the_middle_is_said_to_be_broken() -> None:
    document = docx.Document()
    document.add_paragraph("текст")
    whole = saved(document)
    for part in (len(whole) // 2, len(whole) - 30):
        assert shown("docx", whole[:part]).kind == "nothing"
    broken = package({"word/document.xml": f'<w:document xmlns:w="{W}"><w:p><w:r><w:t>текст</w:t>'.encode()})
    assert shown("docx", broken).kind == "nothing"
