"""The reference data says exactly what the company's text says."""

from __future__ import annotations

import re

import pytest

from include.deals.rules import clean_value
from include.reference.catalogue import COMPLEXITY, DELIVERY_TERMS, FIELDS, FUNNELS, ROLES, SETTINGS
from include.shared.errors import InvalidInput
from include.shared.settings import KINDS, check_value

pytestmark = pytest.mark.unit

STAGES = {
    "Товары": [
        "Не обработан",
        "Экспресс-идентификация",
        "Счет/КП",
        "Договор",
        "Комплектация",
        "Отгрузка",
        "Подведение итогов",
        "Сделка успешна",
        "Сделка проиграна",
    ],
    "Услуги": [
        "Не обработан",
        "Первичная идентификация",
        "Счет/КП",
        "Договор",
        "Ожидание выезда на объект",
        "В работе",
        "Подведение итогов",
        "Сделка успешна",
        "Сделка проиграна",
    ],
}

TITLES = {
    "emergency": ("Экстренный случай", "bool"),
    "ready_on": ("Плановая дата готовности", "datetime"),
    "complexity": ("Сложность", "choice"),
    "quote_feedback_at": ("Дата получения обратной связи по КП", "datetime"),
    "contract_needed": ("Нужен ли договор", "bool"),
    "contract_feedback_at": ("Дата получения обратной связи по Договору", "datetime"),
    "contract_draft": ("Проект договора", "file"),
    "contract_signed": ("Договор подписан", "bool"),
    "report_feedback_at": ("Дата обратной связи по Отчету", "datetime"),
    "delivery_terms": ("Условие доставки", "choice"),
    "fully_reserved": ("Товар полностью зарезервирован", "bool"),
    "track_number": ("Трек-номер", "text"),
    "originals_due_on": ("Плановая дата получения оригиналов документов", "date"),
    "has_originals": ("Есть оригиналы документов", "bool"),
    "works_executor": ("Исполнитель работ", "person"),
    "product_manager": ("Продакт", "person"),
    "signed_on": ("Дата подписания документов", "date"),
    "sent_on": ("Дата отправки документов", "date"),
    "scans_on": ("Дата получения сканов документов", "date"),
    "originals_on": ("Дата получения оригиналов документов", "date"),
}


def test_stages_are_those_of_the_company_in_its_order() -> None:
    assert {line.title: [one.title for one in line.stages] for line in FUNNELS} == STAGES


def test_each_funnel_ends_with_one_won_and_one_lost_stage() -> None:
    for line in FUNNELS:
        assert [one.kind for one in line.stages] == ["open"] * 7 + ["won", "lost"]


def test_fields_have_the_titles_and_kinds_of_the_company() -> None:
    assert {one.code: (one.title, one.kind) for one in FIELDS} == TITLES


def test_choices_are_those_of_the_company() -> None:
    assert list(COMPLEXITY.values()) == ["простой", "сложный", "очень сложный"]
    assert list(DELIVERY_TERMS.values()) == ["самовывоз", "СДЭК", "другая доставка"]
    assert {one.code for one in FIELDS if one.choices} == {"complexity", "delivery_terms"}


def test_every_kind_but_files_can_be_filled_in_a_form() -> None:
    for one in FIELDS:
        value = next(iter(one.choices.values()), {"person": "1", "bool": "да"}.get(one.kind, "2026-11-21"))
        if one.kind == "file":
            with pytest.raises(InvalidInput):
                clean_value(one.kind, one.title, one.options, value, "Europe/Moscow")
        else:
            assert clean_value(one.kind, one.title, one.options, value, "Europe/Moscow") is not None


def test_codes_are_latin_and_nothing_is_named_twice() -> None:
    codes = [one.code for one in FIELDS] + list(ROLES) + [one.code for one in SETTINGS]
    codes += [one.code for line in FUNNELS for one in line.stages] + [line.code for line in FUNNELS]
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", code) for code in codes)
    for named in (FIELDS, SETTINGS, *(line.stages for line in FUNNELS)):
        assert len({one.code for one in named}) == len({one.title for one in named}) == len(named)
    assert len(set(ROLES.values())) == len(ROLES)


def test_defaults_of_settings_fit_their_kinds() -> None:
    for one in SETTINGS:
        assert one.kind in KINDS
        check_value(one.kind, one.default)
