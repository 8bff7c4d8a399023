"""Files that somebody made to break the server: their names, their packages, their XML, the requests they come in."""

from __future__ import annotations

import io
import re
import struct
import tracemalloc
import unicodedata
import zipfile
from functools import lru_cache
from typing import Any

import docx
import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from include.documents import packages, preview, rules
from include.shared.errors import InvalidInput
from include.shared.texts import storable
from tests.hostile.conftest import bearer
from tests.ui.conftest import Desk

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SIGNS = some.characters() | some.sampled_from("/\\.\u202e\u200b\x00\n\r:;\"'<>|*?%&=~ ")


def packed(parts: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return stream.getvalue()


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as made:
        return {name: made.read(name) for name in made.namelist()}


@lru_cache(maxsize=1)
def samples() -> dict[str, bytes]:
    """A true file of each kind that the server unpacks."""
    stream, table = io.BytesIO(), io.BytesIO()
    document = docx.Document()
    document.add_paragraph("Договор № 5 о поставке")
    document.save(stream)
    book = openpyxl.Workbook()
    book.active.append(["Подшипник", 10, 1.5])
    book.save(table)
    text = "<a xmlns:t='urn:oasis:names:tc:opendocument:xmlns:text:1.0'><t:p>Цена</t:p></a>"
    odt = {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": text.encode()}
    return {
        "docx": stream.getvalue(), "xlsx": table.getvalue(), "odt": packed(odt), "zip": packed({"скан.pdf": b"1"}),
        "txt": "текст".encode(), "csv": "a;b".encode("cp1251"),
    }  # fmt: skip


def shown(extension: str, content: bytes) -> preview.Preview:
    return preview.preview(rules.KINDS[extension].media_type, io.BytesIO(content))


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.unit
@given(some.text(SIGNS, max_size=300))
@example("../../etc/passwd.txt")
@example("..\\..\\windows\\system32\\x.pdf")
@example("договор\u202excod.exe")
@example("a" * 5000 + ".pdf")
@example(".pdf")
@example("x." + "p" * 5000)
@example("\ud800.pdf")
def test_any_name_becomes_a_plain_one_or_is_refused(given_name: str) -> None:
    try:
        name = rules.clean_name(given_name)
        rules.kind_of(name)
    except InvalidInput as refused:
        assert storable(str(refused))
        return
    assert storable(name)
    assert not {"/", "\\", "\x00", "\n", "\r"} & set(name)
    assert not any(unicodedata.category(one).startswith("C") for one in name)
    assert name.strip(" .") == name
    assert len(name) <= rules.LONGEST_NAME
    assert rules.clean_name(name) == name


# --- packages --------------------------------------------------------------------------------------------------------


@pytest.mark.unit
@pytest.mark.parametrize("extension", sorted(samples()))
@given(data=some.data())
@settings(max_examples=150)
def test_a_file_broken_anywhere_is_shown_or_said_to_be_broken(extension: str, data: Any) -> None:
    content = bytearray(samples()[extension])
    for _ in range(data.draw(some.integers(1, 6))):
        at = data.draw(some.integers(0, len(content)))
        new = data.draw(some.binary(max_size=8))
        content[at : at + data.draw(some.integers(0, 40))] = new
    made = shown(extension, bytes(content))
    assert made.kind in ("text", "table", "nothing")
    assert made.note or made.kind == "text"


@pytest.mark.unit
@pytest.mark.parametrize("extension", ["docx", "xlsx", "odt"])
@given(data=some.data())
@settings(max_examples=100)
def test_a_part_replaced_by_anything_is_shown_or_said_to_be_broken(extension: str, data: Any) -> None:
    parts = unpacked(samples()[extension])
    name = data.draw(some.sampled_from(sorted(parts)))
    parts[name] = data.draw(
        some.binary(max_size=200) | some.text(max_size=200).map(lambda one: f"<a>{one}</a>".encode("utf-8", "ignore"))
        | some.just(parts[name][: len(parts[name]) // 2])
    )  # fmt: skip
    assert shown(extension, packed(parts)).kind in ("text", "table", "nothing")


@pytest.mark.unit
@given(some.binary(max_size=400))
def test_random_bytes_are_no_package(content: bytes) -> None:
    for start in (b"", b"PK\x03\x04", b"PK\x05\x06"):
        for extension in ("docx", "xlsx", "odt", "zip"):
            assert shown(extension, start + content).kind in ("table", "nothing")


def entities(encoding: str, declared: str | None = None) -> bytes:
    """The laughs, as an attribute too: there a parser puts entities in whatever it was told."""
    head = f'<?xml version="1.0" encoding="{declared or encoding}"?>'
    lines = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    text = f'{head}<!DOCTYPE w [<!ENTITY a "ха">{lines}]><w:document xmlns:w="{W}" x="&j;"><w:p>&j;</w:p></w:document>'
    return text.encode(encoding, "xmlcharrefreplace")


HIDDEN = {
    "plain": entities("utf-8"),
    "after spaces": b" " * 100_000 + entities("utf-8")[38:],
    "with a mark": b"\xef\xbb\xbf" + entities("utf-8"),
    "utf-7": entities("ascii", "utf-7").replace(b"<!", b"+ADwAIQ-"),
    "utf-16": entities("utf-16"), "utf-16 without a mark": entities("utf-16-le"), "utf-32": entities("utf-32"),
    "ebcdic": entities("cp037", "ebcdic-cp-us"), "unknown": entities("utf-8", "x-mac-роман"),
    "a lie": entities("utf-8", "utf-16"),
    "outside": b'<!DOCTYPE w SYSTEM "http://127.0.0.1:9/x.dtd"><w/>',
    "a file": b'<!DOCTYPE w [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><w/>',
}  # fmt: skip


@pytest.mark.unit
@pytest.mark.parametrize("content", HIDDEN.values(), ids=HIDDEN)
def test_entities_are_refused_however_they_hide(content: bytes) -> None:
    for extension, name in (("docx", "word/document.xml"), ("odt", "content.xml"), ("xlsx", "xl/workbook.xml")):
        parts = unpacked(samples()[extension]) | {name: content}
        tracemalloc.start()
        made = shown(extension, packed(parts))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert made.kind == "nothing", (extension, made)
        assert peak < 100 * 2**20


@pytest.mark.unit
def test_entities_are_refused_in_a_sheet_that_does_not_look_like_one() -> None:
    """Which part is the sheet is said inside the book: its name may be any."""
    parts = unpacked(samples()["xlsx"])
    sheet = parts.pop("xl/worksheets/sheet1.xml")
    for name in ("[Content_Types].xml", "xl/_rels/workbook.xml.rels"):
        parts[name] = parts[name].replace(b"sheet1.xml", b"sheet1.bin")
    good = shown("xlsx", packed(parts | {"xl/worksheets/sheet1.bin": sheet}))
    assert good.rows, "the reader goes by what the book says, so the test means something"
    bad = b'<!DOCTYPE w [<!ENTITY a "x">]>' + sheet[sheet.index(b"<worksheet") :]
    assert shown("xlsx", packed(parts | {"xl/worksheets/sheet1.bin": bad})).kind == "nothing"


@pytest.mark.unit
@pytest.mark.parametrize("name", ["xl/worksheets/sheet1.xml", "xl/media/image1.png", "xl/other.bin"])
def test_a_bomb_in_any_part_of_a_book_is_refused_unopened(name: str) -> None:
    parts = unpacked(samples()["xlsx"]) | {name: b"<a>" + b" " * (40 * 2**20) + b"</a>"}
    assert shown("xlsx", packed(parts)).kind == "nothing"


@pytest.mark.unit
def test_many_parts_that_are_small_one_by_one_are_too_much_together() -> None:
    filler = bytes(range(256)) * 4096 * 9  # 9 MB that pack well, but not like a bomb
    empty = f'<w:document xmlns:w="{W}">'.encode() + b"<w:q/>" * (len(filler) // 6) + b"</w:document>"
    parts = {f"word/header{number}.xml": empty for number in range(1, 8)} | {"word/document.xml": b"<w/>"}
    made = shown("docx", packed(parts))
    assert (made.kind, "слишком много" in made.note) == ("nothing", True)


@pytest.mark.unit
def test_a_package_in_a_package_in_a_package_is_a_name_with_a_size() -> None:
    content = b"x"
    for _ in range(50):
        content = packed({"внутри.zip": content})
    made = shown("zip", content)
    assert made.rows[1][0] == "внутри.zip"
    assert len(made.rows) == 2


@pytest.mark.unit
@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\x", "/abs", "a\u202excod.exe", "a\x01b", "x" * 5000])
def test_names_inside_an_archive_are_only_shown(name: str) -> None:
    made = shown("zip", packed({name: b"1"}))
    cell = made.rows[1][0]
    assert len(cell) <= preview.LONGEST_CELL
    assert not any(unicodedata.category(one).startswith("C") for one in cell)


@pytest.mark.unit
@pytest.mark.parametrize("size", [0, 1, 1000, 2**31, 2**32 - 2])
def test_a_lie_about_a_size_never_unpacks_more_than_a_part_may_have(size: int) -> None:
    content = bytearray(packed({"word/document.xml": b"<w:p/>" * (5 * 2**20)}))
    for mark, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        struct.pack_into("<L", content, content.rfind(mark) + offset, size)
    tracemalloc.start()
    made = shown("docx", bytes(content))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.kind == "nothing"
    assert peak < 5 * packages.LARGEST_PART


@pytest.mark.unit
@pytest.mark.parametrize("extension", sorted(set(rules.EXTENSIONS) - {"txt", "csv"}))
@given(content=some.binary(max_size=100))
@settings(max_examples=30)
def test_content_that_is_something_else_is_refused(extension: str, content: bytes) -> None:
    sight = rules.Sight(rules.KINDS[extension])
    sight.see(b"MZ" + content)  # a program
    with pytest.raises(InvalidInput):
        sight.check(f"файл.{extension}")


# --- requests --------------------------------------------------------------------------------------------------------

BOUNDARY = "b0undary"


def form(*parts: tuple[str, bytes]) -> bytes:
    made = b""
    for head, content in parts:
        made += f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode("utf-8", "surrogatepass") + content + b"\r\n"
    return made + f"--{BOUNDARY}--\r\n".encode()


FILE = 'Content-Disposition: form-data; name="file"; filename="{}"'
FIELD = 'Content-Disposition: form-data; name="{}"'
FORM = f"multipart/form-data; boundary={BOUNDARY}"
REQUESTS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", form((FILE.format("a.txt"), b"1"))),
    "another boundary": ("multipart/form-data; boundary=other", form((FILE.format("a.txt"), b"1"))),
    "an endless boundary": (f"multipart/form-data; boundary={'x' * 5000}", b"1"),
    "an odd boundary": ('multipart/form-data; boundary="\x01\u00e9"', b"1"),
    "cut": (FORM, form((FILE.format("a.txt"), b"1"))[:60]),
    "empty": (FORM, b""),
    "two files": (FORM, form(*[(FILE.format("a.txt"), b"1")] * 2)),
    "a thousand fields": (FORM, form(*[(FIELD.format(n), b"1") for n in range(1000)])),
    "a field for a file": (FORM, form((FIELD.format("file"), b"1"))),
    "a file without a name": (FORM, form((FILE.format(""), b"1"))),
    "a name of nothing": (FORM, form((FILE.format("\u200b\u202e.."), b"1"))),
    "half a sign": (FORM, form((FILE.format("\ud800.exe"), b"1"))),
    "a zero in the name": (FORM, form((FILE.format("a\x00.exe"), b"1"))),
    "an endless header": (FORM, form((f"{FILE.format('a.txt')}\r\nX: {'y' * 70_000}", b"1"))),
    "no header": (FORM, form(("", b"1"))),
    "a form in a form": (
        FORM,
        form((FILE.format("a.exe") + "\r\nContent-Type: multipart/mixed; boundary=x", b"--x\r\n\r\n1\r\n--x--")),
    ),
    "a strange charset": (f"{FORM}; charset=x-none", form((FILE.format("a.exe"), b"1"))),
    "another encoding": (
        FORM, form((FILE.format("a.exe") + "\r\nContent-Transfer-Encoding: base64", b"MQ==")),
    ),
    "json": ("application/json", b'{"file": "a.txt"}'), "plain": ("text/plain", b"1"), "none": ("", b"1"),
    "letters": ("application/x-www-form-urlencoded", b"file=a.txt"), "broken": ("multipart/;;;=\xff", b"1"),
}  # fmt: skip


@pytest.mark.db
@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_is_no_upload_is_refused_in_words_and_leaves_nothing(
    desk: Desk, tokens: dict[str, str], name: str
) -> None:
    from starlette.testclient import TestClient

    client = TestClient(desk.app, raise_server_exceptions=False, follow_redirects=False)
    kind, body = REQUESTS[name]
    headers = [(b"content-type", kind.encode("latin-1")), (b"origin", b"http://testserver")]
    headers += [(one.encode(), value.encode()) for one, value in bearer(tokens["manager"]).items()]
    before = desk.one("SELECT count(*) FROM file_version")
    deal = desk.company.deals["mine"]
    for path in (f"/api/deals/{deal}/files/contract_draft", f"/deals/{deal}/files/contract_draft"):
        answer = client.post(f"/backoffice{path}", content=body, headers=headers)
        assert answer.status_code in (413, 422), (path, answer.status_code, answer.text[:300])
        assert re.search("[а-я]{3}", answer.text)
        assert "Traceback" not in answer.text
    assert desk.one("SELECT count(*) FROM file_version") == before


@pytest.mark.db
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "-1"}, {"Content-Length": "1e9"}, {"Content-Length": "9" * 5000}, {"Content-Length": "٣"},
        {"Accept": "\x01"}, {"Accept-Language": "x" * 9000}, {"Cookie": "_token=" + "x" * 9000},
        {"Cookie": ";;==;\x01"}, {"Host": "evil"},
        {"Authorization": "Bearer"}, {"Authorization": "Bearer \x01"}, {"Authorization": "Basic eA=="},
        {"Authorization": "Bearer " + "a." * 4000}, {"Origin": "http://[::1"}, {"Referer": "http://["},
        {"Host": "a b"}, {"X-Forwarded-For": "' OR 1=1; --"}, {"X-Forwarded-For": "1," * 4000},
        {"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Proto": "javascript"}, {"Range": "bytes=9-1"},
        {"If-None-Match": "\xff"}, {"Transfer-Encoding": "chunked, gzip"}, {"Content-Encoding": "gzip"},
        {"Idempotency-Key": "\xff" * 100}, {"X-CSRF-Token": "\xff.\xff"}, {"X-HTTP-Method-Override": "DELETE"},
        {"Upgrade": "websocket", "Connection": "Upgrade"}, {"Expect": "100-continue"}, {"Forwarded": "for=x"},
    ],
    ids=lambda one: "-".join(one) + "-" + next(iter(one.values()))[:12].encode("unicode_escape").decode(),
)  # fmt: skip
def test_no_header_breaks_an_answer(desk: Desk, tokens: dict[str, str], headers: dict[str, str]) -> None:
    from starlette.testclient import TestClient

    client = TestClient(desk.app, raise_server_exceptions=False, follow_redirects=False)
    raw = [(one.encode(), value.encode("utf-8") if max(map(ord, value)) > 255 else value.encode("latin-1"))
           for one, value in headers.items()]  # fmt: skip
    own = [] if "Authorization" in headers else [(b"authorization", f"Bearer {tokens['manager']}".encode())]
    deal = desk.company.deals["mine"]
    for method, path in (
        ("GET", "/"), ("GET", f"/deals/{deal}"), ("GET", "/login"), ("GET", "/api/me"), ("POST", "/api/notices/read"),
        ("POST", "/login"), ("GET", "/static/app.css"), ("GET", "/api/notices/unread"),
    ):  # fmt: skip
        answer = client.request(
            method, f"/backoffice{path}", content=b"{}" if method == "POST" else None, headers=raw + own
        )
        assert answer.status_code < 500, (method, path, answer.status_code, answer.text[:300])
        assert "evil" not in answer.headers.get("location", "")
