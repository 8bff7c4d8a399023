"""Forms of deals; their models are light, because process files import them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _no_yes_or_no(value: Any) -> Any:
    if isinstance(value, bool):
        msg = "это не номер"
        raise ValueError(msg)
    return value


Number = Annotated[int, BeforeValidator(_no_yes_or_no)]  # JSON's true is no id


class ClientRequest(BaseModel):
    """A client's request as its registrar writes it down (R002-9a)."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    direction: Literal["Товары", "Услуги"] = Field(title="Направление")
    subject: str = Field(title="О чём обращение", min_length=1, max_length=300)
    responsible_id: Number = Field(title="Ответственный", gt=0, lt=2**63, json_schema_extra={"look_up": "people"})
    company_id: Number | None = Field(
        None, title="Компания", gt=0, lt=2**63, json_schema_extra={"look_up": "companies"}
    )
    contact_name: str | None = Field(None, title="Контактное лицо", max_length=300)
    contact_phone: str | None = Field(None, title="Телефон", max_length=50)
    contact_email: str | None = Field(None, title="Почта", max_length=200)
    source: str | None = Field(None, title="Откуда пришло", max_length=200)
