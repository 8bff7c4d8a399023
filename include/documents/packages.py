"""Reading files that somebody else made: zip packages and the XML inside, with limits before anything is unpacked."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree

LARGEST_DIRECTORY = 2 * 2**20  # bytes of the zip's own list: some ten thousand names
LARGEST_PART = 10 * 2**20
HIGHEST_RATIO = 200  # office XML packs up to a hundred to one, a bomb a thousand to one
SMALL_PART = 2**20  # below it the ratio does not matter
_END = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR = b"PK\x06\x07"


class NotReadable(Exception):
    """A file that cannot be shown; ``str(error)`` says why in Russian."""


def open_package(stream: BinaryIO) -> zipfile.ZipFile:
    """Open a zip whose own list of contents is small; NotReadable for a damaged or hostile one."""
    _check_directory(stream)
    stream.seek(0)
    try:
        return zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        msg = "Файл повреждён: его не удалось раскрыть."
        raise NotReadable(msg) from error


def read_part(package: zipfile.ZipFile, name: str) -> bytes:
    """Return one part of a package; NotReadable when it is too large, packed too tightly or damaged."""
    try:
        info = package.getinfo(name)
        check_part(info)
        with package.open(info) as part:
            content = part.read(LARGEST_PART + 1)
    except (KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        msg = "Файл повреждён или защищён паролем: его не удалось раскрыть."
        raise NotReadable(msg) from error
    if len(content) > LARGEST_PART:
        msg = "Внутри файла слишком много данных для просмотра."
        raise NotReadable(msg)
    return content


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
    if b"\x00" in content[:64] or re.search(rb"<!DOCTYPE|<!ENTITY", content):
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
