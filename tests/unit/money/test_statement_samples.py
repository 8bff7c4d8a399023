"""Every sample of a bank statement at hand, in full, against an independent count by regular expressions."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from include.money.records import AccountSection, Reject, Remark, StatementHead, StatementPayment, StatementRecord
from include.money.statement import StatementFile

pytestmark = pytest.mark.unit
SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "samples" / "bank"
#: name → encoding of the bytes, how many documents, our accounts, incoming, outgoing, internal, what does not add up
EXPECTED: dict[str, tuple[str, int, set[str], int, int, int, list[str]]] = {
    # the balances of this one are its bank's own and add up to the kopeck
    "v102_donkombank_14docs_cp1251_lf.anon.txt": ("cp1251", 14, {"40702810477266704262"}, 0, 14, 0, []),
    # edited by its author: documents were taken out and the balances left
    "v103_vtb_3docs_cp1251_crlf.txt": ("cp1251", 3, {"40702810000000074935"}, 0, 2, 0, ["incoming", "outgoing"]),
    "derived_vtb_cp866_dos.txt": ("cp866", 3, {"40702810000000074935"}, 0, 2, 0, ["incoming", "outgoing"]),
    "v103_1c_to_bank_2docs_cp1251_no-end.txt": ("cp1251", 2, {"12345678901234567890"}, 0, 0, 2, ["orders"]),
    "v103_two-accounts_all-keys_utf8-declared-windows.txt": (
        "utf-8", 2, {"12345678901234567890", "12345678901234567891"}, 0, 0, 2, ["incoming", "outgoing"],
    ),
    "synthetic_finuch_sample-statement.txt": ("utf-8", 2, {"40702810068000001468"}, 0, 2, 0, []),
    "synthetic_finuch_sber-with-daily-sections.txt": (
        "utf-8", 3, {"40702810138000123456"}, 2, 1, 0, ["incoming", "outgoing", "outgoing"],
    ),
    "synthetic_finuch_tbank-simple.txt": ("utf-8", 3, {"40702810500000123456"}, 2, 1, 0, []),
    "synthetic_finuch_various-doc-types.txt": ("utf-8", 5, {"40702810100000000005"}, 1, 0, 0, []),
}  # fmt: skip

if not SAMPLES.is_dir():
    pytest.skip("нет папки с образцами выписок ../shared/samples/bank", allow_module_level=True)


def independent(name: str, encoding: str) -> tuple[int, Decimal, list[str], list[str]]:
    """Count by regular expressions over the whole text: documents, their sum, numbers, kinds."""
    text = (SAMPLES / name).read_bytes().decode(encoding, "replace").replace("\r", "")
    sums = [re.sub(r"\s", "", one).replace(",", ".") for one in re.findall(r"(?m)^Сумма=(.+)$", text)]
    kinds = re.findall(r"(?m)^СекцияДокумент(?:=(.*))?$", text)
    return len(kinds), sum(map(Decimal, sums), Decimal(0)), re.findall(r"(?m)^Номер=(.+)$", text), kinds


def read(name: str) -> tuple[StatementFile, list[StatementRecord]]:
    file = StatementFile(SAMPLES / name, EXPECTED[name][2])
    return file, list(file.records())


def test_no_sample_is_forgotten() -> None:
    assert {one.name for one in SAMPLES.glob("*.txt")} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_document_of_a_sample_is_read(name: str) -> None:
    encoding, documents, _, incoming, outgoing, internal, disagree = EXPECTED[name]
    file, records = read(name)
    found = [one for one in records if isinstance(one, StatementPayment)]
    number, total, numbers, kinds = independent(name, encoding)
    assert file.encoding == encoding
    assert not any(isinstance(one, Reject) for one in records)
    assert (len(found), sum((one.amount for one in found), Decimal(0))) == (number, total)
    assert number == documents
    assert [one.number for one in found] == numbers
    assert [one.kind for one in found] == [one or "Документ" for one in kinds]
    check = file.check
    assert (check.documents, check.incoming, check.outgoing, check.internal) == (
        documents, incoming, outgoing, internal,
    )  # fmt: skip
    assert [one.what for one in check.disagreements] == disagree
    assert all(one.purpose and one.payer.name and one.payee.name for one in found)
    assert all("�" not in one.purpose for one in found)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_value_of_a_sample_is_kept_somewhere(name: str) -> None:
    """Nothing is lost: each value of each document stands in a field, in ``raw`` or in ``details``."""
    encoding = EXPECTED[name][0]
    _, records = read(name)
    text = (SAMPLES / name).read_bytes().decode(encoding, "replace").replace("\r", "")
    sections = re.findall(r"(?ms)^СекцияДокумент[^\n]*\n(.*?)^КонецДокумента", text)
    found = [one for one in records if isinstance(one, StatementPayment)]
    assert len(sections) == len(found)
    for section, payment in zip(sections, found, strict=True):
        kept = repr(payment).replace("\\'", "'")
        for key, value in re.findall(r"(?m)^([^=\n]+)=(.+)$", section):
            plain = " ".join(value.split())
            if key.startswith("НазначениеПлатежа") or not plain.strip("0"):
                continue
            if key in ("Дата", "ДатаСписано", "ДатаПоступило"):
                day, month, year = map(int, plain.split("."))
                plain = f"datetime.date({year}, {month}, {day})"
            assert plain in kept, f"{key} пропало: {plain}"


def test_balances_of_a_real_bank_add_up() -> None:
    file, records = read("v102_donkombank_14docs_cp1251_lf.anon.txt")
    section = next(one for one in records if isinstance(one, AccountSection))
    assert (section.opening, section.outgoing, section.closing) == (
        Decimal("490661.75"), Decimal("139020.86"), Decimal("351640.89"),
    )  # fmt: skip
    assert file.check.totals[0].outgoing == section.outgoing
    assert file.check.totals[0].outgoing_count == 14
    assert file.check.adds_up


def test_the_header_of_a_real_bank_is_corrupted() -> None:
    _, records = read("v102_donkombank_14docs_cp1251_lf.anon.txt")
    head = records[0]
    assert isinstance(head, StatementHead)
    assert head.date_to is None
    assert any(isinstance(one, Remark) and "23.08.201819202122" in one.text for one in records)


def test_a_person_is_not_given_the_inn_of_the_bank() -> None:
    _, records = read("v102_donkombank_14docs_cp1251_lf.anon.txt")
    paid = [
        one for one in records if isinstance(one, StatementPayment) and (one.payee.account or "").startswith("40817")
    ]
    assert [one.payee.inn for one in paid] == [None]
    assert paid[0].raw["ПолучательИНН"] == "7707218981"


def test_the_dos_copy_says_the_same_as_its_source() -> None:
    source = read("v103_vtb_3docs_cp1251_crlf.txt")[1]
    copy = read("derived_vtb_cp866_dos.txt")[1]
    assert [one for one in copy if isinstance(one, StatementPayment)] == [
        one for one in source if isinstance(one, StatementPayment)
    ]


def test_the_encoding_that_is_declared_is_not_believed() -> None:
    _, records = read("v103_two-accounts_all-keys_utf8-declared-windows.txt")
    assert any(isinstance(one, Remark) and "на деле UTF-8" in one.text for one in records)
    assert not any(isinstance(one, Remark) and "кодировка" in one.text for one in read("derived_vtb_cp866_dos.txt")[1])
