"""Counterparties: what a valid ИНН and КПП is, and which names are alike."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from stdnum.exceptions import ValidationError
from stdnum.ru import inn as inn_number

from include.shared.errors import InvalidInput
from include.shared.names import search_key

KINDS = {"legal": "юридическое лицо", "sole": "индивидуальный предприниматель", "person": "физическое лицо"}
LENGTHS = {"legal": 10, "sole": 12, "person": 12}
LONGEST_NAME = 300
_FORMS = re.compile(
    r"\b(ооо|оао|зао|пао|ао|ип|нко|ано|гуп|муп|фгуп|тсж|общество с ограниченной ответственностью|"
    r"(публичное |закрытое |открытое |непубличное )?акционерное общество|индивидуальный предприниматель)\b"
)
_KPP = re.compile(r"\d{4}[\dA-Z]{2}\d{3}")


def clean_name(name: str) -> str:
    """Return the name without outer spaces; InvalidInput for an empty, too long or broken one."""
    cleaned = " ".join((name or "").split())
    if not cleaned or len(cleaned) > LONGEST_NAME or "\x00" in cleaned or not core_of(cleaned):
        msg = f"Введите название контрагента (до {LONGEST_NAME} знаков)."
        raise InvalidInput(msg, "name")
    return cleaned


def clean_inn(inn: str | None, kind: str) -> str | None:
    """Return a checked ИНН: right length for the kind and right control digits; None when not given."""
    written = re.sub(r"\s", "", inn or "")
    if not written:
        return None
    if not written.isascii() or not written.isdigit() or len(written) != LENGTHS[kind]:
        msg = f"ИНН ({KINDS[kind]}) – {LENGTHS[kind]} цифр."
        raise InvalidInput(msg, "inn")
    try:
        inn_number.validate(written)
    except ValidationError as error:
        msg = "В ИНН ошибка: не сходятся контрольные цифры."
        raise InvalidInput(msg, "inn") from error
    if not written.strip("0"):
        msg = "ИНН не может состоять из одних нулей."
        raise InvalidInput(msg, "inn")
    return written


def clean_kpp(kpp: str | None, kind: str, inn: str | None) -> str | None:
    """Return a checked КПП; only a legal entity with an ИНН has one."""
    written = re.sub(r"\s", "", kpp or "").upper()
    if not written:
        return None
    if kind != "legal" or inn is None:
        msg = "КПП бывает только у юридического лица с ИНН."
        raise InvalidInput(msg, "kpp")
    if not _KPP.fullmatch(written) or not written.isascii():
        msg = "КПП – 9 знаков, например 770701001."
        raise InvalidInput(msg, "kpp")
    return written


def core_of(name: str) -> str:
    """Return the name without its legal form and punctuation, as similar names are compared."""
    return " ".join(re.sub(r"[^\w\s]", " ", _FORMS.sub(" ", search_key(name))).split())


def likeness(one: str, other: str) -> float:
    """Return from 0 to 1 how alike two names are, legal forms aside."""
    return SequenceMatcher(None, core_of(one), core_of(other)).ratio()
