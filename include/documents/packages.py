"""Reading files that somebody else made: zip packages and the XML inside, with limits before anything is unpacked."""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from lxml import etree

LARGEST_DIRECTORY = 2 * 2**20  # bytes of the zip's own list: some ten thousand names
LARGEST_PART = 10 * 2**20
LARGEST_TOTAL = 30 * 2**20  # of all parts that are read of one file
HIGHEST_RATIO = 200  # office XML packs up to a hundred to one, a bomb a thousand to one
SMALL_PART = 2**20  # below it the ratio does not matter
_END = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR = b"PK\x06\x07"
_DTD = re.compile(
    b"|".join(
        re.escape(f"<!{word}".encode(how))
        for word in ("DOCTYPE", "ENTITY")
        for how in ("ascii", "utf-16-le", "utf-16-be")
    )
)
#: What office programs write; in any other encoding a DTD could hide from the eye above.
_ENCODINGS = frozenset({b"utf-8", b"us-ascii", b"iso-8859-1", b"windows-1251", b"windows-1252"})
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([^"'>]{0,100})["']""")
#: What the unpacking of a broken or a lying package raises.
UNREADABLE = (
    KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zlib.error,
    lzma.LZMAError, struct.error, OverflowError, MemoryError,
)  # fmt: skip


class NotReadable(Exception):
    """A file that cannot be shown; ``str(error)`` says why in Russian."""


def open_package(stream: BinaryIO) -> zipfile.ZipFile:
    """Open a zip whose own list of contents is small; NotReadable for a damaged or hostile one."""
    _check_directory(stream)
    stream.seek(0)
    try:
        return zipfile.ZipFile(stream)
    except UNREADABLE as error:
        msg = "Файл повреждён: его не удалось раскрыть."
        raise NotReadable(msg) from error


def read_part(package: zipfile.ZipFile, name: str) -> bytes:
    """Return one part of a package; NotReadable when it is too large, packed too tightly or damaged."""
    try:
        info = package.getinfo(name)
        check_part(info)
        with package.open(info) as part:
            content = part.read(LARGEST_PART + 1)
    except UNREADABLE as error:
        msg = "Файл повреждён или защищён паролем: его не удалось раскрыть."
        raise NotReadable(msg) from error
    if len(content) > LARGEST_PART:
        msg = "Внутри файла слишком много данных для просмотра."
        raise NotReadable(msg)
    return content


def check_total(package: zipfile.ZipFile, names: Iterable[str]) -> None:
    """Refuse parts that are small one by one and too much together."""
    if sum(package.getinfo(one).file_size for one in names) > LARGEST_TOTAL:
        msg = "Внутри файла слишком много данных для просмотра."
        raise NotReadable(msg)


def check_part(info: zipfile.ZipInfo) -> None:
    """Refuse a part that unpacks to more than is safe, before it is unpacked."""
    tight = info.file_size > SMALL_PART and info.file_size > HIGHEST_RATIO * max(info.compress_size, 1)
    if info.file_size > LARGEST_PART or tight:
        msg = "Внутри файла слишком много данных для просмотра."
        raise NotReadable(msg)


def elements(content: bytes, tags: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Give the starts and ends of some elements of an XML part as they are read; DTD and entities are refused."""
    check_xml(content)
    parser = etree.iterparse(
        io.BytesIO(content), events=("start", "end"), tag=tags, resolve_entities=False, no_network=True, load_dtd=False,
        huge_tree=False,
    )  # fmt: skip
    try:
        yield from parser
    except etree.XMLSyntaxError as error:
        msg = "Файл повреждён: его текст не удалось прочитать."
        raise NotReadable(msg) from error


def check_xml(content: bytes) -> None:
    """Refuse XML with a DTD (office files have none, entity bombs do) or in an encoding that would hide one."""
    begins = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    declared = _DECLARED.match(begins)
    hides = declared is not None and declared[1].strip().lower() not in _ENCODINGS
    if hides or not begins.startswith(b"<") or b"\x00" in content[:64] or _DTD.search(content):
        msg = "В файле недопустимое содержимое: просмотр невозможен."
        raise NotReadable(msg)


def check_other(content: bytes) -> None:
    """Refuse a part that calls itself no XML and yet holds a DTD: its reader goes by other marks than its name."""
    if _DTD.search(content):
        msg = "В файле недопустимое содержимое: просмотр невозможен."
        raise NotReadable(msg)


def _check_directory(stream: BinaryIO) -> None:
    """Read only the zip's last record: how long its list of contents says it is."""
    stream.seek(0, io.SEEK_END)
    size = stream.tell()
    stream.seek(max(0, size - 65535 - _END.size))
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        msg = "Файл повреждён: его не удалось раскрыть."
        raise NotReadable(msg)
    *_, entries, length, _offset, _comment = _END.unpack_from(tail, at)
    if _ZIP64_LOCATOR in tail or length > LARGEST_DIRECTORY or entries == 0xFFFF:
        msg = "Внутри файла слишком много данных для просмотра."
        raise NotReadable(msg)
