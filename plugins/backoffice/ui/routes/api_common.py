"""What all routes of the API share: checked inputs, documented failures."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LARGEST_ID = 2**63 - 1
DEEPEST = 20
FIRST_YEAR, LAST_YEAR = 2000, 2100
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:")
MAX_PER_PAGE = 200


def _clean_text(value: str) -> str:
    if "\x00" in value:
        msg = "Недопустимые знаки в тексте."
        raise ValueError(msg)
    return value


def _clean_json(value: Any) -> Any:
    _walk(value, 0)
    return value


def _walk(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        msg = "Слишком глубокая вложенность."
        raise ValueError(msg)
    if isinstance(value, str):
        _storable(value)
    elif isinstance(value, dict):
        for name, one in value.items():
            _storable(str(name))
            _walk(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _walk(one, depth + 1)
    elif isinstance(value, int) and abs(value) > LARGEST_ID:
        msg = "Слишком большое число."
        raise ValueError(msg)


def _storable(text: str) -> None:
    if "\x00" in text or any(0xD800 <= ord(sign) <= 0xDFFF for sign in text):
        msg = "Недопустимые знаки в тексте."
        raise ValueError(msg)


def _as_written(value: Any) -> Any:
    """Refuse numbers, which would be read as seconds since 1970."""
    if not isinstance(value, str) or _MOMENT.match(value) is None:
        msg = "Нужны дата и время с часовым поясом, например 2026-11-21T09:00:00+03:00."
        raise ValueError(msg)
    return value


def _of_our_days(value: datetime) -> datetime:
    if value.tzinfo is None:
        msg = "Укажите часовой пояс, например 2026-11-21T09:00:00+03:00."
        raise ValueError(msg)
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        msg = f"Год – от {FIRST_YEAR} до {LAST_YEAR}."
        raise ValueError(msg)
    return value


Moment = Annotated[datetime, BeforeValidator(_as_written), AfterValidator(_of_our_days)]
Text = Annotated[str, AfterValidator(_clean_text)]
Line = Annotated[Text, Field(max_length=1000)]
Number = Annotated[int, Field(ge=1, le=LARGEST_ID, strict=True)]
Values = Annotated[dict[str, Any], AfterValidator(_clean_json), Field(max_length=200)]
AnyValue = Annotated[Any, AfterValidator(_clean_json)]
RowId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="Номер")]
PageNumber = Annotated[int, Query(ge=1, le=100_000, description="Страница")]
PerPage = Annotated[int, Query(ge=1, le=MAX_PER_PAGE, description="Строк на странице")]
BeforeId = Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="Только записи старше этой")]
SearchText = Annotated[Text, Query(max_length=200, description="Что искать")]
FilterId = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]
FilterText = Annotated[Text | None, Query(max_length=200)]
IdempotencyKey = Annotated[
    Text | None, Header(alias="Idempotency-Key", max_length=200, description="Повтор с тем же ключом ничего не удвоит")
]


class Body(BaseModel):
    """Base of what a program sends: unknown fields are refused, not lost."""

    model_config = ConfigDict(extra="forbid")


class MissingPart(BaseModel):
    """One unmet condition and where it can be put right."""

    text: str
    link: str | None = None


class Failure(BaseModel):
    """A failure in words; ``field`` names the input, ``missing`` what a guard wants."""

    error: str
    field: str | None = None
    missing: list[MissingPart] | None = None


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of failures that a route may answer."""
    words = {
        401: "Нет входа",
        403: "Нет права",
        404: "Нет такой записи (или её нельзя видеть)",
        409: "Не подходит к нынешнему состоянию: изменено другим или не выполнено условие",
        413: "Слишком большой запрос",
        422: "Неверные данные",
        429: "Слишком много попыток",
        503: "База данных занята или недоступна, повторите",
    }
    return {one: {"model": Failure, "description": words[one]} for one in sorted({401, 422, 503, *statuses})}
