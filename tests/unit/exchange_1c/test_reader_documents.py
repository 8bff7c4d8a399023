"""Documents: orders, invoices, payments and shipments in the forms of 2.x and of 3.1."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from include.exchange_1c.records import Counterparty, Document, Reject
from include.exchange_1c.rules import OFFICE_ZONE, CompanyKind, DocumentKind, Vat
from tests.unit.exchange_1c.files import of_kind, read_all, rejects, remarks, whole


def requisite(name: str, value: str) -> str:
    return f"<ЗначениеРеквизита><Наименование>{name}</Наименование><Значение>{value}</Значение></ЗначениеРеквизита>"


def document(inner: str = "", requisites: str = "", *, head: str = "<Ид>1</Ид><Номер>ВК-1</Номер>") -> str:
    said = f"<ЗначенияРеквизитов>{requisites}</ЗначенияРеквизитов>" if requisites else ""
    return f"<Документ>{head}{inner}{said}</Документ>"


def only(tmp_path: Path, body: str) -> Document:
    (found,) = of_kind(read_all(tmp_path, whole(body)), Document)
    return found


ORDER = """<Документ>
<Ид>96eb637f</Ид><Номер>ВК01276    </Номер><Дата>2014-05-26</Дата><Время>09:29:28</Время>
<ХозОперация>Заказ товара</ХозОперация><Роль>Продавец</Роль><Валюта>руб</Валюта><Курс>1</Курс><Сумма>1 234,50</Сумма>
<СрокПлатежа>2014-06-01</СрокПлатежа><Комментарий> № 4 </Комментарий>
<Номер1С>L320   </Номер1С><Дата1С>2014-05-27</Дата1С>
<Контрагенты>
<Контрагент><Ид>c1</Ид><Наименование>Ромашка ООО</Наименование><ОфициальноеНаименование>ООО "Ромашка"
</ОфициальноеНаименование><ИНН>7707083893</ИНН><КПП>773601001</КПП><Роль>Покупатель</Роль><РасчетныеСчета><РасчетныйСчет>
<НомерСчета>40702810100000000001</НомерСчета><Банк><БИК>044525225</БИК></Банк></РасчетныйСчет></РасчетныеСчета>
<Контакты><Контакт><Тип>Почта</Тип><Значение>a@b.ru</Значение></Контакт></Контакты></Контрагент></Контрагенты>
<Налоги><Налог><Наименование>НДС</Наименование><УчтеноВСумме>true</УчтеноВСумме><Сумма>205,75</Сумма></Налог></Налоги>
<Скидки><Скидка><Наименование>Сезон</Наименование><Сумма>10</Сумма><Процент>5</Процент><УчтеноВСумме>true</УчтеноВСумме>
</Скидка></Скидки><Наценки><Наценка><Сумма>3</Сумма></Наценка></Наценки>
<Склады><Склад><Ид>w</Ид><Наименование>Основной</Наименование></Склад></Склады>
<Товары>
<Товар><Ид>g#c</Ид><Артикул>A</Артикул><Наименование>Ключ</Наименование>
<БазоваяЕдиница Код="796" НаименованиеПолное="Штука">шт</БазоваяЕдиница>
<ХарактеристикиТовара><ХарактеристикаТовара><Наименование>Цвет</Наименование><Значение>синий</Значение>
</ХарактеристикаТовара></ХарактеристикиТовара>
<ЦенаЗаЕдиницу>617.25</ЦенаЗаЕдиницу><Количество>2</Количество><Сумма>1234.50</Сумма><Единица>шт</Единица>
<Коэффициент>1</Коэффициент><Налоги><Налог><Наименование>НДС</Наименование><УчтеноВСумме>true</УчтеноВСумме>
<Сумма>205.75</Сумма><Ставка>20</Ставка></Налог></Налоги></Товар>
<Товар><Ид>ORDER_DELIVERY</Ид><Наименование>Доставка</Наименование><Цена>0</Цена><Количество>1</Количество><Сумма/>
<Единица><Ид>796 </Ид><НаименованиеКраткое>шт</НаименованиеКраткое></Единица>
<СтавкиНалогов><СтавкаНалога><Наименование>НДС</Наименование><Ставка>Без налога</Ставка></СтавкаНалога></СтавкиНалогов>
<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>ТипНоменклатуры</Наименование><Значение>Услуга</Значение>
</ЗначениеРеквизита></ЗначенияРеквизитов></Товар>
</Товары></Документ>"""


def test_order_with_everything(tmp_path: Path) -> None:
    found = only(tmp_path, ORDER)
    assert (found.external_id, found.has_own_id, found.kind) == ("96eb637f", True, DocumentKind.ORDER)
    assert (found.number, found.raw["number"], found.number_1c) == ("ВК01276", "ВК01276    ", "L320")
    assert found.at == datetime(2014, 5, 26, 9, 29, 28, tzinfo=OFFICE_ZONE)
    assert found.date == date(2014, 5, 26)
    assert found.at_1c == datetime(2014, 5, 27, tzinfo=OFFICE_ZONE)
    assert found.due == datetime(2014, 6, 1, tzinfo=OFFICE_ZONE)
    assert (found.role, found.currency, found.rate, found.comment) == ("Продавец", "RUB", 1, "№ 4")
    assert (found.amount, found.raw["amount"]) == (Decimal("1234.50"), "1 234,50")
    buyer = found.counterparty
    assert buyer is not None
    assert (buyer.external_id, buyer.kind, buyer.inn, buyer.kpp) == ("c1", CompanyKind.LEGAL, "7707083893", "773601001")
    assert (buyer.email, buyer.accounts[0]["bik"], buyer.details["Роль"]) == ("a@b.ru", "044525225", "Покупатель")
    assert [(one.name, one.amount, one.is_included) for one in found.taxes] == [("НДС", Decimal("205.75"), True)]
    assert [(one.name, one.amount, one.percent) for one in found.discounts] == [("Сезон", 10, 5), ("", -3, None)]
    assert found.details["Склады"] == {"Склад": {"Ид": "w", "Наименование": "Основной"}}
    key, delivery = found.lines
    assert (key.external_id, key.sku, key.name, key.unit.code) == ("g#c", "A", "Ключ", "796")
    assert (key.quantity, key.price, key.amount, key.coefficient) == (2, Decimal("617.25"), Decimal("1234.50"), 1)
    assert [(one.vat, one.amount, one.is_included) for one in key.taxes] == [(Vat.RATE_20, Decimal("205.75"), True)]
    assert (key.is_service, key.details["characteristics"]) == (False, {"Цвет": "синий"})
    assert (delivery.is_service, delivery.price, delivery.amount, delivery.unit.code) == (True, 0, None, "796")
    assert [one.vat for one in delivery.taxes] == [Vat.NONE]
    assert found.is_posted is found.is_cancelled is found.is_paid is found.is_shipped is None


@pytest.mark.parametrize(
    "body",
    ["{}", "<Контейнер>{}</Контейнер>", "<Контейнер><Ид>x</Ид>{}</Контейнер>"],
)
def test_documents_of_every_container(tmp_path: Path, body: str) -> None:
    inner = document(head="<Ид>1</Ид><Номер>1</Номер>") + document(head="<Ид>2</Ид><Номер>2</Номер>")
    found = of_kind(read_all(tmp_path, whole(body.format(inner) + body.format(ORDER))), Document)
    assert [one.external_id for one in found] == ["1", "2", "96eb637f"]
    assert len(found[2].lines) == 2


def test_states_of_an_order(tmp_path: Path) -> None:
    said = "".join(
        requisite(*one)
        for one in (
            ("Проведен", "true"), ("ПометкаУдаления", "false"), ("Отменен", "false"), ("Оплачен", "Да"),
            ("Дата оплаты по 1С", "2014-05-29"), ("Номер оплаты по 1С", "ВК000000531  "), ("Отгружен", "true"),
            ("Номер отгрузки по 1С", "О0000000976"), ("Дата отгрузки по 1С", "2017-08-04T12:22:01"),
            ("СтатусЗаказа", "Готов"), ("Номер по 1С", "ВК-7"), ("Дата по 1С", "11.02.2021 18:45:21"),
            ("Сумма оплаты", "1 000,00"),
        )
    )  # fmt: skip
    found = only(tmp_path, document(requisites=said))
    assert (found.is_posted, found.is_cancelled, found.is_deleted) == (True, False, False)
    assert (found.is_paid, found.payment_number, found.paid_amount) == (True, "ВК000000531", 1000)
    assert found.paid_at == datetime(2014, 5, 29, tzinfo=OFFICE_ZONE)
    assert (found.is_shipped, found.shipment_number, found.status) == (True, "О0000000976", "Готов")
    assert found.shipped_at == datetime(2017, 8, 4, 12, 22, 1, tzinfo=OFFICE_ZONE)
    assert (found.number_1c, found.at_1c) == ("ВК-7", datetime(2021, 2, 11, 18, 45, 21, tzinfo=OFFICE_ZONE))
    assert found.requisites["Проведен"] == "true"


@pytest.mark.parametrize(
    ("said", "is_paid", "is_shipped"),
    [
        (requisite("Дата оплаты по 1С", "T"), None, None),
        (requisite("Дата оплаты по 1С", "Т"), None, None),
        (requisite("Дата оплаты по 1С", "0001-01-01T00:00:00"), None, None),
        (requisite("Дата оплаты по 1C", "2014-05-29"), True, None),  # a Latin C
        (requisite("ДатаОплатыПо1С", "2014-05-29"), True, None),
        (requisite("Дата оплаты", "29.05.2014") + requisite("Оплачен", "false"), False, None),
        (requisite("Заказ оплачен", "true"), True, None),
        (requisite("Дата отгрузки", "2014-05-29"), None, True),
        (requisite("Отгружен", "0"), None, False),
    ],
)
def test_paid_and_shipped(tmp_path: Path, said: str, is_paid: bool | None, is_shipped: bool | None) -> None:
    found = only(tmp_path, document(requisites=said))
    assert (found.is_paid, found.is_shipped) == (is_paid, is_shipped)


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        ("<ПометкаУдаления>true</ПометкаУдаления>", ""),
        ("<Статус>Удален</Статус>", ""),
        ("", requisite("ПометкаУдаления", "true")),
        ("", requisite("Пометка удаления", "Да")),
    ],
)
def test_marks_of_deletion(tmp_path: Path, inner: str, said: str) -> None:
    assert only(tmp_path, document(inner, said)).is_deleted


def test_mark_of_deletion_as_an_attribute(tmp_path: Path) -> None:
    assert only(tmp_path, document().replace("<Документ>", '<Документ Статус="Удален">')).is_deleted


def test_subordinate_documents_follow_their_order(tmp_path: Path) -> None:
    def below(number: int, operation: str, inner: str = "") -> str:
        return f"<Ид>{number}</Ид><Номер>{number}</Номер><ХозОперация>{operation}</ХозОперация>{inner}"

    invoice = f"<Документ>{below(3, 'Счет-фактура')}</Документ>"
    subordinate = (
        "<ПодчиненныеДокументы><ПодчиненныйДокумент>"
        + below(2, "Отпуск товара", f"<ПодчиненныеДокументы>{invoice}</ПодчиненныеДокументы>")
        + "</ПодчиненныйДокумент><ПодчиненныйДокумент><ХозОперация>Прочие</ХозОперация></ПодчиненныйДокумент>"
        + f"<ПодчиненныйДокумент>{below(4, 'Выплата безналичных денег')}</ПодчиненныйДокумент></ПодчиненныеДокументы>"
    )
    records = read_all(tmp_path, whole(document(subordinate)))
    found = [(one.external_id, one.kind.value, one.parent_id) for one in of_kind(records, Document)]
    assert found == [
        ("1", "other", None), ("2", "shipment", "1"), ("3", "tax_invoice", "2"), ("4", "payment", "1"),
    ]  # fmt: skip
    assert rejects(records) == [("Документ", "у документа нет ни Ид, ни номера")]


def test_basis_is_the_parent(tmp_path: Path) -> None:
    assert only(tmp_path, document("<Основание>77</Основание>")).parent_id == "77"
    assert only(tmp_path, document("<Основание><Ид>78</Ид><Номер>5</Номер></Основание>")).parent_id == "78"


def test_document_without_an_id_is_known_by_kind_number_and_date(tmp_path: Path) -> None:
    head = "<Номер>вк-15 </Номер><Дата>2026-01-02</Дата><ХозОперация>Счет на оплату</ХозОперация>"
    records = read_all(tmp_path, whole(document(head=head)))
    (found,) = of_kind(records, Document)
    assert (found.external_id, found.has_own_id) == ("invoice|ВК-15|2026-01-02", False)
    assert "у документа нет Ид: взят его номер" in remarks(records)


def test_wrong_dates_are_remarks_and_wrong_sums_are_rejects(tmp_path: Path) -> None:
    bad_line = "<Товары><Товар><Ид>1</Ид><Наименование>К</Наименование><Количество>два</Количество></Товар></Товары>"
    records = read_all(
        tmp_path,
        whole(
            "\n".join(
                (
                    document("<Дата>вчера</Дата>", requisite("Дата оплаты", "скоро")),
                    document("<Сумма>много</Сумма>", head="<Ид>2</Ид><Номер>2</Номер>"),
                    document(bad_line, head="<Ид>3</Ид><Номер>3</Номер>"),
                    document("<Сумма/>", head="<Ид>4</Ид><Номер>4</Номер>"),
                )
            )
        ),
    )
    found = {one.external_id: one for one in of_kind(records, Document)}
    assert found.keys() == {"1", "4"}
    assert (found["1"].at, found["1"].date, found["1"].paid_at, found["4"].amount) == (None, None, None, None)
    assert found["1"].raw == {"at": "вчера", "paid_at": "скоро"}
    assert remarks(records) == ["дата не понята: «вчера»", "дата не понята: «скоро»"]
    assert rejects(records) == [
        ("Документ", "число не понято: «много»"),
        ("Документ", "строка 1 документа: число не понято: «два»"),
    ]
    assert [(one.external_id, one.line) for one in of_kind(records, Reject)] == [("2", 3), ("3", 4)]


def test_names_of_people_are_hidden_in_a_reject(tmp_path: Path) -> None:
    partner = "<Контрагенты><Контрагент><Ид>5</Ид><Наименование>Сидоров Пётр</Наименование></Контрагент></Контрагенты>"
    records = read_all(tmp_path, whole(document(partner + "<Сумма>х</Сумма><Комментарий>звонить Пете</Комментарий>")))
    (reject,) = of_kind(records, Reject)
    assert "ВК-1" in reject.snippet
    assert "Сидоров" not in reject.snippet
    assert "Пете" not in reject.snippet


def test_nameless_counterparty_of_a_document_does_not_spoil_it(tmp_path: Path) -> None:
    partners = "<Контрагенты><Контрагент><Наименование/></Контрагент><Контрагент/></Контрагенты>"
    found = only(tmp_path, document(partners))
    assert [(one.external_id, one.name) for one in found.counterparties] == [("", ""), ("", "")]


def test_unknown_rate_in_a_document_is_a_remark(tmp_path: Path) -> None:
    taxes = "<Налоги><Налог><Наименование>НДС</Наименование><Ставка>33</Ставка><Сумма>5</Сумма></Налог></Налоги>"
    records = read_all(tmp_path, whole(document(taxes)))
    (found,) = of_kind(records, Document)
    assert (found.taxes[0].vat, found.taxes[0].amount, found.raw["vat"]) == (None, 5, "33")
    assert remarks(records) == ["неизвестная ставка НДС «33»"]


def test_counterparties_of_each_legal_form(tmp_path: Path) -> None:
    partner = "<Контрагент><Ид>{}</Ид><Наименование>Имя</Наименование>{}</Контрагент>"
    inner = (
        partner.format(1, "<ЮрЛицо><ОфициальноеНаименование>АО Завод</ОфициальноеНаименование><ИНН>7707083893</ИНН>"
                       "<ОКПО>00032537</ОКПО><ЮридическийАдрес>Пермь, 1</ЮридическийАдрес></ЮрЛицо>")
        + partner.format(2, "<ИндивидуальныйПредприниматель><ПолноеНаименование>ИП Иванов</ПолноеНаименование>"
                         "<ИНН>500100732259</ИНН></ИндивидуальныйПредприниматель>")
        + partner.format(3, "<ФизЛицо><Фамилия>Петров</Фамилия><Имя>Пётр</Имя></ФизЛицо>"
                         "<Представители><Представитель><Контрагент><Ид>4</Ид></Контрагент></Представитель></Представители>")
    )  # fmt: skip
    found = of_kind(read_all(tmp_path, whole(f"<Контрагенты>{inner}</Контрагенты>")), Counterparty)
    assert [one.kind for one in found] == [CompanyKind.LEGAL, CompanyKind.SOLE, CompanyKind.PERSON]
    assert (found[0].details["ОКПО"], found[0].addresses[0]["text"]) == ("00032537", "Пермь, 1")
    assert (found[2].full_name, len(found)) == ("Петров Пётр", 3)
