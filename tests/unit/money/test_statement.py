"""The reader of bank statements on files of our own making: every trap that real statements have, by its name."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import textwrap
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.money.records import (
    AccountSection,
    Limits,
    Reject,
    Remark,
    StatementDamaged,
    StatementHead,
    StatementPayment,
    StatementRecord,
    StatementRefused,
)
from include.money.statement import StatementFile

pytestmark = pytest.mark.unit
OURS, OURS_TOO, THEIRS = "40702810477266704262", "40702810000000074935", "40702810334949449692"
INN, BANK_INN = "7707083893", "7707218981"
PROJECT = Path(__file__).resolve().parents[3]
QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Write = Callable[..., Path]

HEAD = f"""1CClientBankExchange
ВерсияФормата=1.03
Кодировка=Windows
Отправитель=Банк Клиент Онлайн
Получатель=1С:Предприятие
ДатаСоздания=21.11.2026
ВремяСоздания=10:28:35
ДатаНачала=20.11.2026
ДатаКонца=21.11.2026
РасчСчет={OURS}
"""
END = "КонецФайла\n"


def account(
    opening: str = "100.00", came: str = "0.00", went: str = "0.00", closing: str = "100.00", **more: str
) -> str:
    fields = {
        "ДатаНачала": "20.11.2026", "ДатаКонца": "21.11.2026", "РасчСчет": OURS, "НачальныйОстаток": opening,
        "ВсегоПоступило": came, "ВсегоСписано": went, "КонечныйОстаток": closing, **more,
    }  # fmt: skip
    return "СекцияРасчСчет\n" + "".join(f"{key}={value}\n" for key, value in fields.items()) + "КонецРасчСчет\n"


def document(kind: str = "=Платежное поручение", extra: str = "", **changes: str) -> str:
    fields = {
        "Номер": "15", "Дата": "20.11.2026", "Сумма": "1000.00", "ПлательщикСчет": THEIRS,
        "Плательщик": f"ИНН {INN} ООО Ромашка", "ПлательщикИНН": INN, "ПлательщикБанк1": "БАНК", "ПолучательСчет": OURS,
        "ДатаПоступило": "21.11.2026", "Получатель": "ООО Мы", "ПолучательИНН": "6154288189",
        "НазначениеПлатежа": "Оплата по счету № 15", **changes,
    }  # fmt: skip
    return (
        f"СекцияДокумент{kind}\n"
        + "".join(f"{key}={value}\n" for key, value in fields.items())
        + f"{extra}КонецДокумента\n"
    )


WHOLE = HEAD + account(came="1000.00", went="300.00", closing="800.00") + document() + document(
    Номер="16", Сумма="300", ПлательщикСчет=OURS, ПолучательСчет=THEIRS, ДатаПоступило="", ДатаСписано="20.11.2026"
) + END  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(body: str | bytes, encoding: str = "cp1251") -> Path:
        path = tmp_path / "kl_to_1c.txt"
        path.write_bytes(body if isinstance(body, bytes) else body.encode(encoding))
        return path

    return _write


def read(path: Path, *own: str, limits: Limits | None = None) -> tuple[StatementFile, list[StatementRecord]]:
    file = StatementFile(path, own or (OURS,), limits)
    return file, list(file.records())


def payments(records: list[StatementRecord]) -> list[StatementPayment]:
    return [one for one in records if isinstance(one, StatementPayment)]


def only(path: Path, *own: str) -> StatementPayment:
    found = payments(read(path, *own)[1])
    assert len(found) == 1
    return found[0]


def words(records: list[StatementRecord]) -> str:
    return "\n".join(
        one.text if isinstance(one, Remark) else one.reason for one in records if isinstance(one, Remark | Reject)
    )


def test_a_whole_statement(write: Write) -> None:
    file, records = read(write(WHOLE))
    head, section, came, went = records
    assert isinstance(head, StatementHead)
    assert (head.version, head.encoding, head.sender, head.accounts) == ("1.03", "cp1251", "Банк Клиент Онлайн", [OURS])
    assert (head.created_on, head.created_at) == (dt.date(2026, 11, 21), dt.time(10, 28, 35))
    assert (head.date_from, head.date_to) == (dt.date(2026, 11, 20), dt.date(2026, 11, 21))
    assert isinstance(section, AccountSection)
    assert (section.opening, section.closing) == (Decimal(100), Decimal(800))
    assert isinstance(came, StatementPayment)
    assert isinstance(went, StatementPayment)
    assert (came.direction, went.direction) == ("in", "out")
    assert (came.number, came.amount, came.date, came.came_on) == (
        "15", Decimal(1000), dt.date(2026, 11, 20), dt.date(2026, 11, 21),
    )  # fmt: skip
    assert (came.payer.name, came.payer.inn, came.payer.account) == ("ООО Ромашка", INN, THEIRS)
    assert came.raw["Плательщик"] == f"ИНН {INN} ООО Ромашка"
    assert came.purpose == "Оплата по счету № 15"
    check = file.check
    assert (check.documents, check.incoming, check.outgoing, check.ended, check.adds_up) == (2, 1, 1, True, True)
    assert check.totals[0].incoming == Decimal(1000)
    assert check.unknown_accounts == []


@pytest.mark.parametrize("declared", ["Windows", "DOS", "UTF-8", "", "нечто"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "cp866", "utf-16"])
def test_the_bytes_decide_the_encoding(write: Write, encoding: str, declared: str) -> None:
    file, records = read(write(WHOLE.replace("Кодировка=Windows", f"Кодировка={declared}"), encoding))
    assert file.encoding == encoding.removesuffix("-sig")
    assert file.check.adds_up
    assert payments(records)[0].purpose == "Оплата по счету № 15"
    right = {"Windows": "cp1251", "DOS": "cp866", "UTF-8": "utf-8", "": file.encoding}.get(declared)
    assert ("бъявлена кодировка" in words(records)) == (right != file.encoding)


@pytest.mark.parametrize("newline", ["\r\n", "\n", "\r"])
def test_ends_of_lines(write: Write, newline: str) -> None:
    file, records = read(write(WHOLE.replace("\n", newline)))
    assert file.check.adds_up
    assert [one.line for one in payments(records)] == [20, 34]


def test_a_document_without_equals_sign(write: Write) -> None:
    assert only(write(HEAD + document("") + END)).kind == "Документ"
    assert only(write(HEAD + document("=") + END)).kind == "Документ"
    assert only(write(HEAD + document("=Банковский ордер") + END)).kind == "Банковский ордер"


def test_blank_lines_inside_a_section(write: Write) -> None:
    file, records = read(write(WHOLE.replace("\n", "\n\n   \n")))
    assert file.check.adds_up
    assert not words(records)


def test_a_value_with_an_equals_sign(write: Write) -> None:
    assert only(write(HEAD + document(НазначениеПлатежа="Сумма=5; НДС=1") + END)).purpose == "Сумма=5; НДС=1"


def test_a_wrapped_value_goes_on(write: Write) -> None:
    body = document(НазначениеПлатежа="Оплата по счету № 15\nот 21.11.2026 за окна, а = б\n\nи двери")
    assert only(write(HEAD + body + END)).purpose == "Оплата по счету № 15 от 21.11.2026 за окна, а = б и двери"


def test_a_known_key_without_its_sign_is_no_continuation(write: Write) -> None:
    found = only(write(HEAD + document(extra="ПоказательКБК\nОчередность\n") + END))
    assert found.purpose == "Оплата по счету № 15"
    assert (found.kbk, found.priority) == (None, None)


def test_purpose_from_its_lines(write: Write) -> None:
    lines = "НазначениеПлатежа1=Оплата по счету\nНазначениеПлатежа2=№ 15\n"
    assert only(write(HEAD + document(НазначениеПлатежа="", extra=lines) + END)).purpose == "Оплата по счету № 15"
    assert only(write(HEAD + document(НазначениеПлатежа="Оплата", extra=lines) + END)).purpose == "Оплата по счету № 15"
    same = document(extra="НазначениеПлатежа1=Оплата по счету № 15\n")
    assert only(write(HEAD + same + END)).purpose == "Оплата по счету № 15"


@pytest.mark.parametrize(
    ("said", "first", "name"),
    [
        (f"ИНН {INN} ООО Ромашка", "", "ООО Ромашка"),
        (f"{INN} ООО Ромашка", "", "ООО Ромашка"),
        (f"{INN}, ООО Ромашка", "", "ООО Ромашка"),
        ("", "ООО Ромашка", "ООО Ромашка"),
        ("ООО Ромашка", "ООО Ромашка", "ООО Ромашка"),
    ],
)
def test_names_of_payers(write: Write, said: str, first: str, name: str) -> None:
    found = only(write(HEAD + document(Плательщик=said, Плательщик1=first) + END))
    assert found.payer.name == name


def test_inn_that_stands_only_in_the_name(write: Write) -> None:
    assert only(write(HEAD + document(ПлательщикИНН="") + END)).payer.inn == INN


def test_inn_of_thirteen_digits_is_remarked_and_not_believed(write: Write) -> None:
    _, records = read(write(HEAD + document(ПлательщикИНН="7123456789012", Плательщик="ИП Пупкин") + END))
    assert payments(records)[0].payer.inn is None
    assert payments(records)[0].raw["ПлательщикИНН"] == "7123456789012"
    assert "не из 10 или 12 цифр" in words(records)
    assert "7123456789012" not in words(records)


def test_inn_of_the_bank_beside_a_person(write: Write) -> None:
    body = document(ПлательщикСчет="40817810374036778862", ПлательщикИНН=BANK_INN, Плательщик="Иванов Иван Иванович")
    _, records = read(write(HEAD + body + END))
    found = payments(records)[0]
    assert (found.payer.inn, found.raw["ПлательщикИНН"]) == (None, BANK_INN)
    assert "ИНН" not in words(records)


def test_a_payment_to_the_budget_keeps_its_fields(write: Write) -> None:
    body = document(
        СтатусСоставителя="02", ПоказательКБК="18210102010011000110", ОКАТО="60737000", ПоказательОснования="ТП",
        Код="18810177221121004389", Очередность="5", ПоказательПериода="МС.05.2018",
    )  # fmt: skip
    found = only(write(HEAD + body + END))
    assert (found.payer_status, found.kbk, found.oktmo) == ("02", "18210102010011000110", "60737000")
    assert (found.uin, found.priority) == ("18810177221121004389", "5")
    assert found.details["ПоказательОснования"] == "ТП"
    assert found.details["ПоказательПериода"] == "МС.05.2018"


def test_both_dates_are_given_and_the_accounts_decide(write: Write) -> None:
    both = {"ДатаПоступило": "21.11.2026", "ДатаСписано": "20.11.2026"}
    assert only(write(HEAD + document(**both) + END)).direction == "in"
    turned = document(**both, ПлательщикСчет=OURS, ПолучательСчет=THEIRS)
    assert only(write(HEAD + turned + END)).direction == "out"
    assert only(write(HEAD + document(**both, ПлательщикСчет=OURS_TOO) + END), OURS, OURS_TOO).direction == "internal"
    assert only(write(HEAD + document(**both) + END), OURS_TOO).direction == "unknown"


def test_our_account_may_stand_in_the_second_field(write: Write) -> None:
    body = document(ПолучательСчет="30101810400000000225", ПолучательРасчСчет=OURS)
    found = only(write(HEAD + body + END))
    assert (found.direction, found.payee.account) == ("in", OURS)
    assert found.details["ПолучательСчет"] == "30101810400000000225"
    empty = document(ПолучательСчет="", ПолучательРасчСчет=OURS)
    assert only(write(HEAD + empty + END)).direction == "in"


@pytest.mark.parametrize("said", ["50 000,50", "50000.50", "50\u00a0000,50", "50000-50", "50.000,50"])
def test_sums_in_every_form(write: Write, said: str) -> None:
    found = only(write(HEAD + document(Сумма=said) + END, "utf-8"))
    assert found.amount == Decimal("50000.50")
    assert found.raw.get("Сумма") == (None if said == "50000.50" else said.replace("\u00a0", "\u00a0"))


@pytest.mark.parametrize("said", ["20.11.2026", "2026-11-20", "20/11/2026", "20.11.26", "20.11.2026 10:00:00"])
def test_dates_in_every_form(write: Write, said: str) -> None:
    assert only(write(HEAD + document(Дата=said) + END)).date == dt.date(2026, 11, 20)


def test_corrupted_dates_of_the_header_are_remarked(write: Write) -> None:
    """The owner of a real statement left ДатаКонца=23.08.201819202122."""
    _, records = read(write(WHOLE.replace("ДатаКонца=21.11.2026\nРасч", "ДатаКонца=23.08.201819202122\nРасч", 1)))
    head = records[0]
    assert isinstance(head, StatementHead)
    assert head.date_to is None
    assert head.raw["ДатаКонца"] == "23.08.201819202122"
    assert "ДатаКонца: дата не понята" in words(records)


def test_a_payment_without_its_date_takes_that_of_the_money(write: Write) -> None:
    _, records = read(write(HEAD + document(Дата="") + END))
    assert payments(records)[0].date == dt.date(2026, 11, 21)
    assert "взята дата движения денег" in words(records)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Сумма": "сто"}, "сумма не понята"),
        ({"Сумма": ""}, "Сумма не указана"),
        ({"Сумма": "0.00"}, "не больше нуля"),
        ({"Сумма": "-5"}, "не больше нуля"),
        ({"Дата": "вчера", "ДатаПоступило": ""}, "дата не понята"),
        ({"Дата": "", "ДатаПоступило": ""}, "Дата не указана"),
    ],
)
def test_what_cannot_be_understood_is_put_aside(write: Write, changes: dict[str, str], reason: str) -> None:
    file, records = read(write(HEAD + document(**changes) + document(Номер="16") + END))
    rejects = [one for one in records if isinstance(one, Reject)]
    assert reason.lower() in rejects[0].reason.lower()
    assert (rejects[0].line, rejects[0].number) == (11, "15")
    assert (file.check.rejected, file.check.documents) == (1, 1)
    assert THEIRS not in rejects[0].snippet


def test_two_payments_that_ran_together_are_not_one(write: Write) -> None:
    """Two lines between them were lost: КонецДокумента and СекцияДокумент."""
    glued = document().replace("КонецДокумента\n", "") + document(Номер="16").replace(
        "СекцияДокумент=Платежное поручение\n", ""
    )
    _, records = read(write(HEAD + glued + END))
    assert payments(records) == []
    assert "слились" in words(records)


def test_a_repeated_key(write: Write) -> None:
    _, records = read(
        write(HEAD + document(extra="ВидОплаты=01\nВидОплаты=02\nНомер=15\nНазначениеПлатежа=и 16\n") + END)
    )
    assert payments(records)[0].details["ВидОплаты"] == "01"
    assert payments(records)[0].purpose == "Оплата по счету № 15 и 16"
    assert "«ВидОплаты» повторяется" in words(records)


def test_unknown_keys_are_kept(write: Write) -> None:
    found = only(write(HEAD + document(НовоеПоле="7", Х_Код="8") + END))
    assert found.details["НовоеПоле"] == "7"


def test_keys_with_latin_letters_and_other_capitals(write: Write) -> None:
    body = document().replace("НазначениеПлатежа", "Haзнaчeниeплaтeжa").replace("ПлательщикИНН", "ПлательщикИнн")
    found = only(write(HEAD + body + END))
    assert (found.purpose, found.payer.inn) == ("Оплата по счету № 15", INN)


def test_a_missing_end_is_a_remark_when_everything_else_is_whole(write: Write) -> None:
    file, records = read(write(WHOLE.removesuffix(END)))
    assert not file.check.ended
    assert file.check.adds_up
    assert "КонецФайла" in words(records)
    assert not read(write(WHOLE[:-4]))[0].check.ended  # the end itself is cut


def test_the_end_in_another_encoding(write: Write) -> None:
    """Seen: a file in Windows-1251 whose last line another program wrote in UTF-8."""
    file, _ = read(write(WHOLE.removesuffix(END).encode("cp1251") + END.encode()))
    assert file.check.ended


def test_a_cut_file_is_damaged_wherever_it_is_cut(write: Write) -> None:
    """A cut file is told from a missing end: inside a section it is damage, between sections the balances tell."""
    data = WHOLE.encode("cp1251")
    ends = len(data) - len(END.encode("cp1251"))
    whole = 0
    for place in range(len(HEAD.encode("cp1251")), ends - 1):
        try:
            file, _ = read(write(data[:place]))
        except StatementDamaged:
            continue
        whole += 1
        assert not file.check.ended
        stated = bool(file.check.sections)
        assert not file.check.adds_up or not stated, f"обрыв на байте {place} не замечен"
    assert whole < 12  # after the header, and after each section


@pytest.mark.parametrize("lost", ["СекцияДокумент", "КонецДокумента", "СекцияРасчСчет", "КонецРасчСчет"])
def test_a_lost_border_of_a_section_is_damage(write: Write, lost: str) -> None:
    lines = WHOLE.splitlines(keepends=True)
    lines.remove(next(one for one in lines if one.startswith(lost)))
    with pytest.raises(StatementDamaged):
        read(write("".join(lines)))


def test_a_second_file_behind_the_end(write: Write) -> None:
    with pytest.raises(StatementDamaged, match="склеен"):
        read(write(WHOLE + WHOLE))
    with pytest.raises(StatementDamaged, match="склеен"):
        read(write(WHOLE.removesuffix(END) + WHOLE))
    file, records = read(write(WHOLE + "\n\x1a"))
    assert file.check.adds_up
    assert not words(records)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "пуст"),
        (b"PK\x03\x04abc", "архив"),
        (b"<?xml version='1.0'?>", "первая строка"),
        (b"1CClientBankExchange\n\x01\x02\x03", "Кодировка"),
        ("1CClientBankExchange\nДата=1".encode("koi8-r"), "Кодировка"),
        ("Дата;Сумма\n1;2".encode(), "первая строка"),
    ],
)
def test_what_is_no_statement_is_refused_with_words(write: Write, body: bytes, reason: str) -> None:
    with pytest.raises(StatementRefused, match=reason):
        read(write(body))


def test_limits(write: Write) -> None:
    long = HEAD + document(НазначениеПлатежа="я" * 5000) + END
    with pytest.raises(StatementDamaged, match="длиннее"):
        read(write(long), limits=Limits(line_chars=1000))
    with pytest.raises(StatementDamaged, match="длиннее"):
        read(write(long), limits=Limits(section_chars=4000))
    with pytest.raises(StatementRefused, match="больше"):
        read(write(long), limits=Limits(file_bytes=100))
    with pytest.raises(StatementDamaged, match="больше 1 "):
        read(write(HEAD + account() * 2 + END), limits=Limits(accounts=1))
    assert len(only(write(long)).purpose) == 4000


def test_broken_letters_are_remarked_and_many_of_them_are_damage(write: Write) -> None:
    data = WHOLE.encode("cp1251").replace("Ромашка".encode("cp1251"), b"\x98\x98")
    _, records = read(write(data))
    assert "не буквы" in words(records)
    utf = WHOLE.encode().replace("Ромашка".encode(), "Ромашка".encode()[:-1])  # cut inside a letter
    assert "не буквы" in words(read(write(utf))[1])
    with pytest.raises(StatementDamaged, match="испорченными"):
        read(write(data), limits=Limits(broken_lines=1))


def test_zero_bytes_never_reach_the_database(write: Write) -> None:
    found = only(write(HEAD + document(НазначениеПлатежа="Опл\x00ата") + END))
    assert found.purpose == "Оплата"


def test_orders_from_1c_to_the_bank_are_no_statement(write: Write) -> None:
    head = HEAD.replace("Банк Клиент Онлайн", "Бухгалтерия предприятия, редакция 3.0").replace("1С:Предприятие", "")
    file, _ = read(write(head + document(ДатаПоступило="") + END))
    assert [one.what for one in file.check.disagreements] == ["orders"]
    assert "поручения из 1С" in file.check.disagreements[0].text


# --- balances ---------------------------------------------------------------------------------------------------


def disagreements(path: Path, *own: str) -> list[str]:
    return [one.what for one in read(path, *own)[0].check.disagreements]


def test_closing_balance_is_opening_and_turnover(write: Write) -> None:
    body = HEAD + account(came="1000", closing="1100.01") + document() + END
    file, _ = read(write(body))
    (found,) = file.check.disagreements
    assert (found.what, found.stated, found.counted) == ("closing", Decimal("1100.01"), Decimal(1100))
    assert "1\u00a0100,01" in found.text
    assert OURS in found.text


def test_documents_make_the_turnover(write: Write) -> None:
    body = HEAD + account(came="1000", went="5", closing="1095") + document(Сумма="999.99") + END
    file, _ = read(write(body))
    assert [(one.what, one.stated, one.counted) for one in file.check.disagreements] == [
        ("incoming", Decimal(1000), Decimal("999.99")),
        ("outgoing", Decimal(5), Decimal(0)),
    ]


def test_a_rejected_payment_is_missed_by_the_balance(write: Write) -> None:
    body = HEAD + account(came="1000", closing="1100") + document(Сумма="сто") + END
    assert disagreements(write(body)) == ["incoming"]


def day(number: int, opening: str, came: str, closing: str) -> str:
    date = f"{number:02}.11.2026"
    return account(opening, came, "0", closing, ДатаНачала=date, ДатаКонца=date) + (
        document(Сумма=came, ДатаПоступило=date) if Decimal(came) else ""
    )


def test_a_section_for_each_day(write: Write) -> None:
    whole = HEAD + day(20, "0", "10", "10") + day(21, "10", "5", "15") + day(24, "15", "0", "15") + END
    assert disagreements(write(whole)) == []
    torn = HEAD + day(20, "0", "10", "10") + day(21, "11", "5", "16") + END
    assert disagreements(write(torn)) == ["chain"]
    moved = HEAD + day(20, "0", "10", "10") + day(21, "10", "5", "15").replace("Поступило=21", "Поступило=22") + END
    assert disagreements(write(moved)) == ["incoming", "period"]
    covered = HEAD + account("0", "15", "0", "15") + day(20, "0", "10", "10") + day(21, "10", "5", "15") + END
    assert disagreements(write(covered)) == []


def test_a_section_for_each_account(write: Write) -> None:
    transfer = document(ПлательщикСчет=OURS_TOO, Сумма="10", ДатаСписано="20.11.2026")
    second = account("50", "0", "10", "40", РасчСчет=OURS_TOO)
    once = HEAD + account("0", "10", "0", "10") + second + transfer + END
    assert disagreements(write(once), OURS, OURS_TOO) == []
    twice = HEAD + account("0", "10", "0", "10") + transfer + second + transfer + END
    assert disagreements(write(twice), OURS, OURS_TOO) == []
    file, _ = read(write(twice), OURS, OURS_TOO)
    assert file.check.internal == 2
    wrong = HEAD + account("0", "10", "0", "10") + account("50", "0", "11", "39", РасчСчет=OURS_TOO) + transfer + END
    assert disagreements(write(wrong), OURS, OURS_TOO) == ["outgoing"]


def test_an_account_that_is_not_known_as_ours(write: Write) -> None:
    file, _ = read(write(WHOLE), OURS_TOO)
    (found,) = file.check.unknown_accounts
    assert found.account == OURS
    assert file.check.unknown == 2
    assert file.check.adds_up  # its balances are checked all the same


def test_a_balance_that_is_no_number(write: Write) -> None:
    assert disagreements(write(HEAD + account("много", closing="100") + END)) == ["section"]
    assert disagreements(write(HEAD + account(РасчСчет="") + END)) == ["section"]


def test_turnover_that_is_not_stated_is_counted(write: Write) -> None:
    assert disagreements(write(HEAD + account(came="", went="", closing="1100") + document() + END)) == []
    assert disagreements(write(HEAD + account(came="", went="", closing="1101") + document() + END)) == ["closing"]


# --- nothing makes it crash ----------------------------------------------------------------------------------------


def survives(path: Path) -> None:
    """Everything is read, or refused with words: no other exception, and no money out of nothing."""
    try:
        file = StatementFile(path, {OURS}, Limits(line_chars=2000, section_chars=5000))
        for record in file.records():
            assert record.line >= 0
            if isinstance(record, StatementPayment):
                assert record.amount > 0
                assert "\x00" not in record.purpose + record.number + record.payer.name
    except StatementRefused as refusal:
        assert str(refusal)


@QUICK
@given(st.binary(max_size=300))
def test_random_bytes_never_crash(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "random.txt"
    for start in (b"", b"1CClientBankExchange\n", HEAD.encode(), HEAD.encode() + "СекцияДокумент=\n".encode()):
        path.write_bytes(start + data)
        survives(path)


@QUICK
@given(
    st.sampled_from(["cp1251", "cp866", "utf-8", "utf-16"]),
    st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 40), st.binary(max_size=12)), min_size=1, max_size=4),
)
def test_mutated_bytes_never_crash(tmp_path: Path, encoding: str, changes: list[tuple[int, int, bytes]]) -> None:
    data = WHOLE.encode(encoding)
    for place, length, piece in changes:
        data = data[:place] + piece + data[place + length :]
    path = tmp_path / "mutated.txt"
    path.write_bytes(data)
    survives(path)


@QUICK
@given(st.lists(st.tuples(st.sampled_from(["drop", "double", "glue", "swap"]), st.integers(0, 60)), max_size=6))
def test_lines_dropped_doubled_and_glued_never_crash_and_never_add_up_falsely(
    tmp_path: Path, changes: list[tuple[str, int]]
) -> None:
    lines = WHOLE.splitlines(keepends=True)
    for what, where in changes:
        place = where % (len(lines) - 1)
        if what == "drop":
            del lines[place]
        elif what == "double":
            lines.insert(place, lines[place])
        elif what == "glue":
            lines[place : place + 2] = [lines[place].rstrip("\n") + lines[place + 1]]
        else:
            lines[place], lines[place + 1] = lines[place + 1], lines[place]
    path = tmp_path / "lines.txt"
    path.write_text("".join(lines), encoding="cp1251")
    survives(path)
    try:
        file, records = read(path)
    except StatementRefused:
        return
    stated = [one for one in file.check.sections if one.incoming is not None and one.account == OURS]
    if file.check.adds_up and stated:  # what adds up is right to the kopeck
        came = sum(one.amount for one in payments(records) if one.direction == "in")
        assert came == sum(one.incoming or 0 for one in stated)


# --- a million lines in flat memory ---------------------------------------------------------------------------------

READ = """
    import resource, sys
    from pathlib import Path
    from include.money.statement import StatementFile
    from include.money.records import StatementPayment
    file = StatementFile(Path(sys.argv[1]), {sys.argv[2]})
    number = sum(isinstance(one, StatementPayment) for one in file.records())
    assert file.check.adds_up, file.check.disagreements
    print(number, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def large(path: Path, number: int) -> None:
    total = f"{number * 100}.00"
    with path.open("w", encoding="cp1251", newline="\r\n") as file:
        file.write(HEAD + account("0", total, "0", total))
        for one in range(number):
            file.write(document(Номер=str(one), Сумма="100.00", ПлательщикСчет=f"407028102{one:011}"))
        file.write(END)


def test_a_million_lines_are_read_in_flat_memory(tmp_path: Path) -> None:
    """Memory of another process: ten times more payments of different payers need no more of it."""
    used = {}
    for number in (7_000, 72_000):  # the second is a million lines
        path = tmp_path / f"{number}.txt"
        large(path, number)
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(READ), str(path), OURS],
            cwd=PROJECT, env={"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        counted, peak = map(int, done.stdout.split())
        assert counted == number
        used[number] = peak / 1024
        path.unlink()
    assert used[72_000] - used[7_000] < 20, f"память растёт с файлом: {used} МБ"
