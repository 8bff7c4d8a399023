"""An exchange with 1C of our own making: what УТ 11 would leave in the folder of the demo company.

CommerceML 3.1, four files: groups, goods, counterparties, and a price list that is not loaded yet. Everything is
invented; ИНН have valid check digits. A few defects stand in it on purpose, so that the quarantine and the warnings
have something to show.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from include.exchange_1c.rules import inn_with_check_digits

_SPACE = uuid.UUID("6f1c7f52-5c1e-4bb1-9a40-0d4f5b7c1a10")
FORMED_AT = "2026-01-15T01:40:00"

GROUPS = ("Подшипники", "Инструмент", "Расходные материалы")

_BEARINGS = (
    "6000", "6002", "6004", "6007", "6009", "6201", "6203", "6205", "6206", "6208", "6305", "6308", "6310", "22210",
    "30205", "32008", "51106",
)  # fmt: skip
_SEALS = ("", "2RS", "ZZ", "C3", "2RS C3", "N")
_TOOLS = (
    ("Ключ комбинированный", "мм", (8, 10, 12, 13, 14, 17, 19, 22, 24, 27, 30, 32)),
    ("Сверло по металлу", "мм", (2, 3, 4, 5, 6, 8, 10, 12, 14, 16)),
    ("Метчик машинный М", "", (4, 5, 6, 8, 10, 12, 14, 16, 20)),
    ("Фреза концевая", "мм", (6, 8, 10, 12, 16, 20)),
    ("Съёмник трёхлапый", "мм", (75, 100, 150, 200, 250)),
    ("Головка торцевая", "мм", (10, 13, 17, 19, 22, 24, 27, 30)),
)
_SUPPLIES = (
    ("Смазка пластичная Литол-24", "166", "кг", (1, 5, 10, 21)),
    ("Круг отрезной 125×", "796", "шт", (1, 2, 3)),
    ("Круг шлифовальный зерно", "796", "шт", (40, 60, 80, 120, 240)),
    ("Перчатки х/б, класс", "715", "пар", (7, 10, 13)),
    ("Ветошь обтирочная, мешок", "166", "кг", (5, 10)),
    ("Масло индустриальное И-", "112", "л", (8, 12, 20, 40)),
    ("Лента уплотнительная, рулон", "736", "рул", (10, 12, 19)),
    ("Болт М8×", "778", "упак", (20, 25, 30, 40, 50, 60, 80)),
    ("Шнур асбестовый", "018", "пог. м", (6, 8, 10)),
    ("Набор прокладок №", "704", "набор", (1, 2, 3, 4)),
)

_LEGAL = (
    "Редуктор-Сервис", "Северный завод приводов", "Агромаш-Юг", "Волжская мельница", "ТехноЛайн", "Карьер Горный",
    "Станкоремонт", "Хлебокомбинат № 4", "Деревообработка Плюс", "Насосы и арматура", "Литейный двор", "ПромСнаб-Центр",
    "Элеватор Степной", "Кровля Урала", "Автопарк 17", "Бумажная фабрика «Ока»", "Кирпич-Строй", "Молоко Предгорья",
    "Рыбозавод «Причал»", "Тепличный комбинат",
)  # fmt: skip
_SOLE = (
    "Ковалёв Пётр Ильич",
    "Сафина Алия Маратовна",
    "Дорохов Семён Львович",
    "Юдина Вера Павловна",
    "Мельник О. Т.",
)
_PERSONS = (
    "Орешкин Иван",
    "Лапина Нина Сергеевна",
    "Гусев Артём Олегович",
    "Чернов Лев",
    "Белова Ольга Игоревна",
)


def write_demo_exchange(folder: Path) -> list[Path]:
    """Write the demo exchange (about 200 goods, 30 counterparties) into ``folder``; returns the files (R002-8)."""
    files = {
        "groups.xml": _classifier(),
        "goods_1_1.xml": _catalogue(list(_goods())),
        "contragents_1.xml": _list_of_counterparties(list(_counterparties())),
        "prices_1_1.xml": _prices(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, body in files.items():
        path = folder / name
        half = folder / f".{name}.tmp"
        half.write_text(_document(body), encoding="utf-8-sig")
        half.replace(path)
        written.append(path)
    return written


def _id(*parts: object) -> str:
    return str(uuid.uuid5(_SPACE, "/".join(map(str, parts))))


def _document(body: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_3" ВерсияСхемы="3.1" '
        f'ДатаФормирования="{FORMED_AT}" Ид="Обмен с сайтом">\n{body}</КоммерческаяИнформация>\n'
    )


def _element(name: str, text: object) -> str:
    return f"<{name}>{escape(str(text))}</{name}>" if text != "" else f"<{name}/>"


def _classifier() -> str:
    groups = "".join(
        f"<Группа>{_element('Ид', _id('group', name))}{_element('Наименование', name)}</Группа>\n" for name in GROUPS
    )
    return (
        f'<Классификатор СодержитТолькоИзменения="false">{_element("Ид", _id("classifier"))}'
        f"<Наименование>Классификатор (Каталог товаров)</Наименование>\n<Группы>\n{groups}</Группы></Классификатор>\n"
    )


def _catalogue(goods: list[str]) -> str:
    return (
        f'<Каталог СодержитТолькоИзменения="false">{_element("Ид", _id("catalogue"))}'
        f"{_element('ИдКлассификатора', _id('classifier'))}<Наименование>Каталог товаров</Наименование>\n"
        f"<Товары>\n{''.join(goods)}</Товары></Каталог>\n"
    )


def _list_of_counterparties(records: list[str]) -> str:
    return f'<Контрагенты СодержитТолькоИзменения="false">\n{"".join(records)}</Контрагенты>\n'


def _prices() -> str:
    offers = "".join(
        f"<Предложение>{_element('Ид', _id('goods', 0, number))}<Цены><Цена>"
        f"{_element('ИдТипаЦены', _id('price'))}{_element('ЦенаЗаЕдиницу', 150 + number * 10)}"
        "<Валюта>RUB</Валюта></Цена></Цены></Предложение>\n"
        for number in range(10)
    )
    return (
        f'<ПакетПредложений СодержитТолькоИзменения="true"><Предложения>\n{offers}</Предложения></ПакетПредложений>\n'
    )


def _item(
    group: int,
    number: int,
    name: str,
    *,
    sku: str,
    unit: str = '<БазоваяЕдиница Код="796 " НаименованиеПолное="Штука">шт</БазоваяЕдиница>',
    vat: str = "22",
    deleted: bool = False,
) -> str:
    rate = f"<СтавкаНалога><Наименование>НДС</Наименование>{_element('Ставка', vat)}</СтавкаНалога>"
    tax = f"<СтавкиНалогов>{rate}</СтавкиНалогов>"
    return (
        f"<Товар>{_element('Ид', _id('goods', group, number))}"
        f"{_element('ПометкаУдаления', 'true' if deleted else 'false')}"
        f"{_element('Штрихкод', f'46{group}{number:010d}' if number % 3 else '')}{_element('Артикул', sku)}"
        f"{_element('Наименование', name)}{unit}<Группы>{_element('Ид', _id('group', GROUPS[group]))}</Группы>{tax}"
        "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>ТипНоменклатуры</Наименование><Значение>Товар</Значение>"
        "</ЗначениеРеквизита><ЗначениеРеквизита><Наименование>Полное наименование</Наименование>"
        f"{_element('Значение', name.strip())}</ЗначениеРеквизита></ЗначенияРеквизитов></Товар>\n"
    )


def _goods() -> Iterator[str]:
    for number, (size, seal) in enumerate((size, seal) for size in _BEARINGS for seal in _SEALS):
        yield _item(0, number, f"Подшипник {size} {seal}".strip(), sku=f"{size}{seal.replace(' ', '')}")
    tools = [(name, measure, size) for name, measure, sizes in _TOOLS for size in sizes]
    for number, (name, measure, span) in enumerate(tools):
        glue = "" if name.endswith("М") else " "
        yield _item(1, number, f"{name}{glue}{span} {measure}".strip(), sku=f"Т-{number:04d}" if number % 5 else "")
    supplies = [(name, code, unit, size) for name, code, unit, sizes in _SUPPLIES for size in sizes]
    for number, (name, code, unit, pack) in enumerate(supplies):
        glue = "" if name[-1] in "×-№" else " "
        base = f'<БазоваяЕдиница Код="{code}" НаименованиеПолное="{unit}">{unit}</БазоваяЕдиница>'
        yield _item(2, number, f"{name}{glue}{pack}", sku=f"Р-{number:04d}", unit=base)
    yield from _odd_goods()


def _odd_goods() -> Iterator[str]:
    """Defects on purpose: padded name, unit only by code, unknown rates, a doubled Ид, no name, marks of deletion."""
    by_code = "<БазоваяЕдиница>796 </БазоваяЕдиница>"
    strange = '<БазоваяЕдиница Код="9999">бухта</БазоваяЕдиница>'
    yield _item(2, 900, "  Хомут червячный 20–32\u00a0мм ", sku="Х-20 ")
    yield _item(2, 901, "Хомут червячный 32–50 мм", sku="Х-32", unit=by_code)
    yield _item(2, 902, "Трос стальной 6 мм", sku="ТР-6", unit=strange)
    yield _item(2, 903, "Паста притирочная (ставка с опечаткой)", sku="П-1", vat="220")
    yield _item(2, 904, "Пена монтажная (ставка не понята)", sku="П-2", vat="льготная")
    yield _item(2, 905, "Герметик, первая запись", sku="Г-1")
    yield _item(2, 905, "Герметик силиконовый 280 мл", sku="Г-1")
    yield _item(2, 906, "", sku="БЕЗ-ИМЕНИ").replace("<Значение></Значение>", "<Значение/>")
    yield _item(0, 907, "Подшипник 6000 снят с производства", sku="6000-ОЛД", deleted=True)
    yield _item(1, 908, "Услуга по заточке", sku="У-1", vat="Без НДС")


def _counterparty(
    kind: str,
    number: int,
    name: str,
    full: str,
    *,
    inn: str,
    kpp: str = "",
    deleted: bool = False,
    extra: str = "",
) -> str:
    tag = "ОфициальноеНаименование" if kind == "legal" else "ПолноеНаименование"
    mail, phone = f"{kind}{number}@example.com", f"+7 495 000-{number // 100:02d}-{number % 100:02d}"
    return (
        f"<Контрагент>{_element('Ид', _id(kind, number))}{_element('ПометкаУдаления', 'true' if deleted else 'false')}"
        f"{_element('Наименование', name)}{_element(tag, full)}<Роль>Покупатель</Роль>{_element('ИНН', inn)}"
        f"{_element('КПП', kpp)}{extra}<Контакты><Контакт><Тип>Электронная почта</Тип>{_element('Значение', mail)}"
        f"</Контакт><Контакт><Тип>Телефон рабочий</Тип>{_element('Значение', phone)}</Контакт></Контакты>"
        "</Контрагент>\n"
    )


def _address(number: int) -> str:
    text = f"101000, г. Примерск, ул. Заводская, д. {number}"
    return (
        f"<Адрес>{_element('Представление', text)}<АдресноеПоле><Тип>Город</Тип><Значение>Примерск</Значение>"
        "</АдресноеПоле><АдресноеПоле><Тип>Почтовый индекс</Тип><Значение>101000</Значение></АдресноеПоле></Адрес>"
    )


def _account(number: int) -> str:
    return (
        f"<РасчетныеСчета><РасчетныйСчет>{_element('НомерСчета', f'40702810{number:012d}')}<Банк><БИК>044525000</БИК>"
        "<Наименование>БАНК ПРИМЕР (АО)</Наименование></Банк></РасчетныйСчет></РасчетныеСчета>"
    )


def _counterparties() -> Iterator[str]:
    for number, name in enumerate(_LEGAL):
        inn = inn_with_check_digits(f"77{10 + number:02d}{400100 + number * 37:06d}"[:9])
        extra = _account(number + 1) + _address(number + 1)
        full = f'ООО "{name}"'
        yield _counterparty("legal", number, f"{name} ООО", full, inn=inn, kpp=f"77{10 + number:02d}01001", extra=extra)
    for number, name in enumerate(_SOLE):
        inn = inn_with_check_digits(f"50{10 + number:02d}{200300 + number * 91:06d}")
        yield _counterparty("sole", number, name, f"ИП {name}", inn=inn)
    for number, name in enumerate(_PERSONS):
        yield _counterparty("person", number, name, name, inn="")
    yield _counterparty("legal", 90, "Завод без КПП ООО", 'ООО "Завод без КПП"', inn="0000000000")
    yield _counterparty("legal", 91, "Опечатка в ИНН ООО", 'ООО "Опечатка"', inn="7710400103", kpp="771001001")
    yield _counterparty("legal", 92, "Закрытый филиал ООО", 'ООО "Закрытый"', inn="", deleted=True)
