"""Payments from an xlsx (R000-2): headings by name in any order, errors by cell, hostile files refused."""

from __future__ import annotations

import datetime as dt
import io
import re
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.money.columns import NAMES, find_columns, letter
from include.money.records import (
    CellProblem,
    Limits,
    Remark,
    SheetRecord,
    SpreadsheetPayment,
    StatementRefused,
)
from include.money.spreadsheet import PaymentSheet, template

pytestmark = pytest.mark.unit
INN = "7707083893"
DAY = dt.date(2026, 11, 21)
HEADINGS = ["Дата", "Сумма", "Номер", "Плательщик", "ИНН", "Назначение", "Счёт №", "Сделка"]
ROW = [dt.datetime(2026, 11, 21), 1000.5, "7", "ООО Ромашка", INN, "Оплата по счету № 15", "15", "3"]  # noqa: DTZ001
PROJECT = Path(__file__).resolve().parents[3]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(*rows: Sequence[Any], headings: Sequence[Any] | None = None) -> Path:
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        for row in [headings or HEADINGS, *rows]:
            sheet.append(list(row))
        path = tmp_path / "payments.xlsx"
        book.save(path)
        return path

    return _write


def read(path: Path, limits: Limits | None = None) -> tuple[PaymentSheet, list[SheetRecord]]:
    sheet = PaymentSheet(path, limits)
    return sheet, list(sheet.records())


def payments(records: list[SheetRecord]) -> list[SpreadsheetPayment]:
    return [one for one in records if isinstance(one, SpreadsheetPayment)]


def cells(records: list[SheetRecord]) -> list[tuple[str, str, str]]:
    return [(f"{one.column}{one.line}", one.value, one.reason) for one in records if isinstance(one, CellProblem)]


def row(**changes: Any) -> list[Any]:
    return [changes.get(heading.replace(" №", ""), value) for heading, value in zip(HEADINGS, ROW, strict=True)]


def test_a_row_is_a_payment(write: Write) -> None:
    sheet, records = read(write(ROW))
    (found,) = payments(records)
    assert (found.line, found.date, found.amount, found.number) == (2, DAY, Decimal("1000.50"), "7")
    assert (found.payer.name, found.payer.inn) == ("ООО Ромашка", INN)
    assert (found.purpose, found.invoice, found.deal) == ("Оплата по счету № 15", "15", "3")
    assert (sheet.check.payments, sheet.check.amount, sheet.check.problems) == (1, Decimal("1000.50"), 0)
    assert sheet.check.columns["invoice"] == "Счёт №"


def test_headings_in_another_order_with_other_names_below_a_title(write: Write) -> None:
    path = write(
        [],
        ["№ п/п", "Менеджер", "ИНН контрагента", "Контрагент", "Сумма, руб.", "Дата оплаты", "№ счёта", "Номер п/п"],
        [1, "Петров", INN, "ООО Ромашка", "1 000,50 ₽", "21.11.2026", 15, 700], headings=["Реестр оплат за ноябрь"],
    )  # fmt: skip
    sheet, records = read(path)
    (found,) = payments(records)
    assert (sheet.check.header_line, found.line) == (3, 4)
    assert (found.date, found.amount, found.payer.inn) == (DAY, Decimal("1000.50"), INN)
    assert (found.invoice, found.number) == ("15", "700")
    assert found.details == {"№ п/п": "1", "Менеджер": "Петров"}


def test_every_synonym_is_found() -> None:
    for what, names in NAMES.items():
        for name in names:
            row = {"date": "Дата", "amount": "Сумма", "payer": "Плательщик"} | {what: name.upper() + ":"}
            assert what in find_columns(list(row.values())), name


@pytest.mark.parametrize(
    "headings",
    [
        ["Дата", "Сумма"],
        ["Дата", "Плательщик"],
        ["Сумма", "ИНН"],
        ["Дата счёта", "Сумма НДС", "Клиент"],
        [1, None, "x"],
    ],
)
def test_without_the_needed_columns_it_is_refused_with_words(write: Write, headings: list[Any]) -> None:
    with pytest.raises(StatementRefused, match="названиями столбцов"):
        read(write(ROW, headings=headings))


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2026, 11, 21, 10, 5), DAY, "21.11.2026", "2026-11-21", "21/11/26", 46347, 46347.5,  # noqa: DTZ001
    ],
)  # fmt: skip
def test_dates_in_every_form(write: Write, value: Any) -> None:
    assert payments(read(write(row(Дата=value)))[1])[0].date == DAY


@pytest.mark.parametrize("value", [1000.5, "1000.5", "1 000,50", "1\u00a0000,50 руб.", "1000-50"])
def test_sums_in_every_form(write: Write, value: Any) -> None:
    assert payments(read(write(row(Сумма=value)))[1])[0].amount == Decimal("1000.50")


def test_floats_are_read_to_the_kopeck(write: Write) -> None:
    _, records = read(write(row(Сумма=0.1 + 0.2), row(Сумма=1234567890.12), row(Сумма=19.999999999999996)))
    assert [one.amount for one in payments(records)] == [Decimal("0.30"), Decimal("1234567890.12"), Decimal(20)]


@pytest.mark.parametrize(
    ("changes", "cell", "value", "reason"),
    [
        ({"Дата": "вчера"}, "A2", "вчера", "запишите её как 21.11.2026"),
        ({"Дата": None}, "A2", "", "дата не указана"),
        ({"Дата": 5}, "A2", "5", "дата не понята"),
        ({"Дата": "=TODAY()"}, "A2", "=TODAY()", "формула без посчитанного значения"),
        ({"Сумма": None}, "B2", "", "сумма не указана"),
        ({"Сумма": "сто"}, "B2", "сто", "сумма не понята"),
        ({"Сумма": 0}, "B2", "0", "не больше нуля"),
        ({"Сумма": -5}, "B2", "-5", "не больше нуля"),
        ({"Сумма": 10.005}, "B2", "10.005", "точнее копейки"),
        ({"Сумма": True}, "B2", "True", "сумма не понята"),
        ({"Сумма": "=B3+1"}, "B2", "=B3+1", "формула без посчитанного значения"),
        ({"Сумма": "#REF!"}, "B2", "#REF!", "ошибка Excel"),
        ({"ИНН": "123"}, "E2", "123", "не из 10 или 12 цифр"),
        ({"ИНН": "7707083890"}, "E2", "7707083890", "контрольная цифра"),
        ({"ИНН": "7,70708E+09"}, "E2", "7,70708E+09", "сделайте ячейку текстовой"),
        ({"Счёт": dt.datetime(2026, 2, 15)}, "G2", "15.02.2026", "превратил номер в дату"),  # noqa: DTZ001
    ],
)
def test_what_is_wrong_is_told_by_its_cell(
    write: Write, changes: dict[str, Any], cell: str, value: str, reason: str
) -> None:
    sheet, records = read(write(row(**changes), ROW))
    ((place, shown, said),) = cells(records)
    assert (place, shown) == (cell, value)
    assert reason.lower() in said.lower()
    assert [one.line for one in payments(records)] == [3]
    assert (sheet.check.rows_with_problems, sheet.check.problems) == (1, 1)


def test_every_wrong_cell_of_a_row_is_named(write: Write) -> None:
    _, records = read(write(row(Дата="вчера", Сумма="сто", ИНН="1")))
    assert [place for place, _, _ in cells(records)] == ["A2", "B2", "E2"]


def test_a_row_that_says_of_nobody(write: Write) -> None:
    _, records = read(write([DAY, 5]))
    assert "от кого и за что" in cells(records)[0][2]


def test_an_inn_that_lost_its_zero_gets_it_back(write: Write) -> None:
    _, records = read(write(row(ИНН=274062111), row(ИНН=7707083893)))
    assert [one.payer.inn for one in payments(records)] == ["0274062111", INN]
    assert [one.line for one in records if isinstance(one, Remark)] == [2]


def test_numbers_are_text_without_decimals(write: Write) -> None:
    found = payments(read(write([DAY, 5, 15.0, "ООО", INN, 7, 16, 3.0]))[1])[0]
    assert (found.number, found.purpose, found.invoice, found.deal) == ("15", "7", "16", "3")


def test_blank_rows_totals_and_repeated_headings_are_left_out(write: Write) -> None:
    path = write(ROW, [], [None, None, "  "], HEADINGS, ROW, ["Итого:", "=SUM(B2:B6)"], [None, 2001, None, "Всего"])
    sheet, records = read(path)
    assert [one.line for one in payments(records)] == [2, 6]
    assert cells(records) == []
    assert [one.line for one in records if isinstance(one, Remark)] == [7, 8]
    assert sheet.check.amount == Decimal(2001)


def test_merged_cells_say_which_row_lacks_its_date(write: Write) -> None:
    path = write(ROW, row(Дата=None))
    book = openpyxl.load_workbook(path)
    assert book.active is not None
    book.active.merge_cells("A2:A3")
    book.save(path)
    _, records = read(path)
    assert [place for place, _, _ in cells(records)] == ["A3"]


def test_outgoing_rows_of_an_export_are_left_out(write: Write) -> None:
    path = write([DAY, None, 500, "ООО"], [DAY, 100, None, "ООО"], headings=["Дата", "Приход", "Расход", "Контрагент"])
    _, records = read(path)
    assert [one.amount for one in payments(records)] == [Decimal(100)]
    assert [one.line for one in records if isinstance(one, Remark)] == [2]


def test_a_bank_account_in_the_column_of_invoices(write: Write) -> None:
    found = payments(read(write(row(Счёт="40702810477266704262")))[1])[0]
    assert (found.invoice, found.payer.account) == (None, "40702810477266704262")


def test_the_table_may_stand_on_another_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["Просто слова"])
    sheet = book.create_sheet("Оплаты")
    sheet.append(HEADINGS)
    sheet.append(ROW)
    path = tmp_path / "two.xlsx"
    book.save(path)
    read_sheet, records = read(path)
    assert read_sheet.check.title == "Оплаты"
    assert len(payments(records)) == 1
    assert "не читались" in next(one.text for one in records if isinstance(one, Remark))


def test_the_template_is_read_by_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "template.xlsx"
    path.write_bytes(template())
    sheet, records = read(path)
    assert records == []
    assert sheet.check.title == "Платежи"
    book = openpyxl.load_workbook(path)
    page = book["Платежи"]
    page["A2"], page["B2"], page["D2"], page["E2"] = DAY, 1000.5, "ООО Ромашка", INN
    assert page["E2"].number_format == "@"  # a text cell keeps the zero at the beginning
    book.save(path)
    assert payments(read(path)[1])[0].payer.inn == INN


# --- other people's files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "пуст"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 100, "старый формат .xls или файл с паролем"),
        ("Дата;Сумма\n1;2".encode("cp1251"), "сохраните как «Книга Excel"),
        (b"PK\x03\x04 cut", "повреждён"),
    ],
)
def test_what_is_no_xlsx_is_refused_with_words(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "payments.xlsx"
    path.write_bytes(content)
    with pytest.raises(StatementRefused, match=reason):
        read(path)


def repacked(path: Path, change: Callable[[str, bytes], bytes], extra: dict[str, bytes] | None = None) -> Path:
    """Write the package anew with its parts changed."""
    with zipfile.ZipFile(path) as package:
        parts = {one: change(one, package.read(one)) for one in package.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in (parts | (extra or {})).items():
            package.writestr(name, content)
    return path


def test_an_entity_bomb_is_refused(write: Write) -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]>'
    path = repacked(write(ROW), lambda name, said: bomb + said if "sheet1" in name else said)
    with pytest.raises(StatementRefused, match="недопустимое"):
        read(path)
    far = repacked(write(ROW), lambda name, said: said + b" " * 1_048_570 + b"<!DOCTYPE" if "sheet1" in name else said)
    with pytest.raises(StatementRefused, match=r"недопустимое|слишком много"):
        read(far)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(write: Write) -> None:
    path = repacked(write(ROW), lambda _, said: said, {"xl/media/x.bin": b"0" * 50_000_000})
    with pytest.raises(StatementRefused, match="слишком много"):
        read(path)
    with pytest.raises(StatementRefused, match="слишком много"):
        read(write(ROW), Limits(sheet_unpacked=100))


@pytest.mark.parametrize("also_a_sheet", [False, True])
def test_shared_strings_do_not_pass_for_a_sheet(
    write: Write, monkeypatch: pytest.MonkeyPatch, also_a_sheet: bool
) -> None:
    """Sheets are streamed and may be large; what is held in memory may not, whatever it calls itself."""
    monkeypatch.setattr("include.money.spreadsheet.LARGEST_TOTAL", 100_000)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    kinds = [f"{kind}.sharedStrings+xml"] + [f"{kind}.worksheet+xml"] * also_a_sheet
    said = "".join(f'<Override PartName="/xl/worksheets/two.xml" ContentType="{one}"/>' for one in kinds).encode()
    path = repacked(
        write(ROW),
        lambda name, content: content.replace(b"</Types>", said + b"</Types>") if "Types" in name else content,
        {"xl/worksheets/two.xml": b"<sst>" + b"".join(b"<si>%d</si>" % one for one in range(20_000)) + b"</sst>"},
    )
    with pytest.raises(StatementRefused, match="слишком много"):
        read(path)


def test_a_large_sheet_is_not_held_to_the_bound_of_what_is_in_memory(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.money.spreadsheet.LARGEST_TOTAL", 100_000)
    assert len(payments(read(write(*[ROW] * 500))[1])) == 500


def test_a_false_size_and_a_far_row_cost_nothing(write: Write) -> None:
    def lie(name: str, said: bytes) -> bytes:
        if "sheet1" not in name:
            return said
        said = re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:XFD1048576"', said)
        return said.replace(b"</sheetData>", b'<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>')

    _, records = read(repacked(write(ROW), lie))
    assert len(payments(records)) == 1
    assert "пустых строк" in [one.text for one in records if isinstance(one, Remark)][-1]


def test_ods_and_other_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "payments.xlsx"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("content.xml", "<x/>")
    with pytest.raises(StatementRefused, match="Это не книга Excel"):
        read(path)


def test_limits(write: Write) -> None:
    with pytest.raises(StatementRefused, match="больше 2 строк"):
        read(write(ROW, ROW), Limits(sheet_rows=2))
    with pytest.raises(StatementRefused, match="МБ"):
        read(write(ROW), Limits(sheet_bytes=10))


QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.one_of(
    st.none(), st.integers(-(10**18), 10**18), st.floats(allow_nan=False, allow_infinity=False), st.booleans(),
    st.dates(min_value=dt.date(1901, 1, 1)), st.times(), st.text(st.characters(min_codepoint=32), max_size=12),
    st.sampled_from(["Итого", "#N/A", "=1+1", INN, "21.11.2026", "1 000,50"]),
)  # fmt: skip


@QUICK
@given(st.lists(st.lists(VALUES, max_size=9), max_size=4))
def test_any_cells_are_read_or_named(tmp_path: Path, rows: list[list[Any]]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(HEADINGS)
    for one in rows:
        try:
            sheet.append(one)
        except openpyxl.utils.exceptions.IllegalCharacterError:
            continue
    path = tmp_path / "any.xlsx"
    book.save(path)
    for record in PaymentSheet(path).records():
        if isinstance(record, SpreadsheetPayment):
            assert record.amount > 0
            assert record.amount == record.amount.quantize(Decimal("0.01"))


@QUICK
@given(st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 30), st.binary(max_size=8)), min_size=1, max_size=3))
def test_mutated_bytes_never_crash(tmp_path: Path, changes: list[tuple[int, int, bytes]]) -> None:
    stream = io.BytesIO()
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(HEADINGS)
    book.active.append(ROW)
    book.save(stream)
    data = stream.getvalue()
    for place, length, piece in changes:
        data = data[:place] + piece + data[place + length :]
    path = tmp_path / "mutated.xlsx"
    path.write_bytes(data)
    try:
        list(PaymentSheet(path).records())
    except StatementRefused as refusal:
        assert str(refusal)


@QUICK
@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 30), st.binary(max_size=8)), min_size=1, max_size=3))
def test_mutated_parts_never_crash(tmp_path: Path, changes: list[tuple[int, int, bytes]]) -> None:
    """The package is whole, what is inside is not: the reader of tables is not to be trusted."""

    def change(name: str, said: bytes) -> bytes:
        if not name.startswith(("xl/workbook", "xl/worksheets", "xl/styles")):
            return said
        for place, length, piece in changes:
            said = said[: place % len(said)] + piece + said[place % len(said) + length :]
        return said

    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(HEADINGS)
    book.active.append(ROW)
    path = tmp_path / "parts.xlsx"
    book.save(path)
    try:
        list(PaymentSheet(repacked(path, change)).records())
    except StatementRefused as refusal:
        assert str(refusal)


READ = """
    import resource, sys
    from pathlib import Path
    from include.money.spreadsheet import PaymentSheet
    number = sum(1 for one in PaymentSheet(Path(sys.argv[1])).records())
    print(number, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_large_sheet_is_read_in_flat_memory(tmp_path: Path) -> None:
    used = {}
    for number in (500, 12_000):
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet()
        sheet.append(HEADINGS)
        for _ in range(number):
            sheet.append(ROW)
        path = tmp_path / "large.xlsx"
        book.save(path)
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(READ), str(path)],
            cwd=PROJECT, env={"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        counted, peak = map(int, done.stdout.split())
        assert counted == number
        used[number] = peak / 1024
    assert used[12_000] - used[500] < 15, f"память растёт с таблицей: {used} МБ"


def test_letters_of_columns() -> None:
    assert [letter(one) for one in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]
