"""What of a file can be shown on a page: its text or its first sheet; nothing of it is ever run."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

import openpyxl

from include.documents.packages import (
    UNREADABLE,
    NotReadable,
    check_other,
    check_part,
    check_total,
    check_xml,
    elements,
    open_package,
    read_part,
)
from include.documents.rules import WIDE_BYTE_ORDERS, by_media_type

MOST_PARAGRAPHS, MOST_SIGNS = 5000, 1_000_000
MOST_ROWS, MOST_COLUMNS, LONGEST_CELL = 500, 40, 500
LARGEST_TEXT = 2 * 2**20
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_ODT_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_ODT_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_WORD_PARTS = re.compile(r"word/(document|footnotes|endnotes|header|footer)\d*\.xml")
_at_work = threading.BoundedSemaphore(2)  # unpacking needs memory: never more than two at once in one server
#: what the reader of tables says to a broken one
UNREADABLE_BOOK = (*UNREADABLE, TypeError, IndexError, AttributeError, SyntaxError, ArithmeticError)
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".emf", ".wmf")
BUSY = "Сервер сейчас занят показом других файлов. Обновите страницу через несколько секунд."


@dataclass
class Preview:
    """What is shown: paragraphs, rows, an image or PDF by the browser itself, or why nothing is."""

    kind: Literal["text", "table", "image", "pdf", "nothing"]
    paragraphs: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""
    cut: bool = False

    @property
    def lines(self) -> list[str]:
        """Return the text line by line, for a comparison of two files."""
        return self.paragraphs or [" | ".join(row).rstrip(" |") for row in self.rows]


def preview(media_type: str, stream: BinaryIO) -> Preview:
    """Return what a page shows of a content; a file that cannot be shown says why."""
    readers: dict[str, Callable[[BinaryIO], Preview]] = {
        "docx": _docx, "odt": _odt, "xlsx": _xlsx, "txt": _plain, "csv": _plain, "zip": _zip,
    }  # fmt: skip
    kind = by_media_type(media_type)
    if kind.extension == "pdf":
        return Preview("pdf")
    if media_type.startswith("image/"):
        return Preview("image")
    reader = readers.get(kind.extension)
    if reader is None:
        return Preview("nothing", note=f"Файлы .{kind.extension} здесь не показываются: скачайте файл.")
    try:
        with _one_of_few():
            return reader(stream)
    except NotReadable as error:
        return Preview("nothing", note=str(error))


@contextmanager
def _one_of_few() -> Iterator[None]:
    if not _at_work.acquire(timeout=10):
        raise NotReadable(BUSY)
    try:
        yield
    finally:
        _at_work.release()


def _docx(stream: BinaryIO) -> Preview:
    """Read the text of all parts in their order; what tracked changes have deleted is not text any more."""
    with open_package(stream) as package:
        names = sorted(
            (one for one in package.namelist() if _WORD_PARTS.fullmatch(one)), key=lambda one: "document" not in one
        )
        check_total(package, names)
        parts = (read_part(package, one) for one in names)
        tags = (f"{_W}p", f"{_W}tc", f"{_W}tr")
        made = _collect(line for part in parts for line in _structure(elements(part, tags), tags, _word_text))
    made.note = "Показан только текст: без оформления, нумерации и рисунков."
    return made


def _word_text(paragraph: Any) -> str:
    said = []
    for one in paragraph.iter():
        if one.tag == f"{_W}t":
            gone = any(
                above.tag in (f"{_W}moveFrom", f"{_W}del", _FALLBACK) for above in one.iterancestors()
            )  # the place that a moved text has left; the same drawing for old programs
            said.append("" if gone else one.text or "")
        elif one.tag in (f"{_W}tab", f"{_W}br", f"{_W}cr") and one.getparent().tag == f"{_W}r":
            said.append("\t" if one.tag == f"{_W}tab" else "\n")
        elif one.tag == f"{_W}noBreakHyphen":
            said.append("-")
    return "".join(said)


def _odt(stream: BinaryIO) -> Preview:
    with open_package(stream) as package:
        content = read_part(package, "content.xml")
    tags = (f"{_ODT_TEXT}p", f"{_ODT_TABLE}table-cell", f"{_ODT_TABLE}table-row", f"{_ODT_TEXT}h")
    made = _collect(_structure(elements(content, tags), tags, _odt_text))
    made.note = "Показан только текст: без оформления, нумерации и рисунков."
    return made


def _odt_text(paragraph: Any) -> str:
    if any(above.tag == f"{_ODT_TEXT}tracked-changes" for above in paragraph.iterancestors()):
        return ""
    said = []
    for one in paragraph.iter():
        if one.tag == f"{_ODT_TEXT}tab":
            said.append("\t")
        elif one.tag == f"{_ODT_TEXT}line-break":
            said.append("\n")
        elif one.tag == f"{_ODT_TEXT}s":
            said.append(" ")
        said.append(one.text or "")
        if one is not paragraph:
            said.append(one.tail or "")
    return "".join(said)


def _structure(
    events: Iterable[tuple[str, Any]], tags: tuple[str, ...], text_of: Callable[[Any], str]
) -> Iterator[str]:
    """Give paragraphs in order, the cells of a table row on one line; memory is given back on the way."""
    _, cell, row, *_ = tags
    cells: list[list[str]] = []  # paragraphs of the open cells, the innermost last
    rows: list[list[str]] = []
    for event, element in events:
        if element.tag in (cell, row):
            if event == "start":
                (cells if element.tag == cell else rows).append([])
                continue
            done = (cells if element.tag == cell else rows).pop()
            if element.tag == cell:
                (rows[-1] if rows else []).append(" ".join(one for one in done if one))
                continue
            line = " | ".join(done).strip(" |")
        elif event == "start":
            continue
        else:
            line = text_of(element).strip()
            element.clear(keep_tail=True)
        if cells:
            cells[-1].append(line)
        else:
            yield line


def _collect(lines: Iterable[str]) -> Preview:
    made, signs = Preview("text"), 0
    for line in lines:
        if not line:
            continue
        if len(made.paragraphs) >= MOST_PARAGRAPHS or signs > MOST_SIGNS:
            made.cut = True
            break
        made.paragraphs.append(line[:MOST_SIGNS])
        signs += len(line)
    return made


def _xlsx(stream: BinaryIO) -> Preview:
    with open_package(stream) as package:
        # which part is a sheet is said inside, not by its name: each is looked at
        names = [one for one in package.namelist() if not one.lower().endswith(PICTURES)]
        check_total(package, names)
        for name in names:
            content = read_part(package, name)
            (check_xml if name.endswith((".xml", ".rels")) else check_other)(content)
        for picture in set(package.namelist()) - set(names):
            check_part(package.getinfo(picture))
    stream.seek(0)
    try:
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        rows = [
            ["" if cell is None else str(cell)[:LONGEST_CELL] for cell in row]
            for row in sheet.iter_rows(max_row=MOST_ROWS + 1, max_col=MOST_COLUMNS, values_only=True)
        ]
        title = sheet.title
    except UNREADABLE_BOOK as error:
        msg = "Таблица повреждена: её не удалось прочитать."
        raise NotReadable(msg) from error
    while rows and not any(rows[-1]):
        rows.pop()
    wide = max((at + 1 for row in rows for at, cell in enumerate(row) if cell), default=0)
    shown = [row[:wide] for row in rows[:MOST_ROWS]]
    return Preview("table", rows=shown, note=f"Показан первый лист: «{title}».", cut=len(rows) > MOST_ROWS)


def _plain(stream: BinaryIO) -> Preview:
    content = stream.read(LARGEST_TEXT + 1)
    made = _collect(_decoded(content[:LARGEST_TEXT]).splitlines())
    made.cut = made.cut or len(content) > LARGEST_TEXT
    return made


def _decoded(content: bytes) -> str:
    if content.startswith(WIDE_BYTE_ORDERS):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start > len(content) - 4:  # a sign cut in two at the end of what was read
            return content[: error.start].decode("utf-8-sig")
        return content.decode("cp1251", "replace")


def _zip(stream: BinaryIO) -> Preview:
    with open_package(stream) as package:
        found = package.infolist()
    listed = ([_visible(one.filename)[:LONGEST_CELL], str(one.file_size)] for one in found[:MOST_ROWS])
    rows = [["Имя", "Размер, байт"], *listed]
    return Preview("table", rows=rows, note="Показано, что лежит в архиве.", cut=len(found) > MOST_ROWS)


def _visible(name: str) -> str:
    """Return a name without the signs that would turn or hide a part of it («exe.txt» read backwards)."""
    return "".join("·" if unicodedata.category(one).startswith("C") else one for one in name)
