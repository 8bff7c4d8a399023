"""Deal fields: how a value entered by a person or a file is checked and stored; debt (R002-74)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from include.shared.errors import InvalidInput
from include.shared.texts import storable, visible

UNPROCESSED = "Не обработан"
IDENTIFICATION = frozenset({"Экспресс-идентификация", "Первичная идентификация"})
LARGEST_SUM = Decimal("9999999999999.99")
LONGEST_TEXT = 4000
EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)


def takes_into_work(came_from: str, target: str, moved_by_person: bool) -> bool:
    """Say whether this move is «приемка лида в работу»: the mover becomes responsible (R002-10, A2-5)."""
    return moved_by_person and came_from == UNPROCESSED and target in IDENTIFICATION


def debt(amount: Decimal | None, paid: Decimal) -> tuple[Decimal, Decimal]:
    """Return (debt, overpayment); both are zero or above, in roubles (R002-74, A2-34)."""
    left = (amount or Decimal(0)) - paid
    return (left, Decimal(0)) if left > 0 else (Decimal(0), -left)


def clean_value(kind: str, title: str, options: Mapping[str, Any], value: Any, time_zone: str) -> Any:
    """Return the value in its stored form (JSON), None when emptied; InvalidInput says in Russian what is wrong."""
    if kind == "file":  # not even emptied: no version is ever taken away
        msg = f"Поле «{title}» вручную не заполняют: загрузите в него файл на карточке сделки."
        raise InvalidInput(msg)
    if value is None or value == "":
        return None
    checks = {
        "bool": _boolean,
        "date": _date,
        "datetime": _moment,
        "choice": _choice,
        "text": _text,
        "money": _money,
        "person": _person,
    }
    if kind not in checks:
        msg = f"Поле «{title}» нельзя заполнить вручную."
        raise InvalidInput(msg)
    return checks[kind](title, options, value, time_zone)


def _boolean(title: str, _options: Mapping[str, Any], value: Any, _zone: str) -> bool:
    known = {"да": True, "yes": True, "true": True, "1": True, "нет": False, "no": False, "false": False, "0": False}
    answer = value if isinstance(value, bool) else known.get(str(value).strip().lower())
    if answer is None:
        msg = f"В поле «{title}» ответьте «да» или «нет»."
        raise InvalidInput(msg)
    return answer


def _date(title: str, _options: Mapping[str, Any], value: Any, _zone: str) -> str:
    try:
        day = datetime.strptime(str(value), "%d.%m.%Y").date() if "." in str(value) else date.fromisoformat(str(value))  # noqa: DTZ007 - a bare date
    except ValueError as error:
        msg = f"В поле «{title}» нужна дата, например 21.11.2026."
        raise InvalidInput(msg) from error
    return _within(title, day).isoformat()


def _moment(title: str, options: Mapping[str, Any], value: Any, zone: str) -> str:
    written = str(value).strip()
    if len(written) == 10:
        return _date(title, options, written, zone)
    try:
        form = "%d.%m.%Y %H:%M"
        moment = datetime.strptime(written, form) if "." in written[:6] else datetime.fromisoformat(written)  # noqa: DTZ007
    except ValueError as error:
        msg = f"В поле «{title}» нужна дата и время, например 21.11.2026 14:05."
        raise InvalidInput(msg) from error
    _within(title, moment.date())
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).isoformat()


def _within(title: str, day: date) -> date:
    if not EARLIEST <= day <= LATEST:
        msg = f"В поле «{title}» дата {day:%d.%m.%Y} вне допустимых пределов (2000–2100)."
        raise InvalidInput(msg)
    return day


def _choice(title: str, options: Mapping[str, Any], value: Any, _zone: str) -> str:
    choices: Mapping[str, str] = options.get("choices", {})
    for code, name in choices.items():
        if value in (code, name):
            return code
    msg = f"В поле «{title}» выберите одно из: {', '.join(choices.values())}."
    raise InvalidInput(msg)


def _text(title: str, _options: Mapping[str, Any], value: Any, _zone: str) -> str | None:
    if not isinstance(value, str):
        msg = f"В поле «{title}» нужен текст."
        raise InvalidInput(msg)
    if len(value) > LONGEST_TEXT or not storable(value):
        msg = f"В поле «{title}» слишком длинный текст (до {LONGEST_TEXT} знаков) или недопустимые знаки."
        raise InvalidInput(msg)
    return value.strip() if visible(value) else None


def _money(title: str, _options: Mapping[str, Any], value: Any, _zone: str) -> str:
    return str(parse_sum(title, value))


def _person(title: str, _options: Mapping[str, Any], value: Any, _zone: str) -> int:
    try:
        number = int(str(value))
    except ValueError as error:
        msg = f"В поле «{title}» выберите сотрудника."
        raise InvalidInput(msg) from error
    if not 0 < number < 2**63:
        msg = f"В поле «{title}» выберите сотрудника."
        raise InvalidInput(msg)
    return number


def parse_sum(title: str, value: Any) -> Decimal:
    """Return a sum in roubles with kopecks; spaces and a decimal comma are read, anything else is InvalidInput."""
    written = str(value).replace("\u00a0", "").replace("\u202f", "").replace(" ", "").replace(",", ".")
    try:
        amount = Decimal(written)
    except InvalidOperation as error:
        msg = f"В поле «{title}» нужна сумма, например 1 234 567,89."
        raise InvalidInput(msg) from error
    if not amount.is_finite() or amount < 0 or amount > LARGEST_SUM or amount != amount.quantize(Decimal("0.01")):
        msg = f"В поле «{title}» нужна сумма от 0 до {LARGEST_SUM} с точностью до копейки."
        raise InvalidInput(msg)
    return abs(amount.quantize(Decimal("0.01")))  # «-0» is zero
