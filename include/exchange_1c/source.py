"""The bytes of a file: which encoding they really are, what stands before the root, and a bounded feed of UTF-8."""

from __future__ import annotations

import codecs
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from include.exchange_1c.records import MEGABYTE, ExchangeFileDamaged, ExchangeFileRefused, Limits

HEAD = 64 * 1024
ROOT = "КоммерческаяИнформация"

#: what may be declared when the bytes are not UTF-8; a codec without gaps (latin-1) would believe anything
CYRILLIC = {"cp1251", "koi8-r", "koi8-u", "cp866", "iso8859-5", "mac-cyrillic"}
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._\-]{1,40})["']""")
#: CommerceML 1.x keeps its keys in attributes, 2.x and 3.1 in elements
FIRST_FORMAT = (
    "Формат CommerceML 1.x (1С 7.7) не поддерживается: выгрузите данные в CommerceML 2 или 3 "
    "(1С:Предприятие 8, обмен с сайтом)."
)
_FIRST_FORMAT = re.compile(
    r"<(?:Каталог|ПакетПредложений|Группа|Товар|Предложение|Документ|Контрагент)\s[^<>]{0,2000}?Идентификатор\w*\s*="
)
_VERSION = re.compile(r"""<[^<>]{0,2000}?\sВерсияСхемы\s*=\s*["']\s*([0-9.]{1,10})""")


@dataclass(frozen=True)
class FileHead:
    """What the first pass over a file found out: the real encoding, the size in bytes, the digest."""

    encoding: str
    size: int
    sha256: str


def inspect(path: Path, limits: Limits) -> FileHead:
    """Decide the encoding by the bytes and check the prolog without parsing; ExchangeFileRefused with the reason."""
    size = path.stat().st_size
    if size > limits.file_bytes:
        msg = f"Файл больше {limits.file_bytes // MEGABYTE} МБ: выгружайте частями или поднимите предел."
        raise ExchangeFileRefused(msg)
    if size == 0:
        msg = "Файл пуст."
        raise ExchangeFileRefused(msg)
    with path.open("rb") as file:
        head = file.read(HEAD)
        file.seek(0)
        encoding, sha256 = _decide(file, head)
    _check_prolog(head.decode(encoding, errors="ignore"))
    return FileHead(encoding, size, sha256)


def _decide(file: BinaryIO, head: bytes) -> tuple[str, str]:
    digest = hashlib.sha256()
    wide = _wide(head)
    encoding = wide or "utf-8"
    wrong = _first_wrong_byte(file, encoding, digest)
    if wrong is None:
        return encoding, digest.hexdigest()
    found = _DECLARED.search(head)
    declared = found[1].decode() if found else ""
    try:
        candidate = codecs.lookup(declared).name if declared and not wide else ""
    except LookupError:
        candidate = ""
    if candidate in CYRILLIC:
        file.seek(0)
        digest = hashlib.sha256()
        wrong = _first_wrong_byte(file, candidate, digest)
        if wrong is None:
            return candidate, digest.hexdigest()
    msg = f"Кодировка не определяется: байты не UTF-8 (с места {wrong}), объявлено «{declared or 'ничего'}»."
    raise ExchangeFileRefused(msg)


def _wide(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-16-le" if head.startswith(b"<\x00") else "utf-16-be" if head.startswith(b"\x00<") else None


def _first_wrong_byte(file: BinaryIO, encoding: str, digest: hashlib._Hash) -> int | None:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    passed = 0
    wrong: int | None = None
    while chunk := file.read(MEGABYTE):
        digest.update(chunk)
        if wrong is None:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                wrong = passed + error.start
        passed += len(chunk)
    return wrong  # a letter cut at the very end is left to the parser, which says that the file is cut


def _check_prolog(text: str) -> None:
    """Refuse a DTD (home of entity bombs) and foreign roots before the parser sees a byte of them."""
    place = 0
    text = text.lstrip("\ufeff")
    while True:
        while place < len(text) and text[place].isspace():
            place += 1
        if text.startswith("<?", place):
            end = text.find("?>", place)
        elif text.startswith("<!--", place):
            end = text.find("-->", place)
        elif text.startswith("<!", place):
            msg = "В файле есть DTD или объявления сущностей (<!DOCTYPE …>): такие файлы не принимаются."
            raise ExchangeFileRefused(msg)
        else:
            break
        if end < 0:
            place = len(text)
            break
        place = text.index(">", end) + 1
    found = re.compile(r"<([^\s/>]+)").match(text, place)
    if found is None:
        msg = "Это не XML: не найден корневой элемент."
        raise ExchangeFileRefused(msg)
    if found[1].rpartition(":")[2] != ROOT:
        msg = f"Это не файл обмена 1С: корневой элемент «{found[1][:60]}», а не «{ROOT}»."
        raise ExchangeFileRefused(msg)
    if _FIRST_FORMAT.search(text, place) or (
        (version := _VERSION.match(text, place)) is not None and version[1].startswith("1.")
    ):
        raise ExchangeFileRefused(FIRST_FORMAT)


class Feed:
    """A file as the parser reads it: always UTF-8, and never more than one record's worth without a finished record."""

    def __init__(self, file: BinaryIO, encoding: str, limits: Limits) -> None:
        self._file = file
        self._decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)("strict")
        self._limit = limits.record_bytes
        self.taken = 0
        self.line = 1

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes in UTF-8; ExchangeFileDamaged when one record outgrows its bound."""
        chunk = self._file.read(size)
        if self._decoder is not None:
            chunk = self._transcoded(self._decoder, chunk, size)
        self.taken += len(chunk)
        if self.taken > self._limit:
            msg = f"После строки {self.line} идёт запись длиннее {self._limit // MEGABYTE} МБ: файл не принят."
            raise ExchangeFileDamaged(msg)
        return chunk

    def _transcoded(self, decoder: codecs.IncrementalDecoder, chunk: bytes, size: int) -> bytes:
        try:
            while not (text := decoder.decode(chunk, final=not chunk)) and chunk:
                chunk = self._file.read(size)
        except UnicodeDecodeError as error:
            msg = "Файл обрывается посреди буквы: выгрузка не завершена."
            raise ExchangeFileDamaged(msg) from error
        return text.encode()

    def record_done(self, line: int) -> None:
        """Say that a record ending about this line was read and freed."""
        self.taken = 0
        self.line = line
