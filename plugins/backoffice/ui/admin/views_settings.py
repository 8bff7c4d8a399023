"""Registers of what processes read at run time: settings (AG-5) and the working calendar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette_admin import row_action
from typing_extensions import override

from backoffice.ui import format as written
from backoffice.ui.admin.fields import Entry, shown, term_of, whole
from backoffice.ui.admin.register import Register, read
from backoffice.ui.admin.story import Line, story
from include.reference.registers import SettingLine, calendar_days, role_choices, setting_lines
from include.shared import calendar, settings
from include.shared.work import Work

KINDS = {"term": "срок", "switch": "переключатель", "role": "роль", "number": "число", "text": "текст"}


@dataclass(frozen=True)
class InWords(SettingLine):
    """A setting with its value and default in words."""

    roles: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def words(self) -> str:
        """Return the present value."""
        return self._told(self.value)

    @property
    def default_words(self) -> str:
        """Return the default."""
        return self._told(self.default)

    def _told(self, value: Any) -> str:
        if self.kind == "role":
            return self.roles.get(value, value) or "не назначена"
        return written.setting_value(value, self.kind)


class SettingValue(Entry):
    """A value typed as its setting's kind asks: a term by number and unit, a switch by a box, a role from a list."""

    @override
    async def parse_form_data(self, request: Request, form_data: FormData) -> Any:
        """Return all inputs of the value as they were typed."""
        names = ("value_kind", "value", "number", "unit")
        return {name: text.strip() for name in names if isinstance(text := form_data.get(name), str)}

    @override
    async def validate(self, request: Request, value: Any, form_values: dict[str, Any]) -> None:
        """Raise ValueError unless the value can be read."""
        self.read(value)

    @override
    def read(self, typed: Any) -> Any:
        """Return the value as settings keep it."""
        kind = typed.get("value_kind")
        if kind == "term":
            return term_of(typed.get("number", ""), typed.get("unit", ""))
        if kind == "switch":
            return typed.get("value") == "yes"
        return whole(typed.get("value", "")) if kind == "number" else typed.get("value", "")

    @override
    def as_typed(self, value: Any) -> Any:
        """Return the stored value as it is; the register shapes it by the setting's kind."""
        return value


class Settings(Register):
    """Terms, switches, roles, numbers and texts that processes read when they next need them."""

    key, menu_label, display_name = "settings", "Настройки", "настройку"
    group, entity = "Правила", "setting"
    about = "Сроки и переключатели процессов. Новое значение действует сразу; открытые ожидания пересчитываются."
    pk_attr = "code"
    may_create = False
    fields = (
        shown("title", "Настройка"),
        shown("kind", "Вид", choices_of=KINDS),
        shown("words", "Значение"),
        shown("default_words", "По умолчанию"),
        shown("changed_at", "Изменено"),
        shown("changed_by", "Кто изменил"),
        shown("code", "Код", exclude_from_list=True),
        SettingValue(
            "value", "Значение", kind="setting", choices_of=role_choices, exclude_from_list=True,
            exclude_from_detail=True,
        ),
    )  # fmt: skip

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        roles = role_choices(session)
        return [InWords(**vars(one), roles=roles) for one in setting_lines(session)]

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> str:
        settings.change(work, row.code, data["value"])
        return str(row.code)

    @override
    def story(self, row: Any) -> list[Line]:
        return read(lambda session: story(session, self.entity, row.code, row.kind))

    @override
    def typed_of(self, row: Any, typed: dict[str, Any]) -> dict[str, Any]:
        value = typed.get("value")
        if isinstance(value, dict) and "value_kind" in value:  # typed and refused: shown as it was typed
            return {**typed, "value": {**value, "kind": row.kind, "empty": row.default == ""}}
        if row.kind == "term" and isinstance(row.value, dict):
            ((unit, number),) = row.value.items()
            return {"value": {"kind": "term", "unit": unit, "number": number}}
        return {"value": {"kind": row.kind, "value": row.value, "empty": row.default == ""}}

    @row_action(
        name="reset",
        text="Вернуть по умолчанию",
        confirmation="Настройка снова получит значение по умолчанию и будет следовать ему в новых версиях.",
        submit_btn_text="Вернуть по умолчанию",
    )
    async def reset(self, request: Request, pk: Any) -> None:
        """Give the setting its default back."""
        await self.act(request, lambda work: settings.reset(work, str(pk)))

    @override
    async def is_row_action_allowed_for_obj(self, request: Request, name: str, obj: Any) -> bool:
        return name != "reset" or obj.changed_at is not None


class Days(Register):
    """Days that work or rest here, whatever the state's calendar says."""

    key, menu_label, display_name = "days", "Рабочий календарь", "день"
    group, entity = "Правила", "calendar_day"
    about = "Дни, которые у нас не как в производственном календаре России. Сроки в рабочем времени пересчитываются."
    pk_attr = "key"
    exclude_fields_from_edit = ("day",)
    may_remove = True
    remove_question = "День снова станет таким, как в производственном календаре."
    fields = (
        Entry("day", "День", kind="date", required=True),
        Entry("working", "Рабочий", kind="switch", help_text="Выключено – в этот день отдыхают."),
        Entry("title", "Почему день особый", required=True, longest=calendar.LONGEST_TITLE),
    )

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        return calendar_days(session)

    @override
    def add(self, work: Work, data: Mapping[str, Any]) -> str:
        return calendar.add_day(work, data["day"], data["working"], data["title"]).day.isoformat()

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> str:
        return calendar.set_day(work, row.day, data["working"], data["title"]).day.isoformat()

    @override
    def remove(self, work: Work, row: Any) -> None:
        calendar.remove_day(work, row.day)

    @override
    def name_of(self, row: Any) -> str:
        day: date = row.day
        return f"{day:%d.%m.%Y} – {row.title}"
