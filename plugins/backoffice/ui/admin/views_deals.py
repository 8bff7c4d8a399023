"""Registers of sales: directions, their stages, fields of the deal card (R002-2, R002-5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette_admin import row_action
from typing_extensions import override

from backoffice.ui.admin.fields import Entry, asked, shown
from backoffice.ui.admin.mentions import mentions
from backoffice.ui.admin.register import Register
from include.reference import services
from include.reference.registers import card_fields, directions, funnel_choices, stages
from include.reference.rules import FIELD_KINDS, STAGE_KINDS, choices
from include.shared.work import Work

CODE_HINT = "Латиницей, например «site_visit». Потом не меняется."
PLACE_HINT = "Пусто – место выберется само."


class Directions(Register):
    """Directions of sales."""

    key, menu_label, display_name = "funnels", "Направления", "направление"
    group, entity = "Сделки", "funnel"
    about = "Воронки продаж. Новое направление сразу получает первую стадию, успех и проигрыш."
    pk_attr = "code"
    show_pk_in_forms = True
    exclude_fields_from_edit = ("code",)
    fields = (
        Entry("position", "Место", kind="number", exclude_from_create=True, required=True),
        Entry("title", "Название", required=True),
        Entry("code", "Код", required=True, longest=40, help_text=CODE_HINT),
        shown("stages", "Стадий"),
        shown("deals", "Сделок"),
    )

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        return directions(session)

    @override
    def add(self, work: Work, data: Mapping[str, Any]) -> str:
        return services.add_funnel(work, data["code"], data["title"]).code

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> str:
        return services.change_funnel(
            work, row.code, title=data["title"], position=data["position"], mentions=mentions()
        ).code


class Stages(Register):
    """Stages of the directions."""

    key, menu_label, display_name = "stages", "Стадии", "стадию"
    group, entity = "Сделки", "stage"
    about = "Стадию, с названием которой написан процесс, не переименовать и не убрать, пока процесс её ждёт."
    pk_attr = "id"
    fields = (
        asked("funnel_code", "Направление", kind="choice", choices_of=funnel_choices, required=True,
              exclude_from_edit=True),
        shown("funnel", "Направление"),
        Entry("position", "Место", kind="number", help_text=PLACE_HINT),
        Entry("title", "Название", required=True),
        Entry("kind", "Вид", kind="choice", choices_of=STAGE_KINDS, required=True, default="open"),
        Entry("code", "Код", required=True, longest=40, help_text=CODE_HINT, exclude_from_edit=True),
        shown("deals", "Сделок"),
        shown("active", "Используется"),
    )  # fmt: skip

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        return stages(session)

    @override
    def add(self, work: Work, data: Mapping[str, Any]) -> int:
        return services.add_stage(
            work, data["funnel_code"], data["code"], data["title"], data["kind"], data["position"]
        ).id

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> int:
        return services.change_stage(
            work, row.id, title=data["title"], kind=data["kind"], position=data["position"], mentions=mentions()
        ).id

    @override
    def name_of(self, row: Any) -> str:
        return f"{row.title} ({row.funnel})"

    @row_action(
        name="retire",
        text="Убрать из работы",
        confirmation="Сделки больше нельзя будет переводить на эту стадию; в истории она останется. Её можно вернуть.",
        submit_btn_text="Убрать из работы",
    )
    async def retire(self, request: Request, pk: Any) -> None:
        """Take the stage out of use."""
        await self.act(request, lambda work: services.retire_stage(work, int(pk), mentions()))

    @row_action(
        name="restore",
        text="Вернуть в работу",
        confirmation="Стадия снова появится на доске, перед завершающими.",
        submit_btn_text="Вернуть в работу",
    )
    async def restore(self, request: Request, pk: Any) -> None:
        """Bring the stage back."""
        await self.act(request, lambda work: services.restore_stage(work, int(pk)))

    @override
    async def is_row_action_allowed_for_obj(self, request: Request, name: str, obj: Any) -> bool:
        return bool({"retire": obj.active, "restore": not obj.active}.get(name, True))


class Fields(Register):
    """Fields of the deal card."""

    key, menu_label, display_name = "fields", "Поля сделки", "поле"
    group, entity = "Сделки", "deal_field"
    about = "Поля карточки сделки. Вид поля не меняется, когда оно уже заполнено или его читает процесс."
    pk_attr = "code"
    show_pk_in_forms = True
    exclude_fields_from_edit = ("code",)
    fields = (
        Entry("position", "Место", kind="number", help_text=PLACE_HINT),
        Entry("title", "Название", required=True),
        Entry("code", "Код", required=True, longest=40, help_text=CODE_HINT),
        Entry("kind", "Вид", kind="choice", choices_of=FIELD_KINDS, required=True),
        shown("funnel", "Направление"),
        asked("funnel_code", "Направление", kind="choice", choices_of=funnel_choices, blank="все направления"),
        Entry("choices", "Варианты", kind="long", exclude_from_list=True, longest=4000,
              help_text="Для вида «выбор из списка»: по одному в строке, код и название – «simple: простой»."),
    )  # fmt: skip

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        return card_fields(session)

    @override
    def add(self, work: Work, data: Mapping[str, Any]) -> str:
        return services.add_field(
            work, data["code"], data["title"], data["kind"], funnel_code=data["funnel_code"],
            choices=choices(data["choices"]), position=data["position"],
        ).code  # fmt: skip

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> str:
        return services.change_field(
            work, row.code, title=data["title"], kind=data["kind"], funnel_code=data["funnel_code"],
            choices=choices(data["choices"]), position=data["position"], mentions=mentions(),
        ).code  # fmt: skip
