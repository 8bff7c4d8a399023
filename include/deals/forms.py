"""Forms of deals; their models are light, because process files import them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ClientRequest(BaseModel):
    """A client's request as its registrar writes it down (R002-9a)."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    direction: Literal["Товары", "Услуги"] = Field(title="Направление")
    subject: str = Field(title="О чём обращение", min_length=1, max_length=300)
    responsible_id: int = Field(title="Ответственный", gt=0, lt=2**63, json_schema_extra={"look_up": "people"})
    company_id: int | None = Field(None, title="Компания", gt=0, lt=2**63, json_schema_extra={"look_up": "companies"})
    contact_name: str | None = Field(None, title="Контактное лицо", max_length=300)
    contact_phone: str | None = Field(None, title="Телефон", max_length=50)
    contact_email: str | None = Field(None, title="Почта", max_length=200)
    source: str | None = Field(None, title="Откуда пришло", max_length=200)
