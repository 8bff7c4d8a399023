"""Reference data: brought in once by an installation, then kept by administrators (R002-2, AG-5).

What staff changed stays as they left it. Each change is refused in words, audited with before and after, and emits an
event. Processes are written with titles and codes, so the caller says which ones they mention.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Integer, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import insert

from include.deals.models import Deal, DealField, Funnel, Stage
from include.reference import rules
from include.reference.catalogue import FIELDS, FUNNELS, ROLES, SETTINGS
from include.reference.rules import FIELD_KINDS, STAGE_KINDS, Mention, who_names
from include.shared import settings
from include.shared.db import Base
from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.reference_event import reference_changed
from include.shared.work import Work
from include.staff.models import Role

_LOCK = 730_021_002  # changes of reference data come one after another: titles stay unique, places stay in order
_FIRST_STAGES = (
    ("new", "Не обработан", "open"),
    ("won", "Сделка успешна", "won"),
    ("lost", "Сделка проиграна", "lost"),
)
FURTHEST_PLACE = 10_000
Row = TypeVar("Row", Funnel, Stage, DealField)


def load_reference(work: Work) -> int:
    """Add the missing funnels, stages, fields, roles and settings; returns how many rows were added."""
    added = {
        "Направления": _add(work, Funnel, _funnels()),
        "Стадии": _add(work, Stage, _stages()),
        "Поля сделки": _add(work, DealField, _fields()),
        "Роли": _add(work, Role, [{"code": code, "title": title} for code, title in ROLES.items()]),
    }
    for row in SETTINGS:
        settings.declare(work, row.code, row.title, row.kind, row.default)
    total = sum(added.values())
    if total:
        work.audit("reference.loaded", "Загружены справочники", entity="reference", after=added)
    return total


def begin_edit(work: Work) -> None:
    """Begin an administrator's change: changes come one after another, and only he may make them."""
    if work.actor.is_person and work.actor.access != "admin":
        msg = "Справочники меняет только администратор."
        raise Forbidden(msg)
    work.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def add_funnel(work: Work, code: str, title: str) -> Funnel:
    """Add a direction with its first stage and its two ends; other stages are added between them."""
    begin_edit(work)
    code, title = rules.code(code), _funnel_title(title)
    known = work.session.scalars(select(Funnel)).all()
    _refuse_double(code in {one.code for one in known}, f"Код «{code}» уже занят.", "code")
    _refuse_double(title in {one.title for one in known}, f"Направление «{title}» уже есть.", "title")
    funnel = Funnel(code=code, title=title, position=len(known) + 1)
    work.session.add(funnel)
    work.session.flush()
    for place, (stage, name, kind) in enumerate(_FIRST_STAGES, 1):
        work.session.add(Stage(funnel_code=code, code=stage, title=name, kind=kind, position=place, active=True))
    _place(known, funnel, None)
    stages = [name for _, name, _ in _FIRST_STAGES]
    _said(work, "funnel", code, "added", f"Создано направление «{title}»", after={"title": title, "stages": stages})
    return funnel


def change_funnel(
    work: Work, code: str, *, title: str, position: int | None = None, mentions: Iterable[Mention] = ()
) -> Funnel:
    """Rename a direction or move it among the others; one that processes are written with keeps its name."""
    begin_edit(work)
    funnel = _found(work, Funnel, code, "Такого направления нет.")
    title, known = _funnel_title(title), work.session.scalars(select(Funnel)).all()
    _refuse_double(
        title in {one.title for one in known if one is not funnel}, f"Направление «{title}» уже есть.", "title"
    )
    if title != funnel.title:
        named = {one.process for one in mentions if one.funnel == funnel.title} | set(who_names(mentions, funnel.title))
        _refuse_named(f"Направление «{funnel.title}» нельзя переименовать", sorted(named), "title")
    before = {"title": funnel.title, "position": funnel.position}
    funnel.title = title
    _place(known, funnel, position)
    _changed(work, "funnel", funnel.code, f"Направление «{title}»", before, funnel)
    return funnel


def add_stage(
    work: Work, funnel_code: str, code: str, title: str, kind: str = "open", position: int | None = None
) -> Stage:
    """Add a stage to a direction; without a place it stands before the ends."""
    begin_edit(work)
    funnel = _found(work, Funnel, funnel_code, "Такого направления нет.")
    code, title, kind = rules.code(code), rules.title(title, "Название"), _stage_kind(kind)
    known = _stages_of(work, funnel)
    _refuse_double(
        code in {one.code for one in known}, f"В направлении «{funnel.title}» код «{code}» уже занят.", "code"
    )
    _refuse_double_title(funnel, known, title)
    stage = Stage(funnel_code=funnel.code, code=code, title=title, kind=kind, position=len(known) + 1, active=True)
    work.session.add(stage)
    work.session.flush()
    active = [one for one in known if one.active]
    before_ends = sum(1 for one in active if one.kind == "open") + 1
    _place(active, stage, position if position is not None else before_ends, behind=_retired(known))
    _check_ends(funnel, [*active, stage])
    _said(
        work, "stage", stage.id, "added", f"Создана стадия «{title}» ({funnel.title})",
        after={"title": title, "kind": kind, "position": stage.position},
    )  # fmt: skip
    return stage


def change_stage(
    work: Work, stage_id: int, *, title: str, kind: str, position: int | None = None, mentions: Iterable[Mention] = ()
) -> Stage:
    """Rename, move or re-class a stage; one that processes are written with keeps its name."""
    begin_edit(work)
    stage, funnel = _locked_stage(work, stage_id)
    known = _stages_of(work, funnel)
    title, kind = rules.title(title, "Название"), _stage_kind(kind)
    _refuse_double_title(funnel, [one for one in known if one is not stage], title)
    if title != stage.title:
        named = who_names(mentions, stage.title, funnel.title)
        _refuse_named(f"Стадию «{stage.title}» нельзя переименовать", named, "title")
    if kind != stage.kind:
        _refuse_deals(work, stage, "меняйте, когда на ней нет сделок", "kind")
    before = {"title": stage.title, "kind": stage.kind, "position": stage.position}
    stage.title, stage.kind = title, kind
    if stage.active:
        active = [one for one in known if one.active]
        _place(active, stage, position, behind=_retired(known))
        _check_ends(funnel, active)
    _changed(work, "stage", stage.id, f"Стадия «{title}» ({funnel.title})", before, stage)
    return stage


def retire_stage(work: Work, stage_id: int, mentions: Iterable[Mention] = ()) -> Stage:
    """Take a stage out of use: deals can no longer be moved to it, its past stays in their history."""
    begin_edit(work)
    stage, funnel = _locked_stage(work, stage_id)
    if not stage.active:
        return stage
    _refuse_named(f"Стадию «{stage.title}» нельзя убрать", who_names(mentions, stage.title, funnel.title), None)
    _refuse_deals(work, stage, "сначала переведите их", None)
    known = _stages_of(work, funnel)
    stage.active = False
    active = [one for one in known if one.active]
    _check_ends(funnel, active)
    for place, one in enumerate([*active, *_retired(known)], 1):
        one.position = place
    _said(
        work, "stage", stage.id, "retired", f"Стадия «{stage.title}» ({funnel.title}) больше не используется",
        before={"active": True}, after={"active": False},
    )  # fmt: skip
    return stage


def restore_stage(work: Work, stage_id: int) -> Stage:
    """Bring a retired stage back, before the ends."""
    begin_edit(work)
    stage, funnel = _locked_stage(work, stage_id)
    if stage.active:
        return stage
    known = _stages_of(work, funnel)
    active = [one for one in known if one.active]
    stage.active = True
    place = sum(1 for one in active if one.kind == "open") + 1
    _place(active, stage, place if stage.kind == "open" else None, behind=_retired(known))
    _said(
        work, "stage", stage.id, "restored", f"Стадия «{stage.title}» ({funnel.title}) снова используется",
        before={"active": False}, after={"active": True},
    )  # fmt: skip
    return stage


def add_field(
    work: Work,
    code: str,
    title: str,
    kind: str,
    *,
    funnel_code: str | None = None,
    choices: Mapping[str, str] | None = None,
    position: int | None = None,
) -> DealField:
    """Add a field of the deal card; without a direction it belongs to all."""
    begin_edit(work)
    code, title, kind = rules.code(code), rules.title(title, "Название"), _field_kind(kind)
    known = work.session.scalars(select(DealField)).all()
    _refuse_double(code in {one.code for one in known} | _OWN_FIELDS, f"Код «{code}» уже занят.", "code")
    _funnel_or_all(work, funnel_code)
    _refuse_double_field(known, title, funnel_code)
    options = _options(kind, choices)
    field = DealField(
        code=code, title=title, kind=kind, options=options, funnel_code=funnel_code, position=len(known) + 1
    )
    work.session.add(field)
    work.session.flush()
    _place(known, field, position)
    _said(
        work, "deal_field", code, "added", f"Создано поле сделки «{title}»",
        after={"title": title, "kind": kind, "options": options, "funnel_code": funnel_code},
    )  # fmt: skip
    return field


def change_field(
    work: Work,
    code: str,
    *,
    title: str,
    kind: str,
    funnel_code: str | None = None,
    choices: Mapping[str, str] | None = None,
    position: int | None = None,
    mentions: Iterable[Mention] = (),
) -> DealField:
    """Change a field of the deal card; once deals or processes use it, its kind, direction and used choices stay."""
    begin_edit(work)
    field = _found(work, DealField, code, "Такого поля нет.")
    title, kind = rules.title(title, "Название"), _field_kind(kind)
    mentions = list(mentions)
    known = work.session.scalars(select(DealField)).all()
    _funnel_or_all(work, funnel_code)
    _refuse_double_field([one for one in known if one is not field], title, funnel_code)
    options = _options(kind, choices)
    if kind != field.kind:
        _refuse_used(work, field, mentions, "вид", "kind")
    if funnel_code not in (None, field.funnel_code):
        _refuse_used(work, field, mentions, "направление", "funnel_code")
    if kind == field.kind == "choice":
        _refuse_lost_choices(work, field, options["choices"], mentions)
    before = {
        "title": field.title, "kind": field.kind, "options": field.options, "funnel_code": field.funnel_code,
        "position": field.position,
    }  # fmt: skip
    field.title, field.kind, field.options, field.funnel_code = title, kind, options, funnel_code
    _place(known, field, position)
    _changed(work, "deal_field", field.code, f"Поле сделки «{title}»", before, field)
    return field


# --- how it is done -----------------------------------------------------------------------------------------------

#: Codes of the deal itself, which ``set_fields`` takes beside its fields.
_OWN_FIELDS = frozenset({"title", "time_zone", "amount", "paid", "debt", "overpaid", "responsible", "company"})


def _add(work: Work, table: type[Base], rows: list[dict[str, Any]]) -> int:
    missing = insert(table).values(rows).on_conflict_do_nothing()
    return len(work.session.execute(missing.returning(literal_column("1", Integer))).all())


def _funnels() -> list[dict[str, Any]]:
    return [{"code": one.code, "title": one.title, "position": place} for place, one in enumerate(FUNNELS, 1)]


def _stages() -> list[dict[str, Any]]:
    return [
        {"funnel_code": line.code, "code": one.code, "title": one.title, "kind": one.kind, "position": place}
        for line in FUNNELS
        for place, one in enumerate(line.stages, 1)
    ]


def _fields() -> list[dict[str, Any]]:
    return [
        {
            "code": one.code,
            "title": one.title,
            "kind": one.kind,
            "options": one.options,
            "funnel_code": one.funnel,
            "position": place,
        }
        for place, one in enumerate(FIELDS, 1)
    ]


def _found(work: Work, table: type[Row], key: Any, missing: str) -> Row:
    row = work.session.get(table, key)
    if row is None:
        raise NotFound(missing)
    work.session.refresh(row, with_for_update=True)
    return row


def _locked_stage(work: Work, stage_id: int) -> tuple[Stage, Funnel]:
    """Return a stage no deal can be moved to meanwhile: a move shares its row's key."""
    stage = _found(work, Stage, stage_id, "Такой стадии нет.")
    return stage, work.session.get_one(Funnel, stage.funnel_code)


def _stages_of(work: Work, funnel: Funnel) -> Sequence[Stage]:
    return work.session.scalars(
        select(Stage).where(Stage.funnel_code == funnel.code).order_by(Stage.position, Stage.id)
    ).all()


def _retired(known: Sequence[Stage]) -> list[Stage]:
    return [one for one in known if not one.active]


def _place(
    known: Sequence[Funnel | Stage | DealField],
    row: Funnel | Stage | DealField,
    place: int | None,
    behind: Sequence[Stage] = (),
) -> None:
    """Number the rows from 1 with ``row`` at its place; without a place it stays where it is."""
    if place is not None and not 1 <= place <= FURTHEST_PLACE:
        msg = "Место – целое число, начиная с 1."
        raise InvalidInput(msg, "position")
    order = sorted((one for one in known if one is not row), key=lambda one: one.position)
    if place is None:
        place = 1 + sum(1 for one in order if one.position < row.position)
    order.insert(place - 1, row)
    for number, one in enumerate([*order, *(one for one in behind if one is not row)], 1):
        if one.position != number:
            one.position = number


def _check_ends(funnel: Funnel, active: Sequence[Stage]) -> None:
    """Keep a direction workable: deals begin on an open stage and can be won and lost."""
    first = min(active, key=lambda one: one.position)
    if first.kind != "open":
        msg = f"Первой в направлении «{funnel.title}» стоит стадия «в работе»: на ней появляются обращения."
        raise InvalidInput(msg, "position")
    missing = [words for kind, words in STAGE_KINDS.items() if kind not in {one.kind for one in active}]
    if missing:
        msg = f"В направлении «{funnel.title}» должна остаться стадия вида «{missing[0]}»."
        raise Conflict(msg)


def _refuse_double(is_double: bool, said: str, field: str) -> None:
    if is_double:
        raise InvalidInput(said, field)


def _refuse_double_title(funnel: Funnel, others: Sequence[Stage], title: str) -> None:
    double = next((one for one in others if one.title == title), None)
    if double is not None:
        retired = "" if double.active else " (убрана из работы – её можно вернуть)"
        msg = f"В направлении «{funnel.title}» уже есть стадия «{title}»{retired}."
        raise InvalidInput(msg, "title")


def _refuse_double_field(others: Sequence[DealField], title: str, funnel_code: str | None) -> None:
    seen_together = {
        one.title for one in others if None in (one.funnel_code, funnel_code) or one.funnel_code == funnel_code
    }
    _refuse_double(title in seen_together, f"Поле «{title}» уже есть.", "title")


def _refuse_named(said: str, processes: Sequence[str], field: str | None) -> None:
    if not processes:
        return
    msg = f"{said}: с этим названием написаны процессы {', '.join(processes)}. Сначала меняют их."
    if field is None:
        raise Conflict(msg)
    raise InvalidInput(msg, field)


def _refuse_deals(work: Work, stage: Stage, advice: str, field: str | None) -> None:
    count = work.session.scalar(select(func.count()).select_from(Deal).where(Deal.stage_id == stage.id)) or 0
    if not count:
        return
    msg = f"На стадии «{stage.title}» сделок: {count} – {advice}."
    if field is None:
        raise Conflict(msg)
    raise InvalidInput(msg, field)


def _refuse_used(work: Work, field: DealField, mentions: Sequence[Mention], what: str, name: str) -> None:
    named = who_names(mentions, field.code)
    if named:
        msg = f"Сменить {what} нельзя: поле читают процессы {', '.join(named)}. Сначала меняют их."
        raise InvalidInput(msg, name)
    if work.session.scalar(select(Deal.id).where(Deal.fields.has_key(field.code)).limit(1)) is not None:
        msg = f"Сменить {what} нельзя: поле уже заполнено в сделках. Заведите новое поле."
        raise InvalidInput(msg, name)


def _refuse_lost_choices(work: Work, field: DealField, kept: Mapping[str, str], mentions: Sequence[Mention]) -> None:
    for key, name in field.options.get("choices", {}).items():
        if key in kept:
            continue
        if who_names(mentions, key):
            msg = f"Вариант «{name}» нельзя убрать: его ждут процессы {', '.join(who_names(mentions, key))}."
            raise InvalidInput(msg, "choices")
        if work.session.scalar(select(Deal.id).where(Deal.fields[field.code].astext == key).limit(1)) is not None:
            msg = f"Вариант «{name}» нельзя убрать: он выбран в сделках. Название сменить можно."
            raise InvalidInput(msg, "choices")


def _funnel_title(value: str) -> str:
    title = rules.title(value, "Название")
    if "/" in title:
        msg = "В названии направления не бывает косой черты: по ней процессы отделяют стадию."
        raise InvalidInput(msg, "title")
    return title


def _stage_kind(kind: str) -> str:
    if kind not in STAGE_KINDS:
        msg = f"Вид стадии: {', '.join(STAGE_KINDS.values())}."
        raise InvalidInput(msg, "kind")
    return kind


def _field_kind(kind: str) -> str:
    if kind not in FIELD_KINDS:
        msg = f"Вид поля: {', '.join(FIELD_KINDS.values())}."
        raise InvalidInput(msg, "kind")
    return kind


def _options(kind: str, choices: Mapping[str, str] | None) -> dict[str, Any]:
    if kind == "choice" and not choices:
        msg = "Напишите варианты выбора, по одному в строке: «simple: простой»."
        raise InvalidInput(msg, "choices")
    if kind != "choice" and choices:
        msg = "Варианты бывают только у поля «выбор из списка»."
        raise InvalidInput(msg, "choices")
    return {"choices": dict(choices)} if choices else {}


def _funnel_or_all(work: Work, funnel_code: str | None) -> None:
    if funnel_code is not None and work.session.get(Funnel, funnel_code) is None:
        msg = "Такого направления нет."
        raise InvalidInput(msg, "funnel_code")


def _changed(
    work: Work, entity: str, key: int | str, name: str, before: dict[str, Any], row: Funnel | Stage | DealField
) -> None:
    """Audit what differs from ``before``; a change that changes nothing leaves no trace."""
    after = {one: getattr(row, one) for one in before if getattr(row, one) != before[one]}
    if after:
        was = {one: before[one] for one in after}
        _said(work, entity, key, "changed", f"{name}: изменено", before=was, after=after)


def _said(
    work: Work,
    entity: str,
    key: int | str,
    act: str,
    said: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    work.session.flush()
    number = key if isinstance(key, int) else None
    code = {} if number is not None else {"code": key}
    work.audit(f"{entity}.{act}", said, entity=entity, entity_id=number, before=before, after={**code, **(after or {})})
    reference_changed(work, entity, key)
