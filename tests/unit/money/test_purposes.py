"""What the words of a payment say: real wordings, and the traps of numbers that are no invoice's."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.exchange_1c.rules import Vat
from include.money.purposes import MOST_MENTIONS, invoice_mentions, is_refund, listed_numbers, purpose_vat

pytestmark = pytest.mark.unit

#: purpose → the invoices it names, each «number» or «number@day.month.year»
NAMES: list[tuple[str, str]] = [
    # seen in statements of banks
    ("Оплата за электроэрозионный прожиг по счету №198 от 21.08.2018 г. в т.ч. НДС 18% - 3 416.95", "198@21.08.2018"),
    ("Оплата за металл по счету № ХИМ-ММР286 от 22.08.2018 г. в т.ч. НДС 18% - 7 248.81", "ХИМ-ММР286@22.08.2018"),
    ("Оплата по договору №101 от 01.11.2025 за услуги консультации", ""),
    ("Оплата за материалы по счету №555", "555"),
    ("Оплата по счету №123 от 20.10.2025", "123@20.10.2025"),
    ("За товары, по счету №125 на сумму 175000-00", "125"),
    ("За товары, по счету №777 на сумму 375-25 Plus NDS 111-16", "777"),
    ("Оплата по заказу клиента №9614, НДС не облагается", ""),
    ("Выплата аванса за сентябрь 2018г. на карту. ИНН 615443751008 Сумма 25000-00 Без налога (НДС)", ""),
    ("Комиссия за безналичный перевод за период с 20.08.2018 по 20.08.2018. НДС не облагается", ""),
    ('Оплата стоимости пакета услуг "Всё по делу" согласно тарифам Банка (п. 17.2.1.). НДС не облагается.', ""),
    # forms of the word
    ("Оплата по счету 431", "431"),
    ("оплата счета 1595/92", "1595/92"),
    ("Оплата по счёту № 15", "15"),
    ("ОПЛАТА ПО СЧЕТУ N15 ОТ 01.02.2026Г. В Т.Ч. НДС(20%)-500.00", "15@01.02.2026"),
    ("Опл.по сч.15 от 21.08.18г. НДС нет", "15@21.08.2018"),
    ("Оплата по сч№15", "15"),
    ("Оплата сч. N 15 от 21 августа 2018 г.", "15@21.08.2018"),
    ("Оплата по счету No УТ-000015 от 01.02.2026", "УТ-000015@01.02.2026"),
    ("Оплата по счету # A-15/2", "A-15/2"),
    ("Оплата счет №2026-11/15-А", "2026-11/15-А"),
    ("Оплата согласно выставленного счета УТ-15", "УТ-15"),
    ("Оплата по счету УТ 15 от 01.02.2026", "УТ 15@01.02.2026"),
    ("Оплата по счету № УТ 15 от 01.02.2026", "УТ 15@01.02.2026"),
    ("По счёту на оплату № УТ-15 от 21 ноября 2026 г. за окна", "УТ-15@21.11.2026"),
    ("Оплата за изд. по счету на предоплату №15 от 1.2.2026", "15@01.02.2026"),
    ("счет от 21.08.2018 № 15", "15@21.08.2018"),
    ("Аванс по счет-договору № 15/1 от 3.03.2026", "15/1@03.03.2026"),
    ("Оплата по инвойсу 77 от 01.02.2026", "77@01.02.2026"),
    ("Оплата по cчeту №15", "15"),  # Latin c and e
    ("Оплата по счету ?15 от 01.02.2026", "15@01.02.2026"),  # № lost in another encoding
    ("Оплата по счету № 15от 21.08.2018", "15@21.08.2018"),
    ("Оплата по счету 15/21.08.2018", "15@21.08.2018"),
    ("Оплата по счету 10 от 2026.10.01", "10@01.10.2026"),
    ("Предоплата 50% по счету №15 от 05/02/2026 НДС не облагается", "15@05.02.2026"),
    ("Частичная оплата по счету № 15 (50%)", "15"),
    ("Оплата за счет № 15", "15"),
    ("Оплата по счету за услуги связи № 15", "15"),
    ("Оплата по счету № 00000015 от 01.02.2026 за услуги по договору 77-А", "00000015@01.02.2026"),
    ("Оплата по\u00a0счету\u00a0№\u00a015", "15"),
    # lists
    (
        "Оплата по счетам № 15, 16 и 17 от 21.11.2026, в т.ч. НДС 22%",
        "15@21.11.2026 16@21.11.2026 17@21.11.2026",
    ),
    ("Оплата по счетам №№ 15,16,17", "15 16 17"),
    ("Оплата по счёту №15 от 01.11.26, №16 от 02.11.26", "15@01.11.2026 16@02.11.2026"),
    ("по счетам 101,102,103 от 05.05.2026 Сумма 5000-00", "101@05.05.2026 102@05.05.2026 103@05.05.2026"),
    ("по счетам: №101 от 05.05.2026 на 100,00; №102 от 06.05.2026 на 200,00", "101@05.05.2026 102@06.05.2026"),
    ("Доплата по сч. 15 и сч. 16", "15 16"),
    ("Оплата по счету 15, 16 от 21.08.2018", "15@21.08.2018 16@21.08.2018"),
    # numbers of other papers beside an invoice's
    ("По договору № 5 от 01.01.2026, счет № 15 от 02.01.2026", "15@02.01.2026"),
    ("По счету № 15 от 02.01.2026 к договору № 5 от 01.01.2026", "15@02.01.2026"),
    ("Оплата по счету №15 и договору №16", "15"),
    ("Оплата по счету №15, акт №3, УПД №4", "15"),
    ("Оплата по счету 15, 20% НДС 500,00", "15"),
    ("Оплата по счету 15, 5000 руб.", "15"),
    ("Оплата по счету 15, 2 этап", "15"),
    ("Оплата по счету 15, 5000,00", "15"),
    # no invoice at all
    ("Оплата по счету-фактуре № 15 от 02.01.2026", ""),
    ("Оплата по счет-фактуре 15", ""),
    ("Оплата по счёту фактуре №15", ""),
    ("Оплата по сч.ф. 15", ""),
    ("Оплата по с/ф 15", ""),
    ("Оплата по акту № 15, УПД № 16, накладной № 17", ""),
    ("Оплата по счету и акту № 5", ""),
    ("Пополнение лицевого счета № 123456", ""),
    ("Перевод на расчетный счет 40702810477266704262", ""),
    ("Перечисление на счет № 40702810477266704262", ""),
    ("Зачисление на р/сч 1234", ""),
    ("Зачисление на карточный счет 1234", ""),
    ("По л/с 12345 за квартиру 5", ""),
    ("Оплата за счет собственных средств", ""),
    ("Оплата по счету № б/н от 21.08.2018", ""),
    ("Оплата по счету. Заявка № 15", ""),
    ("Оплата за расчеты с поставщиками № 5", ""),
    ("Оплата подсчета № 7", ""),
    ("Счет 15 000 руб", ""),
    ("Налог на доходы физических лиц", ""),
    ("", ""),
]


def said(purpose: str) -> str:
    return " ".join(
        one.number + (f"@{one.date:%d.%m.%Y}" if one.date else "") for one in invoice_mentions(purpose)
    ).replace("УТ 15", "УТ_15")


@pytest.mark.parametrize(("purpose", "expected"), NAMES, ids=[one[0][:60] for one in NAMES])
def test_which_invoices_a_purpose_names(purpose: str, expected: str) -> None:
    assert said(purpose) == expected.replace("УТ 15", "УТ_15")


def test_numbers_are_compared_after_look_alike_letters_are_folded() -> None:
    latin, cyrillic = invoice_mentions("счет № XAM-15"), invoice_mentions("счет № ХАМ-15")
    assert latin[0].number != cyrillic[0].number
    assert latin[0].number_key == cyrillic[0].number_key


def test_an_invoice_named_twice_is_one_and_keeps_its_date() -> None:
    found = invoice_mentions("По счету 15, счет № 15 от 01.02.2026")
    assert [(one.number_key, one.date) for one in found] == [("15", dt.date(2026, 2, 1))]


def test_a_hostile_list_is_bounded() -> None:
    assert len(invoice_mentions("счетам " + ",".join(map(str, range(1000, 9000))))) <= MOST_MENTIONS
    assert invoice_mentions("сч" * 100_000) == ()


@given(st.text(alphabet="счетуамN№ 0123456789-/.,;от()иг АBаб%\n\u00a0", max_size=120))
def test_any_purpose_is_read(purpose: str) -> None:
    for one in invoice_mentions(purpose):
        assert one.number in purpose
        assert any(sign.isdigit() for sign in one.number)
        assert one.number_key
    purpose_vat(purpose)
    is_refund(purpose)
    listed_numbers(purpose)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("15", ["15"]),
        ("15, УТ-16", ["15", "УТ-16"]),
        ("№15; №16", ["15", "16"]),
        ("Счёт № 15 от 21.11.2026", ["15"]),
        ("сч 15/16", ["15/16"]),
        ("", []),
        ("нет", []),
    ],
)
def test_a_cell_with_numbers_of_invoices(cell: str, expected: list[str]) -> None:
    """R000-2: the column «Счёт №» of a sheet."""
    assert [one.number for one in listed_numbers(cell)] == expected


def test_the_date_of_the_neighbouring_cell_fills_what_lacks() -> None:
    day = dt.date(2026, 2, 1)
    assert [one.date for one in listed_numbers("15, 16", day)] == [day, day]
    assert listed_numbers("15 от 03.03.2026", day)[0].date == dt.date(2026, 3, 3)


@pytest.mark.parametrize(
    ("purpose", "rate", "amount"),
    [
        ("в т.ч. НДС 18% - 3 416.95", Vat.RATE_18, "3416.95"),
        ("В том числе НДС 22 % – 18 032,79 руб.", Vat.RATE_22, "18032.79"),
        ("В Т.Ч. НДС(20%)-500.00", Vat.RATE_20, "500.00"),
        ("НДС 20% 1 000,00", Vat.RATE_20, "1000.00"),
        ("в том числе НДС 166.67", None, "166.67"),
        ("Plus NDS 111-16", None, "111.16"),
        ("НДС 22%", Vat.RATE_22, None),
        ("в том числе НДС 20 процентов", Vat.RATE_20, None),
        ("НДС не облагается", Vat.NONE, None),
        ("Без НДС", Vat.NONE, None),
        ("Сумма 25000-00 Без налога (НДС)", Vat.NONE, None),
        ("НДС нет", Vat.NONE, None),
    ],
)
def test_vat_of_a_purpose(purpose: str, rate: Vat | None, amount: str | None) -> None:
    found = purpose_vat(purpose)
    assert found is not None
    assert (found.rate, found.amount) == (rate, Decimal(amount) if amount else None)


def test_a_purpose_without_vat_says_nothing_of_it() -> None:
    assert purpose_vat("Оплата по счету № 15") is None


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        ("Возврат по счету № 15 излишне перечисленных средств", True),
        ("ВОЗВРАТ ОПЛАТЫ ПО ПП 7", True),
        ("Возвращаем предоплату по договору 5", True),
        ("Ошибочно перечисленные средства", True),
        ("Возврат займа по договору 5", False),
        ("Возврат подотчетных сумм", False),
        ("Возврат излишне уплаченного налога", False),
        ("Оплата за возвратную тару", False),
        ("Безвозвратная помощь", False),
        ("Оплата по счету № 15", False),
    ],
)
def test_money_given_back(purpose: str, expected: bool) -> None:
    assert is_refund(purpose) is expected
