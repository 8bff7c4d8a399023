"""Rules about values in files of 1C: every form met in real exports, and refusal of everything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.exchange_1c import rules
from include.exchange_1c.rules import CompanyKind, Vat

MOSCOW = rules.OFFICE_ZONE


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("  Ключ  12 ", "Ключ 12"),
        ("Ключ\u00a012\u202fмм", "Ключ 12 мм"),
        ("&quot;Ромашка&quot; &amp; К", '"Ромашка" & К'),
        ("A & B", "A & B"),
        ("\ufeffКлюч\u200b", "Ключ"),
        ("", ""),
        (None, ""),
    ],
)
def test_text_is_normalised(given_: str | None, expected: str) -> None:
    assert rules.normalise(given_) == expected


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("1234.50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("23\u00a0000", "23000"),
        ("1\u202f234", "1234"),
        ("-1.00", "-1.00"),
        ("+5", "5"),
        ("\u22125,5", "-5.5"),
        ("12345678901234567890.12", "12345678901234567890.12"),
        ("5.", "5"),
        (",5", "0.5"),
        ("  ", None),
        (None, None),
    ],
)
def test_number(given_: str | None, expected: str | None) -> None:
    assert rules.parse_number(given_) == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    "given_", ["1,2,3", "1e5", "NaN", "Infinity", "десять", "1620 руб", "١٢", "1" * 50, "--1", ".", ",", "1.2.3"]
)
def test_number_refused(given_: str) -> None:
    with pytest.raises(rules.ValueRefused):
        rules.parse_number(given_)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("2008-03-28", datetime(2008, 3, 28, tzinfo=MOSCOW)),
        ("2017-07-13T14:45:41", datetime(2017, 7, 13, 14, 45, 41, tzinfo=MOSCOW)),
        ("2024-01-08T15:47:02.082+03:00", datetime(2024, 1, 8, 12, 47, 2, 82000, tzinfo=UTC)),
        ("2014-06-01T0:36:33", datetime(2014, 6, 1, 0, 36, 33, tzinfo=MOSCOW)),
        ("2020-02-10T11:10:34+0700", datetime(2020, 2, 10, 4, 10, 34, tzinfo=UTC)),
        ("2020-02-10T11:10:34Z", datetime(2020, 2, 10, 11, 10, 34, tzinfo=UTC)),
        ("11.02.2021 18:45:21", datetime(2021, 2, 11, 18, 45, 21, tzinfo=MOSCOW)),
        ("1.2.2021", datetime(2021, 2, 1, tzinfo=MOSCOW)),
        ("T", None),
        ("Т", None),
        ("", None),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T10:11:12", None),
        ("20210311", datetime(2021, 3, 11, tzinfo=MOSCOW)),
        ("20210311184521", datetime(2021, 3, 11, 18, 45, 21, tzinfo=MOSCOW)),
    ],
)
def test_moment(given_: str, expected: datetime | None) -> None:
    assert rules.parse_moment(given_) == expected


def test_moment_takes_the_zone_given() -> None:
    moment = rules.parse_moment("2026-01-01T03:00:00", UTC)
    assert moment is not None
    assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "given_", ["2021-13-01", "31.02.2021", "вчера", "2021-01-01T25:00", "20211301", "2021-1-1T1:1+99:99", "9999-12-31"]
)
def test_moment_refused(given_: str) -> None:
    with pytest.raises(rules.ValueRefused):
        rules.parse_moment(given_)


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        ("2017-08-03", "18:46:55", datetime(2017, 8, 3, 18, 46, 55, tzinfo=MOSCOW)),
        ("2017-08-03", "0001-01-01T18:46:55", datetime(2017, 8, 3, 18, 46, 55, tzinfo=MOSCOW)),
        ("03.08.2017", " 9:05 ", datetime(2017, 8, 3, 9, 5, tzinfo=MOSCOW)),
        ("20170803", "18:46:55", datetime(2017, 8, 3, 18, 46, 55, tzinfo=MOSCOW)),
        (
            "20170803010203",
            "18:46:55",
            datetime(2017, 8, 3, tzinfo=MOSCOW) + timedelta(hours=18, minutes=46, seconds=55),
        ),
        ("2017-08-03T01:02:03", "18:46:55", datetime(2017, 8, 3, 1, 2, 3, tzinfo=MOSCOW)),
        ("2017-08-03", None, datetime(2017, 8, 3, tzinfo=MOSCOW)),
        ("", "18:46:55", None),
    ],
)
def test_date_and_time_of_a_document(day: str, clock: str | None, expected: datetime | None) -> None:
    assert rules.join_moment(day, clock) == expected


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("Заказ товара", rules.DocumentKind.ORDER),
        ("Счет на оплату", rules.DocumentKind.INVOICE),
        ("Счёт на оплату", rules.DocumentKind.INVOICE),
        ("Счет-фактура", rules.DocumentKind.TAX_INVOICE),
        ("Отпуск товара", rules.DocumentKind.SHIPMENT),
        ("Выплата безналичных денег", rules.DocumentKind.PAYMENT),
        ("Выплата наличных денег", rules.DocumentKind.PAYMENT),
        ("Возврат безналичных денег", rules.DocumentKind.REFUND),
        ("Возврат товара", rules.DocumentKind.RETURN),
        ("Переоценка товаров", rules.DocumentKind.OTHER),
        ("", rules.DocumentKind.OTHER),
    ],
)
def test_kind_of_document(operation: str, kind: rules.DocumentKind) -> None:
    assert rules.document_kind(operation) is kind


@pytest.mark.parametrize(
    ("given_", "expected"),
    [("руб", "RUB"), ("руб.", "RUB"), ("RUR", "RUB"), ("643", "RUB"), ("rub", "RUB"), ("uah", "UAH"), ("", None)],
)
def test_currency(given_: str, expected: str | None) -> None:
    assert rules.parse_currency(given_) == expected


@pytest.mark.parametrize(
    "marks",
    [
        ("Удален", None, None, None),
        (None, "Удалён ", None, None),
        (None, None, "true", None),
        (None, None, None, "Истина"),
        ("Новый", "Изменен", "false", "1"),
    ],
)
def test_four_marks_of_deletion(marks: tuple[str | None, str | None, str | None, str | None]) -> None:
    assert rules.is_deleted(*marks)


def test_not_deleted() -> None:
    assert not rules.is_deleted("Изменен", None, "false", "false")
    assert not rules.is_deleted(None, None, None, None)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("20", Vat.RATE_20),
        ("18%", Vat.RATE_18),
        ("22", Vat.RATE_22),
        ("НДС20", Vat.RATE_20),
        ("0", Vat.RATE_0),
        ("10.00", Vat.RATE_10),
        ("20/120", Vat.OF_20),
        ("Без налога", Vat.NONE),
        ("Без НДС", Vat.NONE),
        ("", None),
        (None, None),
    ],
)
def test_vat(given_: str | None, expected: Vat | None) -> None:
    assert rules.parse_vat(given_) is expected


@pytest.mark.parametrize("given_", ["33", "220", "льготная", "-20", "20/110", "1"])
def test_unknown_vat_is_refused_and_never_zero(given_: str) -> None:
    with pytest.raises(rules.ValueRefused, match="ставка НДС"):
        rules.parse_vat(given_)


@pytest.mark.parametrize(
    ("code", "text", "full", "expected"),
    [
        ("796", "шт", "Штука", ("796", "шт")),
        ("796 ", "", "Штука", ("796", "шт")),
        ("", "796 ", "", ("796", "шт")),
        ("", "шт", "", ("796", "шт")),
        ("", "", "Штука", ("796", "шт")),
        ("6", "", "", ("006", "м")),
        ("2009", "", "Штука", ("796", "шт")),
        ("715", "", "Пара (2 шт.)", ("715", "пар")),
    ],
)
def test_unit(code: str, text: str, full: str, expected: tuple[str, str]) -> None:
    assert rules.parse_unit(code, text, full) == (*expected, None)


def test_unknown_unit_stays_as_given() -> None:
    unit = rules.parse_unit("9999", "бухта", "")
    assert (unit.code, unit.name) == ("9999", "бухта")
    assert unit.problem
    assert rules.parse_unit("", "", "").name is None


@pytest.mark.parametrize("good", ["7707083893", "500100732259", " 7707083893 ", "77 0708 3893"])
def test_inn(good: str) -> None:
    assert rules.check_inn(good).value == "".join(good.split())


@pytest.mark.parametrize(
    "bad", ["7707083894", "0000000000", "000000000000", "500100732250", "123", "77070838931", "А" * 10]
)
def test_wrong_inn(bad: str) -> None:
    checked = rules.check_inn(bad)
    assert checked.value is None
    assert checked.problem


@given(st.from_regex(r"[0-9]{9,10}", fullmatch=True))
def test_inn_check_digits_agree_with_a_library(digits: str) -> None:
    from stdnum.ru import inn

    whole = rules.inn_with_check_digits(digits)
    assert inn.is_valid(whole)
    assert (rules.check_inn(whole).value is None) == (not whole.strip("0"))


def test_kpp() -> None:
    assert rules.check_kpp("773601001").value == "773601001"
    assert rules.check_kpp("7736AB001").value == "7736AB001"
    assert rules.check_kpp("").problem is None
    for bad in ("000000000", "77360100", "77360100А"):
        assert rules.check_kpp(bad).value is None
        assert rules.check_kpp(bad).problem


@pytest.mark.parametrize(
    ("official", "full", "name", "inn", "kpp", "kind"),
    [
        ('ООО "Ромашка"', "", "Ромашка", "7707083893", "773601001", CompanyKind.LEGAL),
        ("Фонд", "", "Фонд", None, None, CompanyKind.LEGAL),
        ("", "ИП Иванов", "Иванов", "500100732259", None, CompanyKind.SOLE),
        ("", "Иванов", "Иванов", "500100732259", None, CompanyKind.SOLE),
        ("", "", "Петров ИП, г. Пермь", None, None, CompanyKind.SOLE),
        ("", "Типов Осип", "Типов Осип", None, None, CompanyKind.PERSON),
    ],
)
def test_kind(official: str, full: str, name: str, inn: str | None, kpp: str | None, kind: CompanyKind) -> None:
    assert rules.company_kind(official, full, name, inn, kpp) is kind


def test_files_go_in_the_order_of_1c() -> None:
    names = [
        "documents.xml", "contragents/contragents_1_1.xml", "goods/goods_1_10.xml", "goods/goods_1_2.xml", "rests.xml",
        "prices.xml", "offers0_1.xml", "groups.xml", "units.xml", "import0_1.xml", "чужой².xml",
    ]  # fmt: skip
    assert sorted(names, key=rules.exchange_order) == [
        "groups.xml", "units.xml", "goods/goods_1_2.xml", "goods/goods_1_10.xml", "import0_1.xml", "offers0_1.xml",
        "prices.xml", "rests.xml", "contragents/contragents_1_1.xml", "documents.xml", "чужой².xml",
    ]  # fmt: skip


def test_personal_data_is_masked() -> None:
    assert rules.mask("тел +79281234567, ivan@mail.ru") == "тел +••••••••567, •@•"


@given(st.text(max_size=60))
def test_no_value_breaks_a_rule(text: str) -> None:
    rules.normalise(text)
    rules.parse_unit(text, text, text)
    rules.check_inn(text)
    rules.check_kpp(text)
    rules.exchange_order(text)
    rules.is_deleted(text, text, text, text)
    for parse in (rules.parse_number, rules.parse_moment, rules.parse_vat):
        try:
            parse(text)
        except rules.ValueRefused as refusal:
            assert str(refusal)
