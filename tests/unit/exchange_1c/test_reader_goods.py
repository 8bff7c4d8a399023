"""Goods, offers, prices and stock in every form that real exports have."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from include.exchange_1c.records import Goods, Offer, Price, Reject, Stock
from include.exchange_1c.rules import Unit
from tests.unit.exchange_1c.files import of_kind, offers, read_all, rejects, remarks, whole

ROOT = Path(__file__).resolve().parents[3]


def goods(tmp_path: Path, inner: str) -> Goods:
    body = whole(
        f"<Каталог><Товары><Товар><Ид>1</Ид><Наименование>Ключ</Наименование>{inner}</Товар></Товары></Каталог>"
    )
    (found,) = of_kind(read_all(tmp_path, body), Goods)
    return found


PIECE = Unit("796", "шт", None)


@pytest.mark.parametrize(
    "unit",
    [
        "<БазоваяЕдиница>шт</БазоваяЕдиница>",
        "<БазоваяЕдиница>796</БазоваяЕдиница>",
        "<БазоваяЕдиница>796 </БазоваяЕдиница>",
        '<БазоваяЕдиница Код="796"/>',
        '<БазоваяЕдиница Код="796 " НаименованиеПолное="Штука" МеждународноеСокращение="PCE">шт</БазоваяЕдиница>',
        '<БазоваяЕдиница НаименованиеПолное="Штука"/>',
        '<БазоваяЕдиница Код="2009" НаименованиеПолное="Штука">шт</БазоваяЕдиница>',
        '<БазоваяЕдиница Код="796"><Пересчет><Единица>796</Единица><Коэффициент>1</Коэффициент></Пересчет>шт'
        "</БазоваяЕдиница>",
        "<БазоваяЕдиница><Ид>796 </Ид><НаименованиеКраткое>шт</НаименованиеКраткое><Код>796</Код>"
        "<НаименованиеПолное>штука   </НаименованиеПолное></БазоваяЕдиница>",
        "<БазоваяЕдиница><Единица>шт</Единица></БазоваяЕдиница>",
        "<БазоваяЕдиница><Единица><Ид>796</Ид><НаименованиеКраткое>шт</НаименованиеКраткое></Единица></БазоваяЕдиница>",
        "<Единица>шт</Единица>",
        "<Единица><Код>796</Код></Единица>",
    ],
)
def test_unit_in_every_form(tmp_path: Path, unit: str) -> None:
    assert goods(tmp_path, unit).unit == PIECE


def test_no_unit_and_an_unknown_one_are_remarks(tmp_path: Path) -> None:
    body = "<Каталог><Товары>{}</Товары></Каталог>"
    item = "<Товар><Ид>{}</Ид><Наименование>Ключ</Наименование>{}</Товар>"
    records = read_all(
        tmp_path,
        whole(body.format(item.format(1, "") + item.format(2, "<БазоваяЕдиница>вёдра</БазоваяЕдиница>"))),
    )
    assert remarks(records) == ["единица не указана", "единицы «вёдра» нет в таблице ОКЕИ"]
    assert [one.unit.name for one in of_kind(records, Goods)] == [None, "вёдра"]


def test_characteristics_manufacturer_and_barcodes(tmp_path: Path) -> None:
    found = goods(
        tmp_path,
        "<Штрихкод> 460 </Штрихкод><Штрихкод>461</Штрихкод><Штрихкод>460</Штрихкод><Штрихкоды><Штрихкод>462</Штрихкод>"
        "</Штрихкоды><ХарактеристикиТовара><ХарактеристикаТовара><Ид>x</Ид><Наименование>Цвет</Наименование>"
        "<Значение>синий</Значение></ХарактеристикаТовара><ХарактеристикаТовара><Наименование>Размер</Наименование>"
        "<Значение/></ХарактеристикаТовара></ХарактеристикиТовара>"
        "<Изготовитель><Ид>i</Ид><ОфициальноеНаименование>АО Завод</ОфициальноеНаименование></Изготовитель>",
    )
    assert (found.barcode, found.barcodes, found.raw["barcode"]) == ("460", ["460", "461", "462"], " 460 ")
    assert found.characteristics == {"Цвет": "синий"} == found.details["characteristics"]
    assert found.manufacturer == "АО Завод"
    assert (found.goods_id, found.characteristic_id) == ("1", None)


def test_id_with_a_characteristic_is_split(tmp_path: Path) -> None:
    body = whole(
        "<Каталог><Товары><Товар><Ид>g#c</Ид><Наименование>Ключ</Наименование></Товар>"
        "<Товар><Ид>#c</Ид><Наименование>Ключ</Наименование></Товар></Товары></Каталог>"
    )
    found = of_kind(read_all(tmp_path, body), Goods)
    assert [(one.goods_id, one.characteristic_id) for one in found] == [("g", "c"), ("#c", None)]


def test_property_that_nobody_chose_is_not_set(tmp_path: Path) -> None:
    pair = "<ЗначенияСвойства><Ид>{}</Ид><Значение>{}</Значение></ЗначенияСвойства>"
    zero = "00000000-0000-0000-0000-000000000000"
    found = goods(tmp_path, f"<ЗначенияСвойств>{pair.format('a', zero)}{pair.format('b', 'v')}</ЗначенияСвойств>")
    assert found.details["properties"] == {"b": "v"}


OFFER = """<Предложение><Ид>g#c</Ид><Штрихкод>460</Штрихкод><Артикул>A 1</Артикул>
<Наименование>Ключ (синий)</Наименование><БазоваяЕдиница Код="796">шт</БазоваяЕдиница>
<ХарактеристикиТовара><ХарактеристикаТовара><Наименование>Цвет</Наименование><Значение>синий</Значение></ХарактеристикаТовара>
</ХарактеристикиТовара>
<Цены><Цена><Представление>1 234,50 руб. за шт</Представление><ИдТипаЦены>p1</ИдТипаЦены>
<ЦенаЗаЕдиницу>1\u00a0234,50</ЦенаЗаЕдиницу><Валюта>руб</Валюта><Единица>шт</Единица><Коэффициент>1</Коэффициент></Цена>
<Цена><ИдТипаЦены>p2</ИдТипаЦены><ЦенаЗаЕдиницу>10.00</ЦенаЗаЕдиницу><Валюта>USD</Валюта><Единица>уп</Единица>
<Коэффициент>12</Коэффициент><МинКоличество>100</МинКоличество></Цена></Цены>
<Количество>5</Количество><Склад ИдСклада="w1" КоличествоНаСкладе="6"/><Склад ИдСклада="w2" КоличествоНаСкладе="-1.00"/>
</Предложение>"""


def test_offer_of_2x_with_prices_and_stock(tmp_path: Path) -> None:
    records = read_all(tmp_path, offers(OFFER))
    (offer,) = of_kind(records, Offer)
    assert (offer.external_id, offer.goods_id, offer.characteristic_id) == ("g#c", "g", "c")
    assert (offer.name, offer.sku, offer.barcodes, offer.unit) == ("Ключ (синий)", "A 1", ["460"], PIECE)
    assert (offer.characteristics, offer.quantity, offer.is_deleted) == ({"Цвет": "синий"}, Decimal(5), False)
    first, second = of_kind(records, Price)
    assert (first.offer_id, first.goods_id, first.price_type_id) == ("g#c", "g", "p1")
    assert (first.amount, first.currency, first.unit, first.coefficient) == (Decimal("1234.50"), "RUB", "шт", 1)
    assert first.raw == {"amount": "1\u00a0234,50", "currency": "руб"}
    assert (second.amount, second.currency, second.unit, second.coefficient, second.min_quantity) == (
        Decimal("10.00"), "USD", "уп", 12, 100,
    )  # fmt: skip
    assert second.raw == {}
    # the total stands beside the warehouses: it is no stock of its own
    assert [(one.warehouse_id, one.quantity) for one in of_kind(records, Stock)] == [("w1", 6), ("w2", Decimal(-1))]
    assert [one.line for one in of_kind(records, Price)] == [6, 8]
    assert rejects(records) == []


@pytest.mark.parametrize(
    ("stock", "expected"),
    [
        ("<Количество>377</Количество>", [(None, 377)]),
        ("<Количество>-1.00</Количество>", [(None, -1)]),
        ("<Количество/>", []),
        ("<Остатки><Остаток><Склад><Ид>w</Ид><Количество>3</Количество></Склад></Остаток></Остатки>", [("w", 3)]),
        ("<Остатки><Остаток><Количество>3</Количество></Остаток></Остатки>", [(None, 3)]),
        (
            "<Остатки><Остаток><Склад><Ид>w</Ид><Количество>3</Количество></Склад><Склад><Ид>v</Ид><Количество>4"
            "</Количество></Склад></Остаток></Остатки>",
            [("w", 3), ("v", 4)],
        ),
        ("<Склад><Ид>w</Ид><Количество>2,5</Количество></Склад>", [("w", Decimal("2.5"))]),
        ('<Склады><Склад ИдСклада="w" КоличествоНаСкладе="1"/></Склады>', [("w", 1)]),
        (
            "<КоличествоНаСкладах><КоличествоНаСкладе><ИдСклада>w</ИдСклада><Количество>7</Количество>"
            "</КоличествоНаСкладе></КоличествоНаСкладах>",
            [("w", 7)],
        ),
    ],
)
def test_stock_in_every_form(tmp_path: Path, stock: str, expected: list[tuple[str | None, int]]) -> None:
    records = read_all(tmp_path, offers(f"<Предложение><Ид>1</Ид>{stock}</Предложение>"))
    assert [(one.warehouse_id, one.quantity) for one in of_kind(records, Stock)] == expected
    assert of_kind(records, Offer) == []  # nothing is said of the offer itself
    assert rejects(records) == []


def test_file_of_prices_alone_gives_no_offers(tmp_path: Path) -> None:
    price = (
        "<Цены><Цена><ИдТипаЦены>p</ИдТипаЦены><ЦенаЗаЕдиницу>6990</ЦенаЗаЕдиницу><Валюта>руб</Валюта></Цена></Цены>"
    )
    records = read_all(tmp_path, offers(f"<Предложение><Ид>1</Ид>{price}</Предложение>"))
    assert [type(one) for one in records] == [Price]


def test_changes_of_a_package_are_offers_too(tmp_path: Path) -> None:
    body = whole(f"<ИзмененияПакетаПредложений><Предложения>{OFFER}</Предложения></ИзмененияПакетаПредложений>")
    assert len(of_kind(read_all(tmp_path, body), Price)) == 2


def test_a_bad_price_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    price = "<Цена><ИдТипаЦены>{}</ИдТипаЦены><ЦенаЗаЕдиницу>{}</ЦенаЗаЕдиницу></Цена>"
    prices = "\n".join(
        price.format(*one) for one in (("p1", "дорого"), ("p2", "5"), ("", "6"), ("p3", ""), ("p4", "-1"))
    )
    records = read_all(
        tmp_path,
        offers(
            f"<Предложение><Ид>1</Ид><Цены>{prices}</Цены>"
            '<Склад ИдСклада="w" КоличествоНаСкладе="много"/><Склад ИдСклада="v" КоличествоНаСкладе="1"/></Предложение>'
        ),
    )
    assert [(one.price_type_id, one.amount) for one in of_kind(records, Price)] == [("p2", 5), ("p4", -1)]
    assert rejects(records) == [
        ("Цена", "число не понято: «дорого»"),
        ("Цена", "у цены нет Ид типа цены"),
        ("Остаток", "число не понято: «много»"),
    ]
    assert {one.external_id for one in of_kind(records, Reject)} == {"1"}
    assert [one.line for one in of_kind(records, Reject)] == [2, 4, 6]
    assert remarks(records) == ["цена пустая: пропущена", "цена меньше нуля"]
    assert [one.warehouse_id for one in of_kind(records, Stock)] == ["v"]


@pytest.mark.parametrize(
    ("attributes", "inner"),
    [
        (' Статус="Удален"', ""),
        ("", "<Статус>Удалён</Статус>"),
        ("", "<ПометкаУдаления>true</ПометкаУдаления>"),
        (
            "",
            "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>ПометкаУдаления</Наименование><Значение>Истина"
            "</Значение></ЗначениеРеквизита></ЗначенияРеквизитов>",
        ),
    ],
)
def test_deleted_offer_is_said_even_without_a_name(tmp_path: Path, attributes: str, inner: str) -> None:
    records = read_all(tmp_path, offers(f"<Предложение{attributes}><Ид>1</Ид>{inner}</Предложение>"))
    assert [(one.external_id, one.is_deleted) for one in of_kind(records, Offer)] == [("1", True)]


def test_offer_without_an_id_is_refused(tmp_path: Path) -> None:
    records = read_all(tmp_path, offers("<Предложение><Наименование>Ключ</Наименование></Предложение>"))
    assert rejects(records) == [("Предложение", "нет Ид")]


_READ = """
import sys
from pathlib import Path
from include.exchange_1c.reader import CommerceFile
number = sum(1 for _ in CommerceFile(Path(sys.argv[1]), everything=True).records())
# not ru_maxrss: it begins with the peak of the parent
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(number, peak.split()[1])
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for times in (100, 10_000):  # the bigger one would take 100 MB as a tree
        path = tmp_path / f"{times}.xml"
        path.write_text(offers(OFFER * times), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True, cwd=ROOT
        )
        number, peak = done.stdout.split()
        assert int(number) == times * 5
        peaks.append(int(peak) / 1024)
    assert peaks[1] - peaks[0] < 20
