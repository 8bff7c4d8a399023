"""The reader on files of our own making, on hostile ones, and on every sample of a real 1C that is at hand."""

from __future__ import annotations

import os
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from include.demo.exchange import write_demo_exchange
from include.exchange_1c.reader import CommerceFile
from include.exchange_1c.reader_parts import Parts
from include.exchange_1c.records import (
    Counterparty,
    Document,
    ExchangeFileDamaged,
    ExchangeFileRefused,
    Goods,
    Group,
    Limits,
    Offer,
    Price,
    Property,
    Record,
    Reject,
    Remark,
    Stock,
)
from include.exchange_1c.rules import CompanyKind, DocumentKind, Vat
from tests.unit.exchange_1c.files import NO_SAMPLES, SAMPLES, offers, whole
from tests.unit.exchange_1c.test_reader_documents import ORDER
from tests.unit.exchange_1c.test_reader_goods import OFFER

SAMPLE_NAMES = sorted(path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*.xml"))

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(body: str | bytes, encoding: str = "utf-8") -> Path:
        path = tmp_path / "file.xml"
        path.write_bytes(body if isinstance(body, bytes) else body.encode(encoding))
        return path

    return _write


def catalogue(inner: str, *, declared: str = "UTF-8", root: str = 'ВерсияСхемы="2.10"') -> str:
    return (
        f'<?xml version="1.0" encoding="{declared}"?>\n<КоммерческаяИнформация {root}>'
        f"<Каталог><Товары>{inner}</Товары></Каталог></КоммерческаяИнформация>"
    )


def counterparties(inner: str) -> str:
    return (
        (
            '<?xml version="1.0"?><x:КоммерческаяИнформация xmlns:x="urn:1C.ru:commerceml_3" ВерсияСхемы="3.1">'
            f"<x:Контрагенты>{inner}</x:Контрагенты></x:КоммерческаяИнформация>"
        )
        .replace("<Контрагент>", "<x:Контрагент>")
        .replace("</Контрагент>", "</x:Контрагент>")
    )


def read(path: Path, limits: Limits | None = None) -> list[Record]:
    return list(CommerceFile(path, limits).records())


def only_goods(records: list[Record]) -> list[Goods]:
    return [record for record in records if isinstance(record, Goods)]


ITEM = "<Товар><Ид>1</Ид><Наименование>Ключ</Наименование></Товар>"


def test_goods_with_everything(write: Write) -> None:
    records = read(
        write(
            catalogue(
                """
<Товар>
  <Ид>uuid#uuid</Ид><Штрихкод>460</Штрихкод><Артикул> A-1 </Артикул><Наименование> Ключ&#160;12 </Наименование>
  <БазоваяЕдиница Код="796 " НаименованиеПолное="Штука"><Пересчет><Единица>796</Единица></Пересчет>шт</БазоваяЕдиница>
  <Группы><Ид>g1</Ид><Ид>g2</Ид></Группы><Описание>Текст</Описание><Картинка>a.jpg</Картинка><Картинка>b.jpg</Картинка>
  <СтавкиНалогов><СтавкаНалога><Наименование>НДС</Наименование><Ставка>18%</Ставка></СтавкаНалога></СтавкиНалогов>
  <ЗначенияСвойств><ЗначенияСвойства><Ид>p1</Ид><Значение>v1</Значение></ЗначенияСвойства>
    <ЗначенияСвойства><Ид>p2</Ид><Значение/></ЗначенияСвойства>
    <ЗначенияСвойства><Ид>p3</Ид><Значение>a</Значение><Значение>b</Значение></ЗначенияСвойства></ЗначенияСвойств>
  <ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Полное наименование</Наименование>
  <Значение>Ключ гаечный</Значение></ЗначениеРеквизита></ЗначенияРеквизитов>
  <Изготовитель><Ид>i</Ид><Наименование>Завод</Наименование></Изготовитель><Ширина>5</Ширина>
</Товар>"""
            )
        )
    )
    (goods,) = only_goods(records)
    assert (goods.external_id, goods.name, goods.full_name, goods.sku) == (
        "uuid#uuid",
        "Ключ 12",
        "Ключ гаечный",
        "A-1",
    )
    assert (goods.unit.code, goods.unit.name, goods.vat, goods.groups) == ("796", "шт", Vat.RATE_18, ["g1", "g2"])
    assert goods.line == 3
    assert goods.raw == {"name": " Ключ\u00a012 ", "sku": " A-1 ", "unit": "796 ", "vat": "18%"}
    assert goods.details["properties"] == {"p1": "v1", "p3": ["a", "b"]}
    assert goods.details["pictures"] == ["a.jpg", "b.jpg"]
    assert goods.details["other"] == {"Изготовитель": {"Ид": "i", "Наименование": "Завод"}, "Ширина": "5"}
    assert any(isinstance(record, Remark) and "наименование" in record.text for record in records)


@pytest.mark.parametrize(
    "body",
    [
        '<Товар Статус="Удален"><Ид>1</Ид><Наименование>Ключ</Наименование></Товар>',
        "<Товар><Ид>1</Ид><Наименование>Ключ</Наименование><Статус>Удален</Статус></Товар>",
        "<Товар><Ид>1</Ид><Наименование>Ключ</Наименование><ПометкаУдаления>true</ПометкаУдаления></Товар>",
        "<Товар><Ид>1</Ид><Наименование>Ключ</Наименование><ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Пометка"
        " Удаления</Наименование><Значение>true</Значение></ЗначениеРеквизита></ЗначенияРеквизитов></Товар>",
    ],
)
def test_each_mark_of_deletion(write: Write, body: str) -> None:
    assert only_goods(read(write(catalogue(body))))[0].is_deleted


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<Товар><Наименование>Ключ</Наименование></Товар>", "нет Ид"),
        ("<Товар><Ид> </Ид><Наименование>Ключ</Наименование></Товар>", "нет Ид"),
        (f"<Товар><Ид>{'1' * 300}</Ид><Наименование>Ключ</Наименование></Товар>", "Ид длиннее"),
        ("<Товар><Ид>1</Ид></Товар>", "нет наименования"),
        (f"<Товар><Ид>1</Ид><Наименование>{'я' * 3000}</Наименование></Товар>", "наименование длиннее"),
        (f"<Товар><Ид>1</Ид><Наименование>К</Наименование><Артикул>{'я' * 300}</Артикул></Товар>", "артикул длиннее"),
        (
            "<Товар><Ид>1</Ид><Наименование>К</Наименование><СтавкиНалогов><СтавкаНалога><Наименование>НДС</Наименование>"
            "<Ставка>33</Ставка></СтавкаНалога></СтавкиНалогов></Товар>",
            "ставка НДС",
        ),
    ],
)
def test_a_bad_record_goes_to_quarantine_and_the_rest_is_read(write: Write, body: str, reason: str) -> None:
    records = read(write(catalogue(f"\n{body}{ITEM}")))
    rejects = [record for record in records if isinstance(record, Reject)]
    assert len(rejects) == 1
    assert reason in rejects[0].reason
    assert rejects[0].line == 3
    assert 0 < len(rejects[0].snippet) <= 300
    assert len(only_goods(records)) == 1


def test_doubled_ids_are_both_yielded_in_order(write: Write) -> None:
    twice = read(write(catalogue(ITEM + ITEM.replace("Ключ", "Другой"))))
    assert [goods.name for goods in only_goods(twice)] == ["Ключ", "Другой"]


def test_counterparty_of_each_kind(write: Write) -> None:
    records = read(
        write(
            counterparties(
                """<Контрагент><Ид>1</Ид><Наименование>Ромашка ООО</Наименование>
  <ОфициальноеНаименование>ООО "Ромашка"</ОфициальноеНаименование><ИНН>7707083893</ИНН><КПП>773601001</КПП>
  <РасчетныеСчета><РасчетныйСчет><НомерСчета>40702810100000000001</НомерСчета><Банк><БИК>044525225</БИК>
  <Наименование>Банк</Наименование></Банк></РасчетныйСчет></РасчетныеСчета>
  <Адрес><Представление>Пермь</Представление><АдресноеПоле><Тип>Город</Тип><Значение>Пермь</Значение></АдресноеПоле></Адрес>
  <Контакты><Контакт><Тип>Электронная почта</Тип><Значение>a@b.ru</Значение></Контакт>
  <Контакт><Тип>Телефон рабочий</Тип><Значение>+7 342 1</Значение></Контакт></Контакты></Контрагент>
<Контрагент><Ид>2</Ид><Наименование>Иванов</Наименование><ПолноеНаименование>ИП Иванов</ПолноеНаименование>
  <ИНН>500100732259</ИНН><КПП/></Контрагент>
<Контрагент><Ид>3</Ид><Наименование>Петров</Наименование><ИНН/><ПометкаУдаления>true</ПометкаУдаления></Контрагент>
<Контрагент><Ид>4</Ид><Наименование>Завод</Наименование><ЮрЛицо>
  <ОфициальноеНаименование>АО Завод</ОфициальноеНаименование>
  <ИНН>7707083894</ИНН><КПП>000000000</КПП></ЮрЛицо></Контрагент>
<Контрагент><Наименование>Сидоров Пётр</Наименование><ИНН>500100732259</ИНН></Контрагент>"""
            )
        )
    )
    found = {record.external_id: record for record in records if isinstance(record, Counterparty)}
    assert [found[key].kind for key in "1234"] == [
        CompanyKind.LEGAL, CompanyKind.SOLE, CompanyKind.PERSON, CompanyKind.LEGAL,
    ]  # fmt: skip
    first = found["1"]
    assert (first.email, first.phone, first.accounts[0]["bik"]) == ("a@b.ru", "+7 342 1", "044525225")
    assert first.addresses == [{"kind": "Адрес", "text": "Пермь", "fields": {"Город": "Пермь"}}]
    assert found["3"].is_deleted
    assert (found["4"].inn, found["4"].kpp, found["4"].raw["inn"]) == (None, None, "7707083894")
    assert sum(isinstance(record, Remark) and record.external_id == "4" for record in records) == 2
    (reject,) = (record for record in records if isinstance(record, Reject))
    assert "Сидоров" not in reject.snippet
    assert "500100732259" not in reject.snippet


@pytest.mark.parametrize(
    ("encoding", "declared", "found"),
    [
        ("utf-8", "UTF-8", "utf-8"),
        ("utf-8-sig", "UTF-8", "utf-8"),
        ("utf-8", "windows-1251", "utf-8"),  # a lying declaration
        ("utf-8-sig", "windows-1251", "utf-8"),
        ("cp1251", "windows-1251", "cp1251"),
        ("koi8-r", "KOI8-R", "koi8-r"),
        ("cp866", "cp866", "cp866"),
        ("utf-16", "UTF-16", "utf-16"),
        ("utf-16-le", "UTF-16", "utf-16-le"),
    ],
)
def test_bytes_decide_the_encoding(write: Write, encoding: str, declared: str, found: str) -> None:
    file = CommerceFile(write(catalogue(ITEM * 3000, declared=declared), encoding))
    assert file.inspect().encoding == found
    assert [goods.name for goods in only_goods(list(file.records()))] == ["Ключ"] * 3000


@pytest.mark.parametrize("declared", ["UTF-8", "latin-1", "windows-1252", "no-such"])
def test_unknown_encoding_is_refused(write: Write, declared: str) -> None:
    with pytest.raises(ExchangeFileRefused, match="Кодировка"):
        read(write(catalogue(ITEM, declared=declared), "cp1251"))


BOMB = '<!DOCTYPE x [<!ENTITY a "ха"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (catalogue("<Товар><Ид>&b;</Ид></Товар>").replace("\n", f"\n<!-- > -->{BOMB}", 1), "DTD"),
        (catalogue(ITEM).replace("\n", '<!DOCTYPE x SYSTEM "file:///etc/passwd">', 1), "DTD"),
        ("<?xml version='1.0'?><html/>", "не файл обмена"),
        ("просто текст", "не XML"),
        ("<!-- " + "x" * 100_000, "не XML"),
        ("", "пуст"),
        ("PK\x03\x04", "не XML"),
        (catalogue(ITEM, root='ВерсияСхемы="1.05"'), "CommerceML 1.x"),
        ('<КоммерческаяИнформация><Каталог Идентификатор="1"><Товар/></Каталог></КоммерческаяИнформация>', "1.x"),
    ],
)
def test_what_is_no_exchange_file_is_refused_at_the_door(write: Write, body: str, words: str) -> None:
    with pytest.raises(ExchangeFileRefused, match=words):
        CommerceFile(write(body)).inspect()


def test_doctype_inside_a_text_is_only_text(write: Write) -> None:
    body = catalogue(ITEM.replace("</Товар>", "<Описание><![CDATA[<!DOCTYPE html><p>Ключ</p>]]></Описание></Товар>"))
    assert only_goods(read(write(body)))[0].details["description"].startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("cut", [40, 200, 5_000, 12_345, 20_001])
def test_cut_file_is_damaged_and_says_so(write: Write, cut: int) -> None:
    body = catalogue(ITEM * 500).encode()
    with pytest.raises(ExchangeFileDamaged, match=r"обрывается|корнев") as caught:
        read(write(body[: len(body) - cut]))
    assert "строке" in str(caught.value)


@pytest.mark.parametrize("inner", ["<Товар>\x01</Товар>", "<Товар>&foo;</Товар>", "<Товар></Товара>", "<Товар a=1/>"])
def test_broken_inside_is_damaged(write: Write, inner: str) -> None:
    with pytest.raises(ExchangeFileDamaged, match="повреждён"):
        read(write(catalogue(inner)))


def test_ten_megabyte_field_becomes_a_reject(write: Write) -> None:
    huge = ITEM.replace("</Товар>", f"<Описание>{'x' * 10_000_000}</Описание></Товар>")
    records = read(write(catalogue(huge + ITEM)))
    (reject,) = (record for record in records if isinstance(record, Reject))
    assert "«Описание» длиннее" in reject.reason
    assert len(only_goods(records)) == 1


def test_endless_record_is_stopped_without_filling_memory(write: Write) -> None:
    path = write(catalogue("<Товар>" + "<![CDATA[" + "x" * 30_000_000 + "]]></Товар>"))
    tracemalloc.start()
    with pytest.raises(ExchangeFileDamaged, match="запись длиннее"):
        read(path, Limits(record_bytes=2_000_000))
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_file_over_the_cap_is_refused(write: Write) -> None:
    with pytest.raises(ExchangeFileRefused, match="больше"):
        CommerceFile(write(catalogue(ITEM)), Limits(file_bytes=10)).inspect()


def test_deep_nesting_is_an_error_not_a_crash(write: Write) -> None:
    with pytest.raises(ExchangeFileRefused):
        read(write(catalogue("<a>" * 100_000)))


@pytest.mark.parametrize(
    "body",
    [
        "<Классификатор><Группы>{0}</Группы></Классификатор>|<Группа><Ид>1</Ид><Наименование>Г</Наименование><Группы>",
        "<Контрагенты><Контрагент><Ид>1</Ид><Наименование>К</Наименование>{0}</Контрагент></Контрагенты>|<ЮрЛицо>",
        "<Документ><Номер>1</Номер>{0}</Документ>|<ПодчиненныеДокументы><Документ><Номер>1</Номер>",
        "<ПакетПредложений><Предложения><Предложение><Ид>1</Ид>{0}</Предложение></Предложения></ПакетПредложений>|<Склад>",
        "<ПакетПредложений><Предложения><Предложение><Ид>1</Ид>{0}</Предложение></Предложения></ПакетПредложений>|<Единица>",
        "<ПакетПредложений><Предложения><Предложение><Ид>1</Ид>{0}</Предложение></Предложения></ПакетПредложений>|<Новое>",
        "<Каталог><Товары>{0}</Товары></Каталог>|<Товар><Ид>1</Ид><Наименование>Т</Наименование><Товары>",
    ],
)
@pytest.mark.parametrize("depth", [30, 500, 5000])
def test_nesting_without_end_is_no_crash(write: Write, body: str, depth: int) -> None:
    around, _, opening = body.partition("|")
    closing = "".join(f"</{name}>" for name in reversed(re.findall(r"<([А-Яа-яЁё]+)>(?!1|Г|Т)", opening)))
    survives(write(whole(around.format(opening * depth + closing * depth))))


def test_what_is_not_loaded_yet_is_counted(write: Write) -> None:
    body = """<?xml version="1.0"?><КоммерческаяИнформация ВерсияСхемы="2.08">
<Классификатор><Владелец><Ид>1</Ид></Владелец><Группы><Группа><Ид>1</Ид><Группы><Группа><Ид>2</Ид></Группа></Группы></Группа>
</Группы><Свойства><Свойство/></Свойства><Новинка/></Классификатор><НовыйРаздел><Ид/></НовыйРаздел>
<ПакетПредложений><ТипыЦен><ТипЦены/></ТипыЦен><Предложения><Предложение><Цены><Цена/><Цена/></Цены></Предложение>
</Предложения></ПакетПредложений><Контейнер><Документ><Контрагенты><Контрагент><Ид>1</Ид></Контрагент></Контрагенты>
<Товары><Товар><Ид>1</Ид></Товар></Товары></Документ></Контейнер></КоммерческаяИнформация>"""
    file = CommerceFile(write(body))
    assert list(file.records()) == []
    assert file.counts == {
        "Группа": 2, "Свойство": 1, "ТипЦены": 1, "Предложение": 1, "Цена": 2, "Документ": 1, "Владелец": 1,
        "Контрагент в «Документ»": 1, "Товар в «Документ»": 1,
    }  # fmt: skip
    assert file.unknown == {"НовыйРаздел": 1, "Классификатор/Новинка": 1}


def test_lines_beyond_65535_are_told(write: Write) -> None:
    records = read(write(catalogue("\n" * 70_000 + ITEM)))
    assert only_goods(records)[0].line == 70_002


# samples of a real 1C --------------------------------------------------------------------------------------------


def independent(path: Path) -> tuple[Counter[str], Any]:
    """Count by XPath over the whole tree, decoding the file in another way than the reader does."""
    data = path.read_bytes()
    for encoding in ("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig", "cp1251"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    tree = etree.fromstring(re.sub(r"^<\?xml[^>]*\?>", "", text).encode(), etree.XMLParser(huge_tree=True))

    def count(expression: str) -> int:
        return int(tree.xpath(f"count({expression})"))

    def local(*names: str) -> str:
        return "//" + "/".join(f"*[local-name()='{name}']" for name in names)

    counts = Counter(
        {
            "Товар": count(local("Каталог", "Товары", "Товар")),
            "Контрагент": count("/*/*[local-name()='Контрагенты']/*[local-name()='Контрагент']"),
            "Группа": count(local("Группы", "Группа")),
            "Категория": count(local("Категории", "Категория")),
            "Свойство": count(local("Свойства", "Свойство")),
            "Предложение": count(local("Предложения", "Предложение")),
            "Цена": count(local("Цены", "Цена")),
            "Остаток": count(local("Остатки", "Остаток")),
            "ТипЦены": count(local("ТипыЦен", "ТипЦены")),
            "Склад": count(local("Склады", "Склад") + "[not(ancestor::*[local-name()='Документ'])]"),
            "ЕдиницаИзмерения": count(local("ЕдиницыИзмерения", "ЕдиницаИзмерения")),
            "Документ": count(local("Документ")),
            "Товар в «Документ»": count(local("Документ", "Товары", "Товар")),
            "Контрагент в «Документ»": count(local("Документ", "Контрагенты", "Контрагент")),
            "Владелец": count("/*/*/*[local-name()='Владелец']"),
        }
    )
    return +counts, tree


@pytest.mark.skipif(not SAMPLE_NAMES, reason=NO_SAMPLES)
@pytest.mark.parametrize("name", SAMPLE_NAMES)
def test_sample(name: str) -> None:
    file = CommerceFile(SAMPLES / name)
    if name.startswith("cml1_"):
        with pytest.raises(ExchangeFileRefused, match=r"CommerceML 1\.x"):
            file.inspect()
        return
    if "truncated" in name:
        with pytest.raises(ExchangeFileDamaged, match="обрывается"):
            list(file.records())
        return
    records = list(file.records())
    counts, tree = independent(SAMPLES / name)
    assert +file.counts == counts
    assert not file.unknown
    loaded = Counter(type(record).__name__ for record in records)
    assert loaded["Goods"] + loaded["Reject"] == counts["Товар"]
    assert loaded["Counterparty"] == counts["Контрагент"]
    assert loaded["Reject"] == 0
    marked = int(
        tree.xpath(
            "count(/*/*[local-name()='Каталог']/*/*[local-name()='Товар'][@Статус='Удален' or "
            "*[local-name()='Статус']='Удален' or *[local-name()='ПометкаУдаления']='true'])"
        )
    )
    assert sum(goods.is_deleted for goods in only_goods(records)) == marked
    rates = Counter(
        str(one.text).strip("%")
        for one in tree.xpath("//*[local-name()='Ставка'][ancestor::*[local-name()='Каталог']]")
    )
    assert Counter(goods.vat.value[3:] for goods in only_goods(records) if goods.vat) == rates
    assert all(goods.unit.name for goods in only_goods(records))


@pytest.mark.skipif(not SAMPLE_NAMES, reason=NO_SAMPLES)
@pytest.mark.parametrize("name", [name for name in SAMPLE_NAMES if not name.startswith("cml1_")])
def test_everything_in_a_sample(name: str) -> None:
    if "truncated" in name:
        with pytest.raises(ExchangeFileDamaged, match="обрывается"):
            list(CommerceFile(SAMPLES / name, everything=True).records())
        return
    file = CommerceFile(SAMPLES / name, everything=True)
    records = list(file.records())
    counts, tree = independent(SAMPLES / name)
    assert +file.counts == counts
    assert not file.unknown
    found = Counter(type(record).__name__ for record in records)
    assert found["Reject"] == 0
    assert (found["Group"], found["Property"]) == (counts["Группа"] + counts["Категория"], counts["Свойство"])
    assert (found["PriceType"], found["Warehouse"]) == (counts["ТипЦены"], counts["Склад"])
    assert (found["MeasureUnit"], found["Document"]) == (counts["ЕдиницаИзмерения"], counts["Документ"])
    assert (found["Goods"], found["Counterparty"]) == (counts["Товар"], counts["Контрагент"])
    assert found["Price"] == counts["Цена"]
    agree_on_offers(records, tree)
    agree_on_classifier(records, tree)
    agree_on_documents(records, tree)


def numbers_of(tree: Any, expression: str) -> Decimal:
    """Add up the numbers at these places, of which the samples have none with spaces or a comma."""
    return sum((Decimal(str(text).strip()) for text in tree.xpath(expression) if str(text).strip()), Decimal(0))


def agree_on_offers(records: list[Record], tree: Any) -> None:
    found = [record for record in records if isinstance(record, Offer)]
    place = "//*[local-name()='Предложения']/*[local-name()='Предложение']"
    assert len(found) == int(tree.xpath(f"count({place}[*[local-name()='Наименование']])"))
    prices = [record for record in records if isinstance(record, Price)]
    assert sum(one.amount for one in prices) == numbers_of(tree, f"{place}//*[local-name()='ЦенаЗаЕдиницу']/text()")
    stated = {str(text).strip() for text in tree.xpath(f"{place}//*[local-name()='ИдТипаЦены']/text()")}
    assert {one.price_type_id for one in prices} == stated
    stock = [record for record in records if isinstance(record, Stock)]
    by_warehouse = [one for one in stock if one.warehouse_id]
    attributes = f"{place}/*[local-name()='Склад']/@КоличествоНаСкладе"
    elements = f"{place}//*[local-name()='Остаток']//*[local-name()='Количество']/text()"
    assert sum(one.quantity for one in by_warehouse) == numbers_of(tree, attributes) + numbers_of(tree, elements)
    assert len(by_warehouse) == len(tree.xpath(attributes)) + len(tree.xpath(elements))
    alone = f"{place}[not(*[local-name()='Склад'])]/*[local-name()='Количество']/text()"
    assert sum(one.quantity for one in stock if not one.warehouse_id) == numbers_of(tree, alone)
    assert all(one.goods_id and "#" not in one.goods_id for one in (*prices, *stock))


def agree_on_classifier(records: list[Record], tree: Any) -> None:
    groups = [record for record in records if isinstance(record, Group) and record.kind == "group"]
    inner = "//*[local-name()='Группа']/*[local-name()='Группы']/*[local-name()='Группа']"
    parents = Counter(str(text).strip() for text in tree.xpath(f"{inner}/../../*[local-name()='Ид']/text()"))
    assert set(parents) == {one.parent_id for one in groups if one.parent_id}
    assert sum(one.parent_id is not None for one in groups) == int(tree.xpath(f"count({inner})"))
    properties = [record for record in records if isinstance(record, Property)]
    values = "//*[local-name()='ВариантыЗначений']/*[*[local-name()='ИдЗначения']/text()]"
    assert sum(len(one.values) for one in properties) == int(tree.xpath(f"count({values})"))
    deleted = "count(//*[local-name()='{}']/*[local-name()='{}'][*[local-name()='ПометкаУдаления']='true'])"
    assert sum(one.is_deleted for one in properties) == int(tree.xpath(deleted.format("Свойства", "Свойство")))
    assert sum(one.is_deleted for one in groups) == int(tree.xpath(deleted.format("Группы", "Группа")))


def agree_on_documents(records: list[Record], tree: Any) -> None:
    documents = [record for record in records if isinstance(record, Document)]
    place = "//*[local-name()='Документ']"

    def said(name: str, value: str) -> int:
        pair = f"*[local-name()='Наименование']='{name}' and *[local-name()='Значение']='{value}'"
        where = f"{place}/*[local-name()='ЗначенияРеквизитов']/*[{pair}]"
        return int(tree.xpath(f"count({where})"))

    total = sum(one.amount for one in documents if one.amount is not None)
    assert total == numbers_of(tree, f"{place}/*[local-name()='Сумма']/text()")
    lines = [line for one in documents for line in one.lines]
    of_lines = f"{place}/*[local-name()='Товары']/*[local-name()='Товар']"
    assert len(lines) == int(tree.xpath(f"count({of_lines})"))
    assert sum(line.amount for line in lines if line.amount is not None) == numbers_of(
        tree, f"{of_lines}/*[local-name()='Сумма']/text()"
    )
    assert sum(len(one.counterparties) for one in documents) == int(
        tree.xpath(f"count({place}/*[local-name()='Контрагенты']/*[local-name()='Контрагент'])")
    )
    assert all(one.at is not None and one.number and one.kind is DocumentKind.ORDER for one in documents)
    assert all(one.number == one.number.strip() for one in documents)
    assert sum(one.is_posted is True for one in documents) == said("Проведен", "true")
    assert sum(one.is_cancelled is True for one in documents) == said("Отменен", "true")
    assert sum(one.is_deleted for one in documents) == said("ПометкаУдаления", "true")
    said_at = "*[*[local-name()='Наименование']='Дата {} по 1С']/*[local-name()='Значение']/text()"
    dates = f"{place}/*[local-name()='ЗначенияРеквизитов']/{said_at}"
    paid = [text for text in tree.xpath(dates.format("оплаты")) if str(text).strip(" TТ")]
    shipped = [text for text in tree.xpath(dates.format("отгрузки")) if str(text).strip(" TТ")]
    assert sum(one.paid_at is not None for one in documents) == len(paid)
    assert sum(one.shipped_at is not None for one in documents) == len(shipped)


@pytest.mark.skipif(not SAMPLE_NAMES, reason=NO_SAMPLES)
def test_sample_of_counterparties() -> None:
    records = [
        record for record in read(SAMPLES / "cml31_contragents_37_full.anon.xml") if isinstance(record, Counterparty)
    ]
    assert Counter(record.kind.value for record in records) == {"legal": 18, "sole": 14, "person": 5}
    assert sum(record.inn is not None for record in records) == 31
    assert sum(record.kind is CompanyKind.LEGAL and record.kpp is None for record in records) == 3
    assert sum(record.is_deleted for record in records) == 1
    assert max(len(record.accounts) for record in records) == 4
    assert sum(record.email is not None for record in records) > 0


def test_demo_exchange(tmp_path: Path) -> None:
    files = write_demo_exchange(tmp_path)
    records = [record for path in files for record in read(path)]
    kinds = Counter(type(record).__name__ for record in records)
    assert 180 <= kinds["Goods"] <= 220
    assert 30 <= kinds["Counterparty"] <= 36
    assert kinds["Reject"] == 3
    assert kinds["Remark"] >= 4
    assert sum(isinstance(record, Counterparty) and record.inn is not None for record in records) == 25


# fuzz --------------------------------------------------------------------------------------------------------------

WHOLE = catalogue(
    '<Товар Статус="Новый"><Ид>1</Ид><Наименование>Ключ &amp; Ко</Наименование>'
    '<БазоваяЕдиница Код="796">шт</БазоваяЕдиница>'
    "<СтавкиНалогов><СтавкаНалога><Наименование>НДС</Наименование><Ставка>22</Ставка></СтавкаНалога></СтавкиНалогов>"
    "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Вес</Наименование><Значение>1</Значение></ЗначениеРеквизита>"
    "</ЗначенияРеквизитов></Товар>"
).replace(
    "</КоммерческаяИнформация>",
    "<Контрагенты><Контрагент><Ид>1</Ид><Наименование>Ромашка</Наименование><ИНН>7707083893</ИНН><РасчетныеСчета>"
    "<РасчетныйСчет><НомерСчета>1</НомерСчета><Банк><БИК>2</БИК></Банк></РасчетныйСчет></РасчетныеСчета><Контакты><Контакт>"
    "<Тип>Телефон</Тип><Значение>1</Значение></Контакт></Контакты></Контрагент></Контрагенты></КоммерческаяИнформация>",
)
WHOLE = WHOLE.replace(
    "<Контрагенты>",
    "<Классификатор><Ид>k</Ид><Группы><Группа><Ид>1</Ид><Наименование>Г</Наименование><Группы><Группа><Ид>11</Ид>"
    "<Наименование>Г</Наименование></Группа></Группы></Группа></Группы><Свойства><Свойство><Ид>1</Ид><Наименование>С"
    "</Наименование><ВариантыЗначений><Справочник><ИдЗначения>1</ИдЗначения><Значение>2</Значение></Справочник>"
    "</ВариантыЗначений></Свойство></Свойства><ТипыЦен><ТипЦены><Ид>1</Ид><Наименование>Т</Наименование><Налог>"
    "<УчтеноВСумме>true</УчтеноВСумме></Налог></ТипЦены></ТипыЦен><Склады><Склад><Ид>1</Ид><Наименование>С"
    "</Наименование></Склад></Склады><ЕдиницыИзмерения><ЕдиницаИзмерения><Ид>796</Ид></ЕдиницаИзмерения>"
    f"</ЕдиницыИзмерения></Классификатор><ПакетПредложений><Предложения>{OFFER}</Предложения></ПакетПредложений>"
    f"<Контейнер>{ORDER}</Контейнер><Контрагенты>",
    1,
)
QUICK = settings(
    max_examples=int(os.environ.get("FUZZ") or 120),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NAMES = st.sampled_from(sorted(set(re.findall(r"</?([А-Яа-яЁё]+)", WHOLE))))
TREES = st.recursive(
    st.builds(
        lambda name, text: f"<{name}>{text}</{name}>",
        NAMES,
        st.text(st.characters(categories=["L", "Nd", "Zs"]), max_size=8),
    ),
    lambda inner: st.builds(
        lambda name, items: f"<{name}>{''.join(items)}</{name}>", NAMES, st.lists(inner, max_size=4)
    ),
    max_leaves=25,
)


def survives(path: Path) -> None:
    for everything in (False, True):
        file = CommerceFile(path, Limits(record_bytes=100_000, field_chars=1_000), everything=everything)
        try:
            for record in file.records():
                assert record.line >= 0
                if isinstance(record, Document):
                    assert record.date is None or record.date.year >= 1899
                    assert record.counterparty is None or record.counterparties
        except ExchangeFileRefused as refusal:
            assert str(refusal)


@QUICK
@given(st.binary(max_size=300))
def test_random_bytes_never_crash(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "random.xml"
    path.write_bytes(data)
    survives(path)
    path.write_bytes('<КоммерческаяИнформация ВерсияСхемы="3.1">'.encode() + data)
    survives(path)


@QUICK
@given(
    st.lists(
        st.tuples(st.integers(0, len(WHOLE.encode())), st.integers(0, 40), st.binary(max_size=12)),
        min_size=1,
        max_size=4,
    )
)
def test_mutated_file_never_crashes(tmp_path: Path, changes: list[tuple[int, int, bytes]]) -> None:
    data = WHOLE.encode()
    for place, length, piece in changes:
        data = data[:place] + piece + data[place + length :]
    path = tmp_path / "mutated.xml"
    path.write_bytes(data)
    survives(path)


@QUICK
@given(TREES)
def test_any_nesting_of_known_names_never_crashes(tmp_path: Path, tree: str) -> None:
    path = tmp_path / "nested.xml"
    for body in (
        catalogue(tree),
        catalogue(f"<Товар>{tree}</Товар>"),
        counterparties(f"<Контрагент>{tree}</Контрагент>"),
        whole(tree),
        whole(f"<Классификатор>{tree}</Классификатор>"),
        offers(f"<Предложение><Ид>1</Ид>{tree}</Предложение>"),
        whole(f"<Документ><Номер>1</Номер>{tree}</Документ>"),
    ):
        path.write_text(body, encoding="utf-8")
        survives(path)


_HEAD, _VALUE, _EMPTY = "<Наименование>{}</Наименование>", "<Значение>{}</Значение>", "<Значение/>"
_PARTS = st.sampled_from([_HEAD.format("Вес"), _HEAD.format("Код"), _VALUE.format("5"), _VALUE.format(" 7 "), _EMPTY])


@given(pairs=st.lists(st.lists(_PARTS, max_size=4), max_size=5))
def test_pairs_are_read_alike_quickly_and_one_by_one(pairs: list[list[str]]) -> None:
    inner = "".join(f"<ЗначениеРеквизита>{''.join(parts)}</ЗначениеРеквизита>" for parts in pairs)
    element = etree.fromstring(f"<ЗначенияРеквизитов>{inner}</ЗначенияРеквизитов>")
    parts = Parts()
    one_by_one = parts.uneven_pairs(element, "Наименование")
    assert parts.pairs(element, "Наименование") == one_by_one
    # the keys in the file's order too: the report's reader sees them so
    assert list(parts.pairs(element, "Наименование")) == list(one_by_one)
