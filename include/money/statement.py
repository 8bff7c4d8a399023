"""Streaming reader of bank statements in the format 1CClientBankExchange 1.01–1.03, in flat memory.

The bytes decide the encoding, whatever is declared. A payment that cannot be understood becomes a Reject and what was
put right a Remark; a section that is not closed means that the file is cut, and nothing of it may be loaded.
"""

from __future__ import annotations

import codecs
import datetime as dt
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TextIO

from include.exchange_1c.rules import ValueRefused, mask, normalise
from include.money.balances import Balances
from include.money.documents import HEADINGS, KNOWN, Section, account_lines, canonical, document_lines
from include.money.records import (
    INCOMING,
    INTERNAL,
    MEGABYTE,
    OUTGOING,
    UNKNOWN,
    AccountSection,
    Disagreement,
    Limits,
    Reject,
    Remark,
    StatementCheck,
    StatementDamaged,
    StatementHead,
    StatementPayment,
    StatementRecord,
    StatementRefused,
)
from include.money.values import parse_day, parse_time

FIRST = "1CClientBankExchange"
NOT_A_STATEMENT = (
    f"Это не выписка банка для 1С: первая строка файла должна быть {FIRST}. "
    "Выгрузите выписку из банка «в формате 1С» (обычно kl_to_1c.txt)."
)
SNIFFED, FIRST_BYTES = 256 * 1024, 4096
MOST_STRAYS = 1000

_DOCUMENT, _DOCUMENT_END = "СекцияДокумент", "КонецДокумента"
_ACCOUNT, _ACCOUNT_END = "СекцияРасчСчет", "КонецРасчСчет"
_END = "КонецФайла"
_MARKS = {one.lower(): one for one in (_DOCUMENT, _DOCUMENT_END, _ACCOUNT, _ACCOUNT_END, _END, FIRST)}
_WORDS = ("Секция", "Конец", "Плательщик", "Получатель", "Сумма", "Дата", "Счет", "ВерсияФормата", "Кодировка")
_DECLARED = {"windows": "cp1251", "cp1251": "cp1251", "windows-1251": "cp1251", "dos": "cp866", "cp866": "cp866"}
_TITLES = {"utf-8": "UTF-8", "cp1251": "Windows-1251", "cp866": "DOS (cp866)", "utf-16": "UTF-16"}
_VERSIONS = {"1.01", "1.02", "1.03"}
_MADE_BY_1C = re.compile(r"бухгалтери|1[сc]|предприяти|управлени|зарплат|комплексн|розниц", re.IGNORECASE)
_LATIN = str.maketrans("СсАаЕе", "CcAaEe")
_NOT_SHOWN = dict.fromkeys(map(ord, "\x00\x1a\ufeff"))
_IDENTIFIER = re.compile(r"[А-ЯЁA-Z][А-Яа-яЁёA-Za-z]*\d{0,2}")


class StatementFile:
    """One bank statement; ``records`` is read once, ``check`` is whole when it has ended."""

    def __init__(self, path: Path, own_accounts: Collection[str] = (), limits: Limits | None = None) -> None:
        """Look at the beginning of the file; StatementRefused when it is no statement that we can read."""
        self._path = path
        self._limits = limits or Limits()
        self._own = frozenset(own_accounts)
        self._balances = Balances(self._own, self._limits)
        self._line = 0
        self._broken = 0
        self._strays = 0
        self._moved = False  # a document says when the money moved
        self._said: list[Remark] = []
        self.check = StatementCheck()
        self.encoding = _encoding(path, self._limits)
        self.head = StatementHead(1, "", self.encoding, "", "", "", None, None, None, None, [], [])

    def records(self) -> Iterator[StatementRecord]:
        """Give the header, the account sections, the payments with rejects and remarks, in the order of the file.

        StatementDamaged when the file is cut or broken inside: what was given before must not be loaded then.
        """
        named = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        with self._path.open(encoding=named, errors="replace", newline=None) as file:
            for record in self._read(file):
                if isinstance(record, Remark):
                    self.check.remarks += 1
                elif isinstance(record, Reject):
                    self.check.rejected += 1
                yield record
        self._balances.finish(self.check)
        if not self.check.sections and not self._moved and self.check.documents and self._made_by_1c():
            text = (
                "Это платёжные поручения из 1С в банк, а не выписка: деньги по ним ещё не двигались. "
                "Загрузите выписку, которую выдал банк."
            )
            self.check.disagreements.append(Disagreement("", None, None, "orders", None, None, text, 1))

    def _read(self, file: TextIO) -> Iterator[StatementRecord]:
        section: Section | None = None
        head_given = False
        complete = True  # the last line was understood
        for text in self._lines(file):
            key, equals, value = text.partition("=")
            key = key.rstrip()
            mark = _MARKS.get(key.lower()) if text[0] in "сСкК1" else None
            if mark is None:
                if section is not None:
                    section.take(self._line, text, key, equals, value)
                else:
                    complete = self._outside(text, key, equals, value)
                if self._said:
                    yield from self._spoken()
            elif section is not None:
                if mark != section.end:
                    msg = (
                        f"Раздел «{section.title}» со строки {section.line} не закрыт, а на строке {self._line} стоит "
                        f"«{mark}»: файл повреждён. Выгрузите выписку заново."
                    )
                    raise StatementDamaged(msg)
                yield from self._closed(section)
                section = None
            elif mark in (_DOCUMENT, _ACCOUNT):
                if not head_given:
                    yield from self._head()
                    head_given = True
                section = (
                    document_lines(self._line, normalise(value), self._limits)
                    if mark == _DOCUMENT
                    else account_lines(self._line, self._limits)
                )
                complete = True
            elif mark == _END:
                self.check.ended = True
                complete = True
                yield from self._after_end(file)
            elif mark == FIRST:
                msg = f"На строке {self._line} начинается вторая выписка: файл склеен из двух. Загрузите их порознь."
                raise StatementDamaged(msg)
            else:
                yield Remark(self._line, "", "file", f"«{mark}» без начала раздела: строка пропущена.")
        if section is not None:
            msg = (
                f"Файл обрывается: раздел «{section.title}» со строки {section.line} не закрыт. "
                "Выгрузка не завершена, скачайте выписку заново."
            )
            raise StatementDamaged(msg)
        if not head_given:
            yield from self._head()
        if not self.check.ended:
            if not complete:
                msg = f"Файл обрывается на строке {self._line}: скачайте выписку заново."
                raise StatementDamaged(msg)
            text = "Нет строки «КонецФайла»."
            stated = self._balances.stated
            text += " Вся ли это выписка, видно по остаткам." if stated else " Вся ли это выписка, проверить нечем."
            yield Remark(self._line, "", "file", text)

    def _lines(self, file: TextIO) -> Iterator[str]:
        """Give the lines that are not blank, without outer spaces, the first line left out."""
        limit = self._limits.line_chars
        first = True
        while text := file.readline(limit + 1):
            self._line += 1
            if len(text) > limit and not text.endswith("\n"):
                msg = f"Строка {self._line} длиннее {limit} знаков: это не выписка или она повреждена."
                raise StatementDamaged(msg)
            text = text.strip()
            if not text.isprintable():
                text = text.translate(_NOT_SHOWN).strip()
            if not text:
                continue
            if "\ufffd" in text:
                self._broken += 1
                self._remark("", "file", "в строке есть байты, которые не буквы: они заменены знаком «\ufffd»")
                if self._broken > self._limits.broken_lines:
                    msg = f"Строк с испорченными буквами больше {self._limits.broken_lines}: файл повреждён."
                    raise StatementDamaged(msg)
            if first:
                first = False
                continue
            yield text

    def _outside(self, text: str, key: str, equals: str, value: str) -> bool:
        """Take a line that stands in no section; returns whether it was understood."""
        known = canonical(key)
        if equals and known in HEADINGS:
            self._heading(known, normalise(value))
            return True
        if known in KNOWN and known not in HEADINGS:
            msg = (
                f"На строке {self._line} поле «{known}» стоит вне раздела: начало раздела потеряно, файл повреждён. "
                "Выгрузите выписку заново."
            )
            raise StatementDamaged(msg)
        if equals and _IDENTIFIER.fullmatch(key) and len(self.head.details) < MOST_STRAYS:
            self.head.details.setdefault(key, normalise(value))
            return True
        if self._is_end(text):
            self.check.ended = True
            return True
        if known in HEADINGS or (len(text) > 4 and _END.startswith(text)):
            return True
        self._strays += 1
        if self._strays > MOST_STRAYS:
            msg = f"Непонятных строк больше {MOST_STRAYS}: файл повреждён или это не выписка."
            raise StatementDamaged(msg)
        self._remark("", "file", f"строка не понята и пропущена: «{mask(text[:40])}»")
        return False

    def _is_end(self, text: str) -> bool:
        """Say whether a line is the end of the file in another encoding than the rest (two programs wrote it)."""
        if self.encoding not in ("cp1251", "cp866"):
            return False
        try:
            return text.encode(self.encoding).decode("utf-8").strip() == _END
        except UnicodeError:
            return False

    def _after_end(self, file: TextIO) -> Iterator[Remark]:
        for text in self._lines(file):
            mark = _MARKS.get(text.partition("=")[0].rstrip().lower())
            if mark in (None, _END):
                self._remark("", "file", f"после «{_END}» есть лишняя строка: она пропущена")
                yield from self._spoken()
                continue
            msg = (
                f"После «{_END}» на строке {self._line} файл продолжается («{mark}»): он склеен из двух. "
                "Загрузите выписки по отдельности."
            )
            raise StatementDamaged(msg)
        yield from self._spoken()

    def _closed(self, section: Section) -> Iterator[StatementRecord]:
        made, remarks = section.made(self._own)
        if isinstance(made, AccountSection):
            self._balances.section(made)
        elif isinstance(made, StatementPayment):
            self._count(made)
        yield made
        yield from remarks

    def _count(self, payment: StatementPayment) -> None:
        ours = payment.payer.account in self._own, payment.payee.account in self._own
        payment.direction = {
            (True, True): INTERNAL,
            (True, False): OUTGOING,
            (False, True): INCOMING,
            (False, False): UNKNOWN,
        }[ours]
        check = self.check
        check.documents += 1
        if payment.direction == INCOMING:
            check.incoming += 1
        elif payment.direction == OUTGOING:
            check.outgoing += 1
        elif payment.direction == INTERNAL:
            check.internal += 1
        else:
            check.unknown += 1
        self._moved = self._moved or payment.charged_on is not None or payment.received_on is not None
        self._balances.payment(payment)

    def _heading(self, key: str, value: str) -> None:
        head = self.head
        if key == "РасчСчет":
            account = value.replace(" ", "")
            if account and account not in head.accounts:
                head.accounts.append(account)
                self._balances.declare(account)
        elif key == "Документ":
            if value and value not in head.kinds:
                head.kinds.append(value)
        elif value:
            head.raw[key] = value

    def _head(self) -> Iterator[StatementHead | Remark]:
        head, said = self.head, self.head.raw
        head.version, head.declared = said.get("ВерсияФормата", ""), said.get("Кодировка", "")
        head.sender, head.recipient = said.get("Отправитель", ""), said.get("Получатель", "")
        head.created_on, head.created_at = self._day("ДатаСоздания"), self._time("ВремяСоздания")
        head.date_from, head.date_to = self._day("ДатаНачала"), self._day("ДатаКонца")
        head.raw = {
            key: said[key] for key in ("ДатаСоздания", "ВремяСоздания", "ДатаНачала", "ДатаКонца") if key in said
        }
        if head.version not in _VERSIONS:
            named = f"версия формата {head.version[:20]} незнакома" if head.version else "версия формата не указана"
            self._remark("", "header", f"{named}: файл прочитан как 1.03")
        declared = _DECLARED.get(head.declared.lower(), head.declared.lower())
        if declared and declared != self.encoding:
            real = _TITLES[self.encoding]
            self._remark("", "header", f"объявлена кодировка «{head.declared[:20]}», а на деле {real}: прочитано так")
        if head.date_from and head.date_to and head.date_from > head.date_to:
            self._remark("", "header", "начало периода позже его конца")
        yield head
        yield from self._spoken()

    def _day(self, key: str) -> dt.date | None:
        try:
            return parse_day(self.head.raw.get(key, ""))
        except ValueRefused as problem:
            self._remark("", "header", f"{key}: {problem}")
            return None

    def _time(self, key: str) -> dt.time | None:
        try:
            return parse_time(self.head.raw.get(key, ""))
        except ValueRefused as problem:
            self._remark("", "header", f"{key}: {problem}")
            return None

    def _made_by_1c(self) -> bool:
        return bool(_MADE_BY_1C.search(self.head.sender)) and not _MADE_BY_1C.search(self.head.recipient)

    def _remark(self, number: str, entity: str, text: str) -> None:
        self._said.append(Remark(self._line, number, entity, f"{text[:1].upper()}{text[1:]}."))

    def _spoken(self) -> Iterator[Remark]:
        if self._said:
            yield from self._said
            self._said = []


def _encoding(path: Path, limits: Limits) -> str:
    """Decide by the bytes which encoding it is; StatementRefused for what is no statement."""
    size = path.stat().st_size
    if size > limits.file_bytes:
        msg = f"Файл больше {limits.file_bytes // MEGABYTE} МБ: выгрузите выписку за меньший период."
        raise StatementRefused(msg)
    if size == 0:
        msg = "Файл пуст."
        raise StatementRefused(msg)
    with path.open("rb") as file:
        sample = file.read(SNIFFED)
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        _check_first(sample[:FIRST_BYTES].decode("utf-16", "replace"))
        return "utf-16"
    if sample.startswith(b"PK\x03\x04"):
        msg = "Это архив или книга Excel, а не выписка: распакуйте архив, таблицу загрузите как платежи из Excel."
        raise StatementRefused(msg)
    _check_first(sample[:FIRST_BYTES].decode("utf-8", "replace"))
    counts = {name: sum(sample.count(word.encode(name)) for word in _WORDS) for name in ("utf-8", "cp1251", "cp866")}
    best = max(counts, key=lambda name: counts[name])
    if not counts[best]:
        msg = (
            "Кодировка файла не распознана: ни в UTF-8, ни в Windows-1251, ни в DOS в нём нет слов выписки. "
            "Сохраните выписку заново, не открывая её в других программах."
        )
        raise StatementRefused(msg)
    return best


def _check_first(text: str) -> None:
    first = next((line for line in text.translate(_NOT_SHOWN).splitlines() if line.strip()), "").strip()
    if not first.translate(_LATIN).lower().startswith(FIRST.lower()):
        raise StatementRefused(NOT_A_STATEMENT)
