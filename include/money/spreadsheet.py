"""Payments from an xlsx (R000-2): the headings are found by their names, what is wrong is told cell by cell.

Rows are read as they come, in flat memory, with the bounds of other people's files; a row with a wrong cell is not
loaded, and every wrong cell of it is named.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import openpyxl
from openpyxl.styles import Alignment, Font
from openpyxl.utils.datetime import from_excel

from include.documents.packages import (
    HIGHEST_RATIO,
    LARGEST_TOTAL,
    SMALL_PART,
    UNREADABLE,
    NotReadable,
    check_other,
    check_xml,
    elements,
    open_package,
    read_part,
)
from include.documents.preview import UNREADABLE_BOOK
from include.exchange_1c.rules import ValueRefused, check_inn, check_kpp, normalise
from include.money.columns import TITLES, WHO, find_columns, letter
from include.money.records import (
    MEGABYTE,
    CellProblem,
    Limits,
    Party,
    Remark,
    SheetCheck,
    SheetRecord,
    SpreadsheetPayment,
    StatementDamaged,
    StatementRefused,
)
from include.money.values import parse_amount, parse_day
from include.shared.db import Json
from include.shared.numbers import number_key

WIDEST, DEEPEST_HEADER, MOST_SHEETS = 60, 50, 20
LONGEST_TEXT, LONGEST_SHOWN = 4000, 100
MOST_EMPTY = 5000  # empty rows one after another: what follows them is nobody's table
HOW = "Как заполнять"
DAMAGED = "Таблица повреждена: её не удалось прочитать. Откройте её в Excel и сохраните заново."
NO_HEADINGS = (
    "В таблице не найдена строка с названиями столбцов. Нужны «Дата», «Сумма» и хотя бы один из столбцов «Плательщик», "
    "«ИНН», «Назначение платежа», «Счёт №», «Сделка». Скачайте пустой образец и перенесите платежи в него."
)
_CONTENT_TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}Override"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_TOTAL = re.compile(r"\s*(?:итог[оа]?|всего|total)\b[\s:.]*", re.IGNORECASE)
_ERROR = re.compile(r"#(?:N/A|Н/Д|REF!|ССЫЛКА!|VALUE!|ЗНАЧ!|DIV/0!|ДЕЛ/0!|NAME\?|ИМЯ\?|NUM!|ЧИСЛО!|NULL!|ПУСТО!)")
_ACCOUNT = re.compile(r"\d{20}")
_EXPONENT = re.compile(r"\d[.,]\d+[EЕ]\+?\d+", re.IGNORECASE)
_FIRST_SERIAL, _LAST_SERIAL = 33_604, 73_050  # 1.1.1992 … 31.12.2099 as Excel counts days


class PaymentSheet:
    """One xlsx with payments; ``records`` is read once, ``check`` is whole when it has ended."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """Look at the package without reading the rows; StatementRefused when it is no xlsx that we can read."""
        self._path = path
        self._limits = limits or Limits()
        self.check = SheetCheck()
        self._columns: dict[str, int] = {}
        self._headings: list[str] = []
        self._problems: list[CellProblem] = []
        self._epoch: dt.datetime = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - what openpyxl counts days from
        self._formulas: _Formulas | None = None
        with path.open("rb") as file:
            _check_file(file, path.stat().st_size, self._limits)

    def records(self) -> Iterator[SheetRecord]:
        """Give the payments, the wrong cells and the remarks in the order of the rows; StatementRefused or Damaged."""
        for record in self._read():
            if isinstance(record, CellProblem):
                self.check.problems += 1
            elif isinstance(record, Remark):
                self.check.remarks += 1
            else:
                self.check.payments += 1
                self.check.amount += record.amount
            yield record

    def _read(self) -> Iterator[SheetRecord]:
        with self._path.open("rb") as file, self._path.open("rb") as again:
            book = _book(file, values=True)
            try:
                sheet, title, line = self._find_headings(book)
                self._epoch = book.epoch
                self.check.title, self.check.header_line = title, line
                self._formulas = _Formulas(again, title)
                others = [one.title for one in book.worksheets if one.title not in (title, HOW)][:MOST_SHEETS]
                if others:
                    named = ", ".join(f"«{one}»" for one in others)
                    yield Remark(0, "", "sheet", f"Прочитан лист «{title}»; другие листы не читались: {named}.")
                yield from self._rows(sheet, line)
            finally:
                book.close()

    def _find_headings(self, book: Any) -> tuple[Any, str, int]:
        """Return the first sheet that has a row of headings, its title and that row's number."""
        for sheet in book.worksheets[:MOST_SHEETS]:
            for line, row in enumerate(_rows_of(sheet, max_row=DEEPEST_HEADER), 1):
                if columns := find_columns(row):
                    self._columns = columns
                    self._headings = [" ".join(str(one).split()) if one is not None else "" for one in row]
                    self.check.columns = {what: self._headings[place] for what, place in columns.items()}
                    return sheet, sheet.title, line
        raise StatementRefused(NO_HEADINGS)

    def _rows(self, sheet: Any, header_line: int) -> Iterator[SheetRecord]:
        empty = 0
        first = self._columns["date"]
        for line, row in enumerate(_rows_of(sheet, min_row=header_line + 1), header_line + 1):
            if line > self._limits.sheet_rows:
                msg = f"В таблице больше {self._limits.sheet_rows} строк: разделите её на части."
                raise StatementRefused(msg)
            if not any(one is not None and str(one).strip() for one in row) and not self._counted_later(line):
                empty += 1
                if empty > MOST_EMPTY:
                    yield Remark(line, "", "sheet", f"После {MOST_EMPTY} пустых строк таблица дальше не читалась.")
                    return
                continue
            empty = 0
            if isinstance(row[first], str) and find_columns(row) == self._columns:
                continue  # the headings again, as a printed page repeats them
            if total := _total(row, self._value(row, "date")):
                yield Remark(line, "", "sheet", f"Строка «{total}» – итог, а не платёж: пропущена.")
                continue
            yield from self._row(line, row)

    def _counted_later(self, line: int) -> bool:
        """Say whether a row that looks empty has formulas nobody has counted yet."""
        formulas = self._formulas
        return formulas is not None and any(formulas.at(line, place) for place in self._columns.values())

    def _row(self, line: int, row: Sequence[Any]) -> Iterator[SheetRecord]:
        raw: Json = {}
        remarks: list[str] = []
        self._problems = []
        if self._only_spent(row):
            yield Remark(
                line, "", "sheet", "Исходящий платёж: из таблицы берутся только поступления, строка пропущена."
            )
            return
        date = self._date(line, row, "date", required=True)
        amount = self._amount(line, row)
        inn = self._inn(line, row, raw, remarks)
        kpp, wrong = check_kpp(_text(self._value(row, "kpp")).strip("0 "))
        if wrong:
            kpp = None
            remarks.append(f"{wrong}: КПП не взят")
        number = self._number(line, row, "number")
        invoice, deal = self._number(line, row, "invoice"), self._number(line, row, "deal")
        payer_account = _account(_text(self._value(row, "payer_account")))
        if _ACCOUNT.fullmatch(invoice.replace(" ", "")):  # «Номер счёта» may be the bank account
            payer_account, invoice = payer_account or _account(invoice), ""
        purpose, name = self._said(line, row, "purpose"), self._said(line, row, "payer")
        invoice_date = self._date(line, row, "invoice_date", required=False)
        if not (name or purpose or invoice or deal or inn or raw.get("inn")):
            what = next(one for one in WHO if one in self._columns)
            self._wrong(line, what, None, "не сказано, от кого и за что платёж: заполните плательщика, ИНН или счёт")
        if self._problems or date is None or amount is None:
            self.check.rows_with_problems += 1
            yield from self._problems
            return
        party = Party(account=payer_account, inn=inn, kpp=kpp, name=name)
        yield SpreadsheetPayment(
            line=line, number=number, number_key=number_key(number), date=date, amount=amount, payer=party,
            purpose=purpose, invoice=invoice or None, invoice_date=invoice_date, deal=deal or None,
            account=_account(_text(self._value(row, "account"))), raw=raw, details=self._rest(row),
        )  # fmt: skip
        for one in remarks:
            yield Remark(line, number, "sheet", f"{one[:1].upper()}{one[1:]}.")

    def _value(self, row: Sequence[Any], what: str) -> Any:
        place = self._columns.get(what)
        value = row[place] if place is not None and place < len(row) else None
        return None if isinstance(value, str) and not value.strip() else value

    def _only_spent(self, row: Sequence[Any]) -> bool:
        spent, came = self._value(row, "spent"), self._value(row, "amount")
        return spent not in (None, 0) and came in (None, 0)

    def _wrong(self, line: int, what: str, value: Any, reason: str) -> None:
        place = self._columns[what]
        title = self._headings[place] or TITLES.get(what, "")
        shown = _text(value)[:LONGEST_SHOWN]
        self._problems.append(CellProblem(line, letter(place), title, shown, f"{reason[:1].upper()}{reason[1:]}."))

    def _missing(self, line: int, what: str, words: str) -> None:
        """Say why a cell has no value: a formula that was never counted looks empty."""
        formula = self._formulas.at(line, self._columns[what]) if self._formulas is not None else None
        if formula:
            words = (
                "в ячейке формула без посчитанного значения: откройте файл в Excel и сохраните, или впишите значение"
            )
        self._wrong(line, what, formula, words)

    def _error(self, line: int, what: str, value: Any) -> bool:
        if isinstance(value, str) and _ERROR.fullmatch(value.strip()):
            self._wrong(line, what, value, "в ячейке ошибка Excel: исправьте формулу или впишите значение")
            return True
        return False

    def _date(self, line: int, row: Sequence[Any], what: str, *, required: bool) -> dt.date | None:
        value = self._value(row, what)
        if value is None:
            if required:
                self._missing(line, what, "дата не указана: впишите её, например 21.11.2026")
            return None
        if self._error(line, what, value):
            return None
        try:
            if isinstance(value, dt.datetime):
                return parse_day(value.date().isoformat())
            if isinstance(value, dt.date):
                return parse_day(value.isoformat())
            if isinstance(value, int | float) and not isinstance(value, bool):
                counted = from_excel(value, self._epoch) if _FIRST_SERIAL <= value <= _LAST_SERIAL else None
                if isinstance(counted, dt.datetime):
                    return counted.date()
            elif isinstance(value, str) and (day := parse_day(value)) is not None:
                return day
        except ValueRefused:
            pass
        self._wrong(line, what, value, "дата не понята: запишите её как 21.11.2026")
        return None

    def _amount(self, line: int, row: Sequence[Any]) -> Decimal | None:
        value = self._value(row, "amount")
        if value is None:
            self._missing(line, "amount", "сумма не указана: впишите её числом, например 1234,50")
            return None
        if self._error(line, "amount", value):
            return None
        try:
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                amount = None
            elif isinstance(value, float):
                amount = Decimal(str(round(value, 2)))
                if abs(value - round(value, 2)) > 1e-6 * max(1.0, abs(value) * 1e-9):
                    self._wrong(line, "amount", value, "сумма точнее копейки: округлите её")
                    return None
                amount = parse_amount(format(amount, "f"))
            else:
                amount = parse_amount(str(value))
        except (ValueRefused, ArithmeticError) as problem:
            self._wrong(line, "amount", value, str(problem) if isinstance(problem, ValueRefused) else "сумма не понята")
            return None
        if amount is None:
            self._wrong(line, "amount", value, "сумма не понята: впишите её числом, например 1234,50")
        elif amount <= 0:
            self._wrong(line, "amount", value, "сумма не больше нуля: из таблицы берутся только поступления")
            return None
        return amount

    def _inn(self, line: int, row: Sequence[Any], raw: Json, remarks: list[str]) -> str | None:
        value = self._value(row, "inn")
        if value is None or self._error(line, "inn", value):
            return None
        said = re.sub(r"\s", "", _text(value))
        if not said.strip("0-"):
            return None
        if _EXPONENT.fullmatch(said):
            self._wrong(
                line, "inn", value, "ИНН записан как число с округлением: сделайте ячейку текстовой и впишите ИНН"
            )
            return None
        found = check_inn(said)
        if found.problem and len(said) in (9, 11) and said.isdigit():
            padded = check_inn(f"0{said}")
            if padded.value is not None:
                raw["inn"] = said
                remarks.append("ИНН стоит числом и потерял первый ноль: ноль возвращён")
                return padded.value
        if found.problem:
            self._wrong(line, "inn", value, f"{found.problem}: проверьте ИНН или очистите ячейку")
            return None
        return found.value

    def _number(self, line: int, row: Sequence[Any], what: str) -> str:
        value = self._value(row, what)
        if value is None or self._error(line, what, value):
            return ""
        if isinstance(value, dt.date):  # 15/2 typed into a general cell becomes a date
            self._wrong(line, what, value, "Excel превратил номер в дату: сделайте ячейку текстовой и впишите номер")
            return ""
        return normalise(_text(value))[:LONGEST_SHOWN]

    def _said(self, line: int, row: Sequence[Any], what: str) -> str:
        value = self._value(row, what)
        return "" if value is None or self._error(line, what, value) else normalise(_text(value))[:LONGEST_TEXT]

    def _rest(self, row: Sequence[Any]) -> Json:
        """Return the cells of columns that are no field of a payment, under their headings."""
        taken = set(self._columns.values())
        return {
            heading[:LONGEST_SHOWN]: _text(row[place])[:LONGEST_TEXT]
            for place, heading in enumerate(self._headings)
            if heading and place not in taken and place < len(row) and row[place] is not None
        }


class _Formulas:
    """The formulas of a sheet, looked up row by row and only when a cell has no value."""

    def __init__(self, file: BinaryIO, title: str) -> None:
        self._file = file
        self._title = title
        self._rows: Iterator[Sequence[Any]] | None = None
        self._line = 0
        self._row: Sequence[Any] = ()

    def at(self, line: int, place: int) -> str | None:
        """Return the formula of a cell; lines are asked for in their order."""
        if self._rows is None:
            self._rows = _rows_of(_book(self._file, values=False)[self._title])
        while self._line < line:
            self._row = next(self._rows, ())
            self._line += 1
        value = self._row[place] if place < len(self._row) else None
        return value if isinstance(value, str) and value.startswith("=") else None


def _book(file: BinaryIO, *, values: bool) -> Any:
    try:
        return openpyxl.load_workbook(file, read_only=True, data_only=values)
    except UNREADABLE_BOOK as error:
        raise StatementDamaged(DAMAGED) from error


def _rows_of(sheet: Any, *, min_row: int = 1, max_row: int | None = None) -> Iterator[Sequence[Any]]:
    """Give the values of the rows as they are read; StatementDamaged when the reader of tables gives up."""
    try:
        sheet.reset_dimensions()  # what a file says of its size is not believed
        rows = iter(sheet.iter_rows(min_row=min_row, max_row=max_row, max_col=WIDEST, values_only=True))
    except UNREADABLE_BOOK as error:
        raise StatementDamaged(DAMAGED) from error
    while True:
        try:
            row = next(rows, None)
        except UNREADABLE_BOOK as error:
            raise StatementDamaged(DAMAGED) from error
        if row is None:
            return
        yield row


def template() -> bytes:
    """Return an xlsx with the headings that ``PaymentSheet`` reads and no payments, and a sheet that explains them."""
    book = openpyxl.Workbook()
    sheet = book.active
    if sheet is None:
        sheet = book.create_sheet()
    sheet.title = "Платежи"
    formats = {"date": "DD.MM.YYYY", "invoice_date": "DD.MM.YYYY", "amount": "#,##0.00"}
    for place, (what, title) in enumerate(TITLES.items(), 1):
        cell = sheet.cell(row=1, column=place, value=title)
        cell.font = Font(bold=True)
        dimension = sheet.column_dimensions[letter(place - 1)]
        dimension.width = 60 if what == "purpose" else 40 if what == "payer" else 16
        dimension.number_format = formats.get(what, "@")
        for row in range(2, 502):
            sheet.cell(row=row, column=place).number_format = formats.get(what, "@")
    sheet.freeze_panes = "A2"
    words = book.create_sheet(HOW)
    words.column_dimensions["A"].width = 24
    words.column_dimensions["B"].width = 100
    for title, said in _HOW:
        words.append([title, said])
        words.cell(row=words.max_row, column=2).alignment = Alignment(wrap_text=True, vertical="top")
        words.cell(row=words.max_row, column=1).font = Font(bold=True)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


_HOW = (
    ("Дата", "Обязательно. День, когда деньги пришли, например 21.11.2026."),
    ("Сумма", "Обязательно. В рублях, больше нуля, например 1234,50. Возвраты загружаются выпиской банка."),
    ("Номер", "Номер платёжного поручения, если он есть: по нему видно, что платёж уже загружен."),
    ("Плательщик", "Кто заплатил. Нужен плательщик, ИНН, назначение, счёт или сделка – хотя бы одно."),
    ("ИНН", "10 или 12 цифр, текстом: в числовой ячейке пропадёт ноль в начале."),
    ("КПП", "9 знаков, если он есть."),
    ("Назначение платежа", "Как в платёжном поручении: номер счёта находится и в нём."),
    ("Счёт №", "Номер нашего счёта на оплату; несколько – через запятую."),
    ("Дата счёта", "Дата нашего счёта, если одинаковые номера есть в разных годах."),
    ("Сделка", "Номер или название сделки."),
)


def _check_file(file: BinaryIO, size: int, limits: Limits) -> None:
    if size > limits.sheet_bytes:
        msg = f"Таблица больше {limits.sheet_bytes // MEGABYTE} МБ: разделите её на части."
        raise StatementRefused(msg)
    head = file.read(8)
    if head == _OLE:
        msg = "Это старый формат .xls или файл с паролем: сохраните таблицу как «Книга Excel (.xlsx)» без пароля."
        raise StatementRefused(msg)
    if not head.startswith(b"PK"):
        msg = "Это не книга Excel: нужен файл .xlsx. Файл .csv откройте в Excel и сохраните как «Книга Excel (.xlsx)»."
        raise StatementRefused(msg if head else "Файл пуст.")
    try:
        with open_package(file) as package:
            _check_parts(package, limits)
    except NotReadable as error:
        raise StatementRefused(str(error)) from error


def _check_parts(package: zipfile.ZipFile, limits: Limits) -> None:
    """Read through every part with the bounds of a hostile file before the reader of tables sees it."""
    names = package.namelist()
    if "[Content_Types].xml" not in names or not any(one.startswith("xl/") for one in names):
        msg = "Это не книга Excel: нужен файл .xlsx (таблицу .ods сохраните как «Книга Excel»)."
        raise StatementRefused(msg)
    kinds: dict[str, set[str]] = {}
    for _, one in elements(read_part(package, "[Content_Types].xml"), (_CONTENT_TYPES,)):
        kinds.setdefault((one.get("PartName") or "").lstrip("/").lower(), set()).add(one.get("ContentType") or "")
    left = {True: limits.sheet_unpacked, False: LARGEST_TOTAL}
    for info in package.infolist():
        is_sheet = kinds.get(info.filename.lower()) == {_SHEET}  # sheets are streamed, the rest is held in memory
        left[is_sheet] -= _check_part(package, info, left[is_sheet])


def _check_part(package: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> int:
    """Return how many bytes a part unpacks to; NotReadable when too many, packed too tightly or with a DTD."""
    too_much = "Внутри таблицы слишком много данных: разделите её на части."
    if info.file_size > SMALL_PART and info.file_size > HIGHEST_RATIO * max(info.compress_size, 1):
        raise NotReadable(too_much)
    taken = 0
    before = b""
    check = check_xml if info.filename.lower().endswith((".xml", ".rels", ".vml")) else check_other
    try:
        with package.open(info) as part:
            while chunk := part.read(MEGABYTE):
                taken += len(chunk)
                if taken > most:
                    raise NotReadable(too_much)
                if check is check_xml:
                    check(chunk)
                    check = check_other
                else:
                    check_other(before + chunk)
                before = chunk[-32:]
    except UNREADABLE as error:
        raise NotReadable(DAMAGED) from error
    return taken


def _total(row: Sequence[Any], date: Any) -> str:
    """Return the words of a row of totals («Итого:»), empty when it is none: a payment has a date."""
    if date is not None and not (isinstance(date, str) and _TOTAL.match(date)):
        return ""
    found = (one for one in row if isinstance(one, str) and _TOTAL.match(one) and len(one) <= LONGEST_SHOWN)
    return next(found, "").strip()


def _text(value: Any) -> str:
    """Return a cell as a person would read it: whole numbers without «.0», dates as 21.11.2026."""
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.datetime | dt.date):
        return value.strftime("%d.%m.%Y")
    return str(value)


def _account(text: str) -> str | None:
    plain = text.replace(" ", "")
    return plain if _ACCOUNT.fullmatch(plain) else None
