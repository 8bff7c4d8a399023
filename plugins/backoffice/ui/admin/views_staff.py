"""Registers of the company: departments, people, logins, roles, who holds them, absences (R002-4, features 47)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette_admin import row_action
from typing_extensions import override

from backoffice.ui.admin.fields import Entry, asked, shown
from backoffice.ui.admin.register import Register
from include.reference import registers
from include.shared import clock
from include.shared.errors import Conflict
from include.shared.reference_event import reference_changed
from include.shared.work import Work
from include.staff import absence, admin, roles

STATES = {"ahead": "впереди", "now": "идёт сейчас", "over": "прошло", "cancelled": "отменено"}
PASSWORD_HINT = "От 8 знаков. Пусто – прежний остаётся. Старый пароль увидеть нельзя."  # noqa: S105 - a hint


def _zones(_session: Session) -> Mapping[str, str]:
    return {one: one for one in sorted(available_timezones()) if one.startswith(("Europe/", "Asia/"))}


def _person(name: str, label: str, **more: Any) -> Entry:
    return asked(name, label, kind="person_id", choices_of=registers.people_choices, **more)


def _department(name: str, label: str, **more: Any) -> Entry:
    return asked(name, label, kind="person_id", choices_of=registers.department_choices, **more)


class Departments(Register):
    """Departments of the company."""

    key, menu_label, display_name = "departments", "Отделы", "отдел"
    group, entity, title_field = "Компания", "department", "name"
    about = "Руководитель отдела – руководитель задач всех, кто в нём и ниже. Смена переводит и открытую работу."
    pk_attr = "id"
    may_remove = True
    remove_question = "Удалить можно только пустой отдел: без людей, отделов внутри и ролей из структуры."
    fields = (
        Entry("name", "Название", required=True),
        shown("parent", "Входит в"),
        _department("parent_id", "Входит в", blank="компания"),
        shown("head", "Руководитель"),
        _person("head_id", "Руководитель", blank="нет"),
        shown("people", "Сотрудников"),
    )

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        return registers.departments(session)

    @override
    def add(self, work: Work, data: Mapping[str, Any]) -> int:
        made = admin.add_department(work, data["name"], parent_id=data["parent_id"])
        if data["head_id"] is not None:
            admin.set_head(work, made.id, data["head_id"])
        return made.id

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> int:
        admin.rename_department(work, row.id, data["name"])
        admin.move_department(work, row.id, data["parent_id"])
        if data["head_id"] != row.head_id:
            admin.set_head(work, row.id, data["head_id"])
        return int(row.id)

    @override
    def remove(self, work: Work, row: Any) -> None:
        admin.delete_department(work, row.id)


class Employees(Register):
    """People of the company."""

    key, menu_label, display_name = "people", "Сотрудники", "сотрудника"
    group, entity, title_field = "Компания", "person", "name"
    about = "Кто работает и работал. Уволенный не получает работы и не входит; его прошлое остаётся."
    pk_attr = "id"
    fields = (
        shown("name", "Сотрудник"),
        asked("last_name", "Фамилия", required=True),
        asked("first_name", "Имя", required=True),
        asked("middle_name", "Отчество"),
        Entry("post", "Должность"),
        shown("department", "Отдел"),
        _department("department_id", "Отдел", blank="без отдела"),
        Entry("email", "Почта", kind="email", longest=254),
        Entry("time_zone", "Часовой пояс", kind="choice", choices_of=_zones, required=True, default="Europe/Moscow",
              exclude_from_list=True),
        shown("login", "Имя входа"),
        shown("active", "Работает"),
    )  # fmt: skip

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        return registers.employees(session)

    @override
    def add(self, work: Work, data: Mapping[str, Any]) -> int:
        return admin.add_person(work, **data).id

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> int:
        return admin.update_person(work, row.id, **data).id

    @row_action(
        name="deactivate",
        text="Уволить",
        confirmation="Сотрудник больше не получает работы и не может войти. Сначала передают то, что за ним числится.",
        submit_btn_text="Уволить",
        form="reason",
    )
    async def deactivate(self, request: Request, pk: Any) -> None:
        """Let the person go."""
        reason = str((await request.form()).get("reason") or "")
        await self.act(request, lambda work: admin.deactivate_person(work, int(pk), reason))

    @row_action(
        name="activate",
        text="Вернуть на работу",
        confirmation="Сотруднику снова можно давать работу. Вход открывают отдельно, в списке «Входы».",
        submit_btn_text="Вернуть на работу",
        form="reason",
    )
    async def activate(self, request: Request, pk: Any) -> None:
        """Take the person back."""
        reason = str((await request.form()).get("reason") or "")
        await self.act(request, lambda work: admin.activate_person(work, int(pk), reason))

    @override
    async def is_row_action_allowed_for_obj(self, request: Request, name: str, obj: Any) -> bool:
        return bool({"deactivate": obj.active, "activate": not obj.active}.get(name, True))


class Logins(Register):
    """How people log in; a password is set here and never shown."""

    key, menu_label, display_name = "logins", "Входы", "вход"
    group, entity, title_field = "Компания", "person", "name"
    about = "Имя входа, доступ и новый пароль. Закрытый вход снова открывает любое сохранение."
    pk_attr = "person_id"
    show_pk_in_forms = True
    exclude_fields_from_edit = ("person_id",)
    fields = (
        asked("person_id", "Сотрудник", kind="person_id", choices_of=registers.people_without_login, required=True),
        shown("name", "Сотрудник"),
        Entry("login", "Имя входа", required=True, longest=32,
              help_text="Латинские буквы, цифры и знаки . _ -"),
        Entry("access", "Доступ", kind="choice", choices_of=admin.ACCESSES, required=True, default="staff"),
        asked("password", "Новый пароль", kind="password", help_text=PASSWORD_HINT),
        shown("active", "Открыт"),
    )  # fmt: skip

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        return registers.logins(session)

    @override
    def add(self, work: Work, data: Mapping[str, Any]) -> int:
        # a login that somebody made meanwhile is not overwritten: it would get another password
        if self.row(work.session, str(data["person_id"])) is not None:
            msg = "У этого сотрудника вход уже есть: правьте его."
            raise Conflict(msg)
        return admin.set_account(work, data["person_id"], data["login"], data["password"], data["access"]).person_id

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> int:
        return admin.set_account(work, row.person_id, data["login"], data["password"] or None, data["access"]).person_id


class Roles(Register):
    """Roles that work is addressed to."""

    key, menu_label, display_name = "roles", "Роли", "роль"
    group, entity = "Компания", "role"
    about = "Процессы дают работу ролям. Роль из структуры держит руководитель отдела, остальные – назначенные люди."
    pk_attr = "code"
    show_pk_in_forms = True
    exclude_fields_from_edit = ("code",)
    may_remove = True
    remove_question = "Удалить можно роль, которую никто не держит и не ждёт ни один процесс."
    fields = (
        Entry("title", "Роль", required=True),
        Entry("code", "Код", required=True, longest=40, help_text="Латиницей. Потом не меняется."),
        shown("department", "Из структуры: руководитель отдела"),
        _department("department_id", "Из структуры: руководитель отдела", blank="нет, назначается вручную"),
        shown("holders", "Кто держит"),
    )

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        return registers.roles(session)

    @override
    def add(self, work: Work, data: Mapping[str, Any]) -> str:
        made = roles.add_role(work, data["code"], data["title"])
        return roles.set_role_source(work, made.code, data["department_id"]).code

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> str:
        roles.rename_role(work, row.code, data["title"])
        return roles.set_role_source(work, row.code, data["department_id"]).code

    @override
    def remove(self, work: Work, row: Any) -> None:
        roles.delete_role(work, row.code)


class Holders(Register):
    """Who holds which role."""

    key, menu_label, display_name = "holders", "Кто в роли", "назначение"
    group, entity, title_field = "Компания", "person", "person"
    about = "Кто держит роли, назначаемые вручную. Смена человека переводит и открытую работу роли (R001-17)."
    pk_attr = "id"
    may_remove = True
    remove_question = "Открытая работа роли перейдёт к другому, кто её держит; без него останется на прежнем месте."
    remove_button = "Снять роль"
    fields = (
        shown("role", "Роль"),
        asked("role_code", "Роль", kind="choice", choices_of=registers.role_choices, required=True,
              exclude_from_edit=True),
        shown("person", "Сотрудник"),
        _person("person_id", "Сотрудник", required=True),
        asked("move_open", "Передать открытую работу", kind="switch", default=True, exclude_from_create=True,
              help_text="Выключено – прежний человек закончит то, что у него открыто."),
        asked("reason", "Почему", exclude_from_create=True),
    )  # fmt: skip

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        return registers.holders(session)

    @override
    def add(self, work: Work, data: Mapping[str, Any]) -> str:
        roles.give_role(work, data["role_code"], data["person_id"])
        return f"{data['role_code']}.{data['person_id']}"

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> str:
        if data["person_id"] != row.person_id:
            roles.remap_role(
                work, row.role_code, row.person_id, data["person_id"], move_open=data["move_open"],
                reason=data["reason"],
            )  # fmt: skip
        return f"{row.role_code}.{data['person_id']}"

    @override
    def remove(self, work: Work, row: Any) -> None:
        roles.take_role(work, row.role_code, row.person_id)

    @override
    def name_of(self, row: Any) -> str:
        return f"{row.role}: {row.person}"

    @override
    def history_key(self, row: Any) -> int:
        return int(row.person_id)

    @override
    def typed_of(self, row: Any, typed: dict[str, Any]) -> dict[str, Any]:
        return {"move_open": True, **{name: value for name, value in typed.items() if value is not None}}


class Absences(Register):
    """Who is away and who stands in for him."""

    key, menu_label, display_name = "absences", "Отсутствия и замены", "отсутствие"
    group, entity, title_field = "Компания", "absence", "person"
    about = "Пока человека нет, его работу видит и решает замещающий. Время – московское."
    pk_attr = "id"
    may_remove = True
    remove_question = "Ещё не начавшееся отменяется; идущее заканчивается сейчас."
    remove_button = "Отменить"
    fields = (
        shown("person", "Кто отсутствует"),
        _person("person_id", "Кто отсутствует", required=True, exclude_from_edit=True),
        shown("substitute", "Кто замещает"),
        _person("substitute_id", "Кто замещает", blank="никто"),
        Entry("begins_at", "С", kind="datetime", required=True),
        Entry("ends_at", "До", kind="datetime", required=True),
        Entry("reason", "Причина", longest=300),
        shown("state", "Состояние", choices_of=STATES),
    )

    @override
    def rows(self, session: Session) -> Sequence[Any]:
        return registers.absences(session, clock.now(session))

    @override
    def add(self, work: Work, data: Mapping[str, Any]) -> int:
        return self._set(work, data["person_id"], data)

    @override
    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> int:
        if all(data[name] == getattr(row, name) for name in data):
            return int(row.id)
        self.remove(work, row)
        begun = max(data["begins_at"], work.now) if row.state == "now" else data["begins_at"]  # the past stays
        return self._set(work, row.person_id, {**data, "begins_at": begun})

    @override
    def remove(self, work: Work, row: Any) -> None:
        if row.state in ("over", "cancelled"):
            msg = "Это отсутствие уже закончилось или отменено: прошлое не меняют."
            raise Conflict(msg)
        absence.cancel_absence(work, row.id)
        reference_changed(work, "absence", row.id)

    def _set(self, work: Work, person_id: int, data: Mapping[str, Any]) -> int:
        made = absence.set_absence(
            work, person_id, data["begins_at"], data["ends_at"], data["substitute_id"], data["reason"]
        )
        reference_changed(work, "absence", made.id)
        return made.id
