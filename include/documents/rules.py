"""Which files a case takes: by their name and by what they really hold; pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from include.shared.errors import InvalidInput

LONGEST_NAME = 200
OFFICE_ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
WIDE_BYTE_ORDERS = (b"\xff\xfe", b"\xfe\xff")
_OVERLAP = 64  # longer than any mark, so that none is lost between two chunks
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")


@dataclass(frozen=True)
class FileKind:
    """A kind of file: its extension, how its content begins, and marks of which it holds at least one."""

    extension: str
    title: str
    media_type: str
    begins: tuple[bytes, ...] = ()
    holds: tuple[bytes, ...] = ()

    @property
    def is_plain_text(self) -> bool:
        """Say whether the content is text without any structure."""
        return self.media_type.startswith("text/")


_OFFICE = "application/vnd.openxmlformats-officedocument"
_KINDS = (
    FileKind("docx", "документ Word", f"{_OFFICE}.wordprocessingml.document", (OFFICE_ZIP,), (b"word/document",)),
    FileKind("doc", "документ Word", "application/msword", (OLE,), ("WordDocument".encode("utf-16-le"),)),
    FileKind("xlsx", "таблица Excel", f"{_OFFICE}.spreadsheetml.sheet", (OFFICE_ZIP,), (b"xl/workbook",)),
    FileKind(
        "xls", "таблица Excel", "application/vnd.ms-excel", (OLE,),
        ("Workbook".encode("utf-16-le"), "Book\0".encode("utf-16-le")),
    ),
    FileKind("pdf", "PDF", "application/pdf", (b"%PDF-",)),
    FileKind(
        "odt", "документ OpenDocument", "application/vnd.oasis.opendocument.text", (OFFICE_ZIP,),
        (b"application/vnd.oasis.opendocument.text",),
    ),
    FileKind("rtf", "документ RTF", "application/rtf", (b"{\\rtf",)),
    FileKind("txt", "текст", "text/plain"),
    FileKind("csv", "таблица CSV", "text/csv"),
    FileKind("png", "картинка PNG", "image/png", (b"\x89PNG\r\n\x1a\n",)),
    FileKind("jpg", "картинка JPEG", "image/jpeg", (b"\xff\xd8\xff",)),
    FileKind("zip", "архив ZIP", "application/zip", (OFFICE_ZIP, b"PK\x05\x06")),
)  # fmt: skip
KINDS = {one.extension: one for one in _KINDS} | {"jpeg": next(one for one in _KINDS if one.extension == "jpg")}
EXTENSIONS = tuple(KINDS)


def clean_name(name: str) -> str:
    """Return a file's own name: no folders, no invisible signs, at most 200 signs with the extension kept."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    # category C: controls, surrogates and the marks that turn the writing direction («exe.docx» read backwards)
    visible = "".join(one for one in last if not unicodedata.category(one).startswith("C"))
    plain = re.sub(r"\s+", " ", visible).strip(" .")
    stem, dot, extension = plain.rpartition(".")
    if not dot or not stem.strip(" ."):
        msg = f"У файла «{plain or 'без имени'}» нет имени или расширения. Принимаются: {', '.join(EXTENSIONS)}."
        raise InvalidInput(msg, "file")
    return f"{stem[: LONGEST_NAME - len(extension) - 1].rstrip()}.{extension}"


def kind_of(name: str) -> FileKind:
    """Return the kind that the name's extension promises; InvalidInput names those that are taken."""
    extension = name.rpartition(".")[2].lower()
    kind = KINDS.get(extension)
    if kind is None:
        msg = f"Файлы «.{extension[:20]}» не принимаются. Загрузите один из: {', '.join(EXTENSIONS)}."
        raise InvalidInput(msg, "file")
    return kind


def check_size(size: int, limit: int) -> None:
    """Refuse an empty file and one above the limit (bytes)."""
    if size == 0:
        msg = "Файл пустой. Выберите файл с содержимым."
        raise InvalidInput(msg, "file")
    if size > limit:
        raise InvalidInput(too_large(limit), "file")


def too_large(limit: int) -> str:
    """Return the sentence that refuses a file above the limit (bytes)."""
    return f"Файл больше {limit // 2**20} МБ. Уменьшите его или разделите на части."


class Sight:
    """What has been seen of a file while it was read through once: how it begins and which marks it holds."""

    def __init__(self, kind: FileKind) -> None:
        self.kind = kind
        self._begins = b""
        self._end = b""
        self._held = not kind.holds
        self._is_text = True

    def see(self, chunk: bytes) -> None:
        """Look at the next chunk; the first one must be longer than any beginning."""
        if not self._begins:
            self._begins = chunk[:16]
        if not self._held:
            around = self._end + chunk
            self._held = any(mark in around for mark in self.kind.holds)
            self._end = chunk[-_OVERLAP:]
        if self.kind.is_plain_text and not self._begins.startswith(WIDE_BYTE_ORDERS):
            self._is_text = self._is_text and _NO_TEXT.search(chunk) is None

    def check(self, name: str) -> None:
        """Refuse a file whose content is not what its extension promises."""
        kind = self.kind
        fits = self._is_text if kind.is_plain_text else self._held and self._begins.startswith(kind.begins)
        if not fits:
            msg = (
                f"Содержимое файла «{name}» не похоже на {kind.title} (.{kind.extension}): он повреждён, защищён"
                " паролем или переименован. Сохраните его заново и загрузите ещё раз."
            )
            raise InvalidInput(msg, "file")


def by_media_type(media_type: str) -> FileKind:
    """Return the kind that is stored under this media type; a kind that is accepted no more is a plain file."""
    return next((one for one in _KINDS if one.media_type == media_type), FileKind("", "файл", media_type))


def version_words(value: object) -> str:
    """Return «договор.docx (версия 2)» for a stored file field; empty for an empty one."""
    if not isinstance(value, dict) or not value.get("name"):
        return ""
    return f"{value['name']} (версия {value.get('number')})"


def size_words(size: int) -> str:
    """Return «12 КБ», «1,4 МБ»."""
    if size < 1024:
        return f"{size} Б"
    if size < 1024 * 1024:
        return f"{round(size / 1024)} КБ"
    return f"{size / 1024 / 1024:.1f} МБ".replace(".", ",")


def task_field(task_id: int) -> str:
    """Return the field under which the file of a task's own result is kept."""
    return f"task-{task_id}"


def task_of_field(field: str) -> int | None:
    """Return the task whose result the field holds, None for a field of the deal."""
    number = field.removeprefix("task-")
    is_task = field != number and number.isascii() and number.isdecimal() and len(number) <= 18
    return int(number) if is_task else None
