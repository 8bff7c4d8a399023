"""What is in motion in the demo: thirteen requests, who created them, who moved them and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

IDENTIFY = "Выполнить Экспресс-идентификацию"


@dataclass(frozen=True)
class Login:
    """A person as the value of a field."""

    login: str


@dataclass(frozen=True)
class In:
    """So many days from now, at an hour of Moscow, as the value of a field; without an hour a bare date."""

    days: int
    hour: int | None = None

    def value(self, now: datetime) -> str:
        """Return the value as a person would enter it."""
        local = now.astimezone(ZoneInfo("Europe/Moscow"))
        day: date = local.date() + timedelta(days=self.days)
        return day.isoformat() if self.hour is None else f"{day.isoformat()}T{self.hour:02d}:00"


@dataclass(frozen=True)
class Move:
    """A person fills fields and moves the deal to a stage."""

    by: str
    stage: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Close:
    """A person closes the open task with this title."""

    by: str
    title: str


@dataclass(frozen=True)
class Press:
    """A person starts a process by its button on the card."""

    by: str
    process: str


@dataclass(frozen=True)
class DemoDeal:
    """One request: ``first`` is done at once, ``later`` after its process has given its task."""

    key: str
    funnel: str
    title: str
    company: str
    responsible: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    first: tuple[Move, ...] = ()
    later: tuple[Move | Close | Press, ...] = ()


REGISTRAR = "krylova"
GOODS_IDENTIFICATION = "Экспресс-идентификация"
SERVICES_IDENTIFICATION = "Первичная идентификация"


DEALS = (
    DemoDeal(
        "bearings", "Товары", "Подшипники для насосной станции", "ООО «Волга-Насос»", "sokolov",
        {"amount": "184300", "complexity": "простой"},
    ),
    DemoDeal(
        "belts", "Товары", "Приводные ремни, годовая потребность", "АО «Самарский комбинат круп»", "sokolov",
        {"amount": "412750.50", "product_manager": Login("orlov")},
        first=(Move("ivanova", GOODS_IDENTIFICATION),),
    ),
    DemoDeal(
        "lubricant", "Товары", "Смазка для высокотемпературных узлов", "ООО «Стеклозавод „Ока“»", "sokolov",
        {"amount": "96000"},
        first=(Move("petrov", GOODS_IDENTIFICATION),),
    ),
    DemoDeal(
        "puller", "Товары", "Съёмник и индукционный нагреватель", "ООО «РемТехСервис»", "sokolov",
        {"amount": "638900"},
        first=(Move("ivanova", GOODS_IDENTIFICATION),),
        later=(
            Close("ivanova", IDENTIFY),
            Move("ivanova", "Счет/КП", {"complexity": "сложный", "quote_feedback_at": In(3, 11)}),
        ),
    ),
    DemoDeal(
        "seals", "Товары", "Уплотнения вала, срочная замена", "АО «Уральский картон»", "sokolov",
        {"amount": "57200"},
        first=(Move("petrov", GOODS_IDENTIFICATION),),
        later=(Move("petrov", "Счет/КП"), Move("petrov", GOODS_IDENTIFICATION)),
    ),
    DemoDeal(
        "chain", "Товары", "Роликовая цепь для конвейера", "ООО «Мукомол-Юг»", "sokolov",
        {"amount": "73480"},
        first=(Move("ivanova", GOODS_IDENTIFICATION),),
        later=(Move("ivanova", "Сделка проиграна"),),
    ),
    DemoDeal(
        "couplings", "Товары", "Муфты и подшипниковые узлы", "ООО «Кама-Энерго»", "sokolov",
        {"amount": "1250000", "complexity": "очень сложный", "product_manager": Login("orlov")},
        first=(Move("petrov", GOODS_IDENTIFICATION),),
        later=(
            Close("petrov", IDENTIFY),
            Move("petrov", "Счет/КП"),
            Move("petrov", "Договор", {"contract_needed": "да", "contract_feedback_at": In(5, 15)}),
            Move(
                "petrov", "Комплектация",
                {"paid": "625000", "delivery_terms": "СДЭК", "signed_on": In(0), "fully_reserved": "нет"},
            ),
        ),
    ),
    DemoDeal(
        "gearbox", "Товары", "Мотор-редукторы, поставка с отсрочкой", "ПАО «Северный прокат»", "sokolov",
        {"amount": "2340000", "complexity": "сложный", "contract_needed": "да"},
        first=(Move("ivanova", GOODS_IDENTIFICATION),),
        later=(
            Close("ivanova", IDENTIFY),
            Move("ivanova", "Договор", {"contract_feedback_at": In(4, 12)}),
            Press("ivanova", "contract_approval"),
        ),
    ),
    DemoDeal(
        "vibration", "Услуги", "Вибродиагностика вентиляторов котельной", "МУП «Теплосеть»", "morozov",
        {"amount": "148000"},
    ),
    DemoDeal(
        "alignment", "Услуги", "Лазерная центровка насосных агрегатов", "ООО «Волга-Насос»", "morozov",
        {"amount": "92500"},
        first=(Move("nikitin", SERVICES_IDENTIFICATION),),
    ),
    DemoDeal(
        "balancing", "Услуги", "Балансировка дымососа на объекте", "АО «Уральский картон»", "morozov",
        {"amount": "210000"},
        first=(Move("nikitin", SERVICES_IDENTIFICATION),),
        later=(Close("nikitin", IDENTIFY), Move("nikitin", "Счет/КП", {"quote_feedback_at": In(2, 16)})),
    ),
    DemoDeal(
        "survey", "Услуги", "Обследование редукторов прокатного стана", "ПАО «Северный прокат»", "morozov",
        {"amount": "540000", "works_executor": Login("gusev")},
        first=(Move("nikitin", SERVICES_IDENTIFICATION),),
        later=(
            Close("nikitin", IDENTIFY),
            Move("nikitin", "Счет/КП"),
            Move("nikitin", "Договор", {"contract_needed": "нет"}),
            Move("nikitin", "Ожидание выезда на объект", {"ready_on": In(6, 10), "emergency": "нет"}),
        ),
    ),
    DemoDeal(
        "breakdown", "Услуги", "Аварийный выезд: вибрация турбокомпрессора", "ООО «Кама-Энерго»", "morozov",
        {"amount": "320000", "emergency": "да", "works_executor": Login("gusev")},
        first=(Move("morozov", SERVICES_IDENTIFICATION),),
        later=(
            Close("morozov", IDENTIFY),
            Move("morozov", "Счет/КП"),
            Move("morozov", "Договор", {"contract_needed": "нет"}),
            Move("morozov", "Ожидание выезда на объект", {"ready_on": In(1, 9)}),
            Move("morozov", "В работе"),
        ),
    ),
)  # fmt: skip
