"""Groups, categories, properties, types of prices, warehouses and units of the classifier."""

from __future__ import annotations

from pathlib import Path

from include.exchange_1c.reader import CommerceFile
from include.exchange_1c.records import Group, MeasureUnit, PriceType, Property, Warehouse
from tests.unit.exchange_1c.files import classifier, of_kind, read_all, rejects, remarks, whole


def group(external_id: str, inner: str = "", *, is_id_last: bool = False) -> str:
    own = f"<Ид>{external_id}</Ид><Наименование>Группа {external_id}</Наименование>"
    inner = f"<Группы>{inner}</Группы>" if inner else ""
    return f"<Группа>{inner + own if is_id_last else own + inner}</Группа>"


def test_nested_groups_know_their_parents(tmp_path: Path) -> None:
    tree = group("1", group("11", group("111")) + group("12")) + group("2")
    records = read_all(tmp_path, classifier(f"<Группы>{tree}</Группы>"))
    assert {one.external_id: one.parent_id for one in of_kind(records, Group)} == {
        "1": None, "11": "1", "111": "11", "12": "1", "2": None,
    }  # fmt: skip
    assert {one.name for one in of_kind(records, Group)} >= {"Группа 111"}


def test_children_wait_for_a_parent_whose_id_stands_last(tmp_path: Path) -> None:
    tree = group("1", group("11", group("111"), is_id_last=True) + group("12"), is_id_last=True)
    records = read_all(tmp_path, classifier(f"<Группы>{tree}</Группы>"))
    assert {one.external_id: one.parent_id for one in of_kind(records, Group)} == {
        "1": None, "11": "1", "111": "11", "12": "1",
    }  # fmt: skip


def test_children_of_a_refused_group_are_kept(tmp_path: Path) -> None:
    tree = f"<Группа><Наименование>Без Ид</Наименование><Группы>{group('11')}</Группы></Группа>"
    records = read_all(tmp_path, classifier(f"<Группы>{tree}</Группы>"))
    assert [(one.external_id, one.parent_id) for one in of_kind(records, Group)] == [("11", None)]
    assert rejects(records) == [("Группа", "нет Ид")]


def test_marks_of_deletion_and_details_of_a_group(tmp_path: Path) -> None:
    inner = (
        '<Группы><Группа Статус="Удален"><Ид>1</Ид></Группа><Группа><Ид>2</Ид><Наименование> Два </Наименование>'
        "<ПометкаУдаления>true</ПометкаУдаления><НомерВерсии>AA=</НомерВерсии><Описание>О</Описание></Группа></Группы>"
    )
    first, second = of_kind(records := read_all(tmp_path, classifier(inner)), Group)
    assert (first.is_deleted, first.name) == (True, "")
    assert (second.is_deleted, second.name, second.raw) == (True, "Два", {"name": " Два "})
    assert second.details == {"НомерВерсии": "AA=", "Описание": "О"}
    assert remarks(records) == ["наименование приведено к обычному виду (пробелы, HTML)"]


def test_doubled_id_is_a_remark_with_its_line(tmp_path: Path) -> None:
    records = read_all(tmp_path, classifier(f"<Группы>\n{group('1')}\n{group('2')}\n{group('1')}</Группы>"))
    assert len(of_kind(records, Group)) == 3
    assert remarks(records) == ["Ид встречается несколько раз: взята последняя запись"]
    assert records[-1].line == 5


def test_categories(tmp_path: Path) -> None:
    inner = (
        "<Категории><Категория><Ид>1</Ид><Наименование>Лампы</Наименование><Свойства><Ид>p1</Ид><Ид>p2</Ид></Свойства>"
        "</Категория></Категории>"
    )
    (found,) = of_kind(read_all(tmp_path, classifier(inner)), Group)
    assert (found.kind, found.external_id, found.details) == ("category", "1", {"Свойства": {"Ид": ["p1", "p2"]}})


def test_properties_with_their_values(tmp_path: Path) -> None:
    value = "<Справочник><ИдЗначения>{}</ИдЗначения><Значение>{}</Значение></Справочник>"
    values = value.format("v1", "красный") + value.format("v2", "синий") + value.format("v1", "алый")
    inner = (
        f"<Свойства><Свойство><Ид>1</Ид><Наименование>Цвет</Наименование><ТипЗначений>Справочник</ТипЗначений>"
        f"<ВариантыЗначений>{values}</ВариантыЗначений><Внешний>false</Внешний></Свойство>"
        "<Свойство><Ид>2</Ид><Наименование>Вес</Наименование><ТипЗначений>Число</ТипЗначений><ВариантыЗначений>"
        "<Значение>1</Значение><Значение>2</Значение></ВариантыЗначений></Свойство></Свойства>"
    )
    first, second = of_kind(records := read_all(tmp_path, classifier(inner)), Property)
    assert (first.name, first.value_type, first.values) == ("Цвет", "Справочник", {"v1": "алый", "v2": "синий"})
    assert first.details == {"Внешний": "false"}
    assert (second.value_type, second.values, second.details) == ("Число", {}, {"values": ["1", "2"]})
    assert remarks(records) == ["у значения свойства Ид встречается несколько раз: взято последнее"]


def test_types_of_prices(tmp_path: Path) -> None:
    inner = (
        "<ТипыЦен><ТипЦены><Ид>1</Ид><Наименование>Розничная</Наименование><Валюта>руб.</Валюта><Налог><Наименование>НДС"
        "</Наименование><УчтеноВСумме>true</УчтеноВСумме></Налог></ТипЦены><ТипЦены><Ид>2</Ид><Наименование>Опт"
        "</Наименование></ТипЦены></ТипыЦен>"
    )
    first, second = of_kind(read_all(tmp_path, whole(f"<ПакетПредложений>{inner}</ПакетПредложений>")), PriceType)
    assert (first.currency, first.is_tax_included, first.raw) == ("RUB", True, {"currency": "руб."})
    assert (second.currency, second.is_tax_included) == (None, None)


def test_warehouses(tmp_path: Path) -> None:
    inner = (
        "<Склады><Склад><Ид>1</Ид><Наименование>Основной</Наименование><Адрес><Представление>Пермь</Представление></Адрес>"
        "<Контакты><Контакт><Тип>Телефон</Тип><Значение>1</Значение></Контакт></Контакты></Склад></Склады>"
    )
    (found,) = of_kind(read_all(tmp_path, classifier(inner)), Warehouse)
    assert (found.name, found.addresses[0]["text"], found.contacts) == (
        "Основной", "Пермь", [{"type": "Телефон", "value": "1"}],
    )  # fmt: skip


def test_units(tmp_path: Path) -> None:
    unit = (
        "<ЕдиницаИзмерения><Ид>{}</Ид><НаименованиеКраткое>{}</НаименованиеКраткое><Код>{}</Код><НаименованиеПолное>{}"
        "</НаименованиеПолное><МеждународноеСокращение>PCE</МеждународноеСокращение></ЕдиницаИзмерения>"
    )
    units = (
        unit.format("guid", "шт", "796 ", "Штука   ") + unit.format("", "ед", "", "") + unit.format("778 ", "", "", "")
    )
    records = read_all(tmp_path, classifier(f"<ЕдиницыИзмерения>{units}</ЕдиницыИзмерения>"))
    first, second, third = of_kind(records, MeasureUnit)
    assert (first.external_id, first.unit.code, first.full_name, first.international) == ("guid", "796", "Штука", "PCE")
    assert (second.external_id, second.unit.code) == ("ед", "642")
    assert (third.external_id, third.raw["external_id"]) == ("778", "778 ")
    assert "у единицы нет ни Ид, ни кода: взято наименование" in remarks(records)


def test_what_a_file_says_of_its_fullness(tmp_path: Path) -> None:
    path = tmp_path / "file.xml"
    body = (
        '<Классификатор СодержитТолькоИзменения="true"><Ид>k</Ид></Классификатор>'
        '<Каталог СодержитТолькоИзменения="false"><Ид> c </Ид></Каталог>'
    )
    path.write_text(whole(body), encoding="utf-8")
    file = CommerceFile(path, everything=True)
    assert list(file.records()) == []
    assert file.is_full is True
    assert file.full_sections == {"Классификатор": False, "Каталог": True}
    assert file.catalogue_ids == {"Классификатор": "k", "Каталог": "c"}
