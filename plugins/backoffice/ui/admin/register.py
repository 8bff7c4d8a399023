"""A register of reference data: reads by a read function, changes by services only.

starlette-admin never holds a session here, so it has nothing to commit: each act is one transaction of ours with its
audit and its event, refused in words beside the field, and a row that another administrator has changed meanwhile is
not overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette_admin.exceptions import ActionFailed, FormValidationError
from starlette_admin.views import BaseModelView
from typing_extensions import override

from backoffice.ui.admin.fields import Entry
from backoffice.ui.admin.story import Line, story
from include.reference.registers import fingerprint
from include.reference.services import begin_edit
from include.shared.errors import BackofficeError, Conflict, InvalidInput, NotFound
from include.shared.names import search_key
from include.shared.work import Work, reading, transaction
from include.staff.services import Viewer

Result = TypeVar("Result")
GENERAL = ""  # the sentence that belongs to no field
SEEN = "seen"
CHANGED = "Пока вы правили, запись изменил другой администратор. Откройте её заново и повторите."
LIST_SIZE = 50


class Register(BaseModelView):
    """What every register shares; a subclass names its fields, its read and its services."""

    group: ClassVar[str] = ""
    about: ClassVar[str] = ""  # one sentence under the title
    entity: ClassVar[str] = ""  # whose history the card shows
    created: ClassVar[str] = "Добавлено"
    remove_question: ClassVar[str] = ""
    remove_button: ClassVar[str] = "Удалить"
    may_create: ClassVar[bool] = True
    may_edit: ClassVar[bool] = True
    may_remove: ClassVar[bool] = False
    title_field: ClassVar[str] = "title"

    page_size = LIST_SIZE
    page_size_options = (LIST_SIZE,)
    actions = ()
    exporters = ()
    importers = ()
    column_visibility = False
    fields: Sequence[Entry] = ()

    # --- what a subclass says ---

    def rows(self, session: Session) -> Sequence[Any]:
        """Return all rows in their natural order."""
        raise NotImplementedError

    def add(self, work: Work, data: Mapping[str, Any]) -> Any:
        """Add a row by a service; return its key."""
        raise NotImplementedError

    def change(self, work: Work, row: Any, data: Mapping[str, Any]) -> Any:
        """Change a row by services; return its key."""
        raise NotImplementedError

    def remove(self, work: Work, row: Any) -> None:
        """Remove a row by a service."""
        raise NotImplementedError

    def history_key(self, row: Any) -> int | str:
        """Return what the audit knows the row by."""
        key: int | str = getattr(row, str(self.pk_attr))
        return key

    def name_of(self, row: Any) -> str:
        """Return the row's name for titles and messages."""
        return str(getattr(row, self.title_field))

    def typed_of(self, _row: Any, typed: dict[str, Any]) -> dict[str, Any]:
        """Return the typed values of an edit form as its inputs show them; a register may shape them by its row."""
        return typed

    # --- rights of starlette-admin's own routes ---

    @override
    def can_create(self, _request: Request) -> bool:
        """Say whether rows are added here."""
        return self.may_create

    @override
    def can_edit(self, _request: Request) -> bool:
        """Say whether rows are edited here."""
        return self.may_edit

    @override
    def can_delete(self, _request: Request) -> bool:
        """Say whether rows are removed here."""
        return self.may_remove

    @override
    def can_export(self, _request: Request) -> bool:
        """Nothing is exported from here."""
        return False

    @override
    def can_import(self, _request: Request) -> bool:
        """Nothing is imported here: each change is a person's act."""
        return False

    @override
    async def is_action_allowed(self, _request: Request, _name: str) -> bool:
        """Nothing is done to many rows at once: each act is asked about one."""
        return False

    # --- reads ---

    @override
    async def find_all(
        self,
        request: Request,
        skip: int = 0,
        limit: int = 100,
        q: str | None = None,
        sorts: Sequence[tuple[str, str]] | None = None,
        filters: Any = None,
    ) -> Sequence[Any]:
        """Return a page of the rows, found and sorted as asked."""
        found = await run_in_threadpool(self._found, q)
        if "sort" in request.query_params:  # else the order of the read
            for name, direction in reversed(sorts or ()):
                found.sort(key=_by(name), reverse=direction == "desc")
        return found[skip : skip + limit] if limit > 0 else found[skip:]

    @override
    async def count(self, request: Request, q: str | None = None, filters: Any = None) -> int:
        """Return how many rows there are."""
        return len(await run_in_threadpool(self._found, q))

    @override
    async def find_by_pk(self, request: Request, pk: Any) -> Any:
        """Return a row by its key, None when there is none."""

        def by_key(session: Session) -> Any:
            return self.row(session, str(pk))

        return await run_in_threadpool(read, by_key)

    @override
    async def find_by_pks(self, request: Request, pks: list[Any]) -> Sequence[Any]:
        """Return rows by their keys."""
        rows = [await self.find_by_pk(request, one) for one in pks]
        return [one for one in rows if one is not None]

    def row(self, session: Session, key: str) -> Any:
        """Return a row by its key as an address writes it."""
        return next((one for one in self.rows(session) if str(getattr(one, str(self.pk_attr))) == key), None)

    @override
    async def repr(self, obj: Any, request: Request) -> str:
        """Return the row's name."""
        return self.name_of(obj)

    def entries(self, request: Request) -> list[Entry]:
        """Return the fields of the page that is asked for."""
        return [one for one in self.get_fields_list(request) if isinstance(one, Entry)]

    async def choices(self, request: Request, row: Any = None) -> dict[str, Mapping[str, str]]:
        """Return the choices of the form's selects; a present value stays among them."""
        entries = [one for one in self.entries(request) if one.choices_of is not None]

        def all_choices(session: Session) -> dict[str, Mapping[str, str]]:
            return {one.name: _choices(one, session) for one in entries}

        found = await run_in_threadpool(read, all_choices)
        return {name: _with_present(known, row, name) for name, known in found.items()}

    def story(self, row: Any) -> list[Line]:
        """Return the row's history."""
        return read(lambda session: story(session, self.entity, self.history_key(row)))

    # --- changes: each one transaction of ours ---

    @override
    async def create(self, request: Request, data: dict[str, Any]) -> Any:
        """Add a row by its service."""

        def act(work: Work) -> Any:
            return self._after(work, self.add(work, self._values(data)))

        return await self._save(request, act)

    @override
    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> Any:
        """Change a row by its services, unless somebody has changed it since it was shown."""
        seen = (await request.form()).get(SEEN)

        def act(work: Work) -> Any:
            row = self._present(work, pk)
            if seen != fingerprint(row):
                raise Conflict(CHANGED)
            return self._after(work, self.change(work, row, self._values(data)))

        return await self._save(request, act)

    @override
    async def delete(self, request: Request, pks: list[Any]) -> int:
        """Remove rows by their service, all or none."""

        def act(work: Work) -> int:
            for pk in pks:
                self.remove(work, self._present(work, pk))
            return len(pks)

        return await self.act(request, act)

    async def act(self, request: Request, doing: Callable[[Work], Result]) -> Result:
        """Do one act in a transaction of the viewer; what is refused is told where it was asked."""
        try:
            return await run_in_threadpool(_within, _viewer(request), doing)
        except BackofficeError as error:
            raise ActionFailed(str(error)) from error

    async def _save(self, request: Request, doing: Callable[[Work], Any]) -> Any:
        try:
            return await run_in_threadpool(_within, _viewer(request), doing)
        except BackofficeError as error:
            name = error.field if isinstance(error, InvalidInput) else None
            known = {one.name for one in self.get_fields_list(request)}
            raise FormValidationError({name if name in known else GENERAL: str(error)}) from error

    def _values(self, data: Mapping[str, Any]) -> dict[str, Any]:
        by_name = {one.name: one for one in self.fields}
        return {name: by_name[name].read(typed) for name, typed in data.items()}

    def _present(self, work: Work, pk: Any) -> Any:
        row = self.row(work.session, str(pk))
        if row is None:
            msg = "Этой записи уже нет."
            raise NotFound(msg)
        return row

    def _after(self, work: Work, key: Any) -> Any:
        work.session.flush()
        work.session.expire_all()
        return self._present(work, key)

    def _found(self, q: str | None) -> list[Any]:
        rows = list(read(self.rows))
        wanted = search_key(q or "")
        shown = [one.name for one in self.fields if not one.exclude_from_list]
        return [one for one in rows if wanted in self._searched(one, shown)] if wanted else rows

    def _searched(self, row: Any, shown: Sequence[str]) -> str:
        by_name = {one.name: one for one in self.fields}
        texts = (by_name[name].as_told(value) for name in shown if (value := getattr(row, name, None)) is not None)
        return search_key(" ".join(texts))


def _within(viewer: Viewer, doing: Callable[[Work], Result]) -> Result:
    with transaction(viewer.actor) as work:
        begin_edit(work)
        return doing(work)


def read(doing: Callable[[Session], Result]) -> Result:
    """Read something in a transaction of its own."""
    with reading() as session:
        return doing(session)


def _viewer(request: Request) -> Viewer:
    viewer: Viewer = request.state.viewer
    return viewer


def _choices(entry: Entry, session: Session) -> Mapping[str, str]:
    known = entry.choices_of
    if known is None:
        return {}
    return known if isinstance(known, Mapping) else known(session)


def _with_present(known: Mapping[str, str], row: Any, name: str) -> Mapping[str, str]:
    value = getattr(row, name, None)
    if value is None or str(value) in known:
        return known
    told = getattr(row, name.removesuffix("_id").removesuffix("_code"), value)
    return {str(value): str(told), **known}


def _by(name: str) -> Callable[[Any], tuple[bool, Any]]:
    def value_of(row: Any) -> tuple[bool, Any]:
        value = getattr(row, name, None)
        return value is None, search_key(value) if isinstance(value, str) else 0 if value is None else value

    return value_of
