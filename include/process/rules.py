"""What processes may say about a case: conditions (guards, only_if) and moments; pure, no database.

Both are small JSON trees, because they travel inside stored triggers for months; the classes only build them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from include.shared.errors import Missing
from include.shared.working_time import Term, WorkCalendar, moment_of

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """A condition over the facts of a case; combine with ``&``, ``|``, ``~``."""

    body: dict[str, Any]

    def __and__(self, other: Condition) -> Condition:
        return Condition({"all": [self.body, other.body]})

    def __or__(self, other: Condition) -> Condition:
        return Condition({"any": [self.body, other.body]})

    def __invert__(self) -> Condition:
        return Condition({"not": self.body})


def filled(field: str) -> Condition:
    """The field has a value («задачу нельзя закрыть пока не заведена дата»)."""
    return Condition({"filled": field})


def equals(field: str, value: Any) -> Condition:
    """The field equals this value."""
    return Condition({"equals": [field, value]})


def at_least(field: str, other: str) -> Condition:
    """The sum in ``field`` is at least that in ``other``, and the other is above zero (R002-43)."""
    return Condition({"at_least": [field, other]})


def in_future(field: str) -> Condition:
    """The date in the field lies ahead (R002-18)."""
    return Condition({"in_future": field})


def came_from(stage: str) -> Condition:
    """The deal came to its present stage from ``stage``."""
    return equals("came_from", stage)


def moved_by_person() -> Condition:
    """The present stage was chosen by a person, not by a robot or an integration (A2-5)."""
    return equals("moved_by_person", True)


def on_funnel(title: str) -> Condition:
    """The deal goes through the funnel with this title."""
    return equals("funnel", title)


def unmet(body: Mapping[str, Any], facts: Facts, titles: Mapping[str, str], now: datetime) -> list[Missing]:
    """Return what is missing for the condition to hold, in words; an empty list means that it holds."""
    ((kind, argument),) = body.items()
    link = facts.get("link")

    def title(field: str) -> str:
        return titles.get(field, field)

    if kind == "all":
        return [one for part in argument for one in unmet(part, facts, titles, now)]
    if kind == "any":
        answers = [unmet(part, facts, titles, now) for part in argument]
        if not all(answers):
            return []
        wanted = (" и ".join(one.text for one in answer) for answer in answers)
        return [Missing(" или ".join(wanted), answers[0][0].link)]
    if kind == "not":
        return [] if unmet(argument, facts, titles, now) else [_must_not(argument, titles, link)]
    if kind == "filled":
        if facts.get(argument) not in (None, "", []):
            return []
        return [Missing(f"не заполнено поле «{title(argument)}»", _anchor(link, argument))]
    if kind == "equals":
        field, value = argument
        if facts.get(field) == value:
            return []
        return [Missing(f"поле «{title(field)}» должно быть равно «{_said(value)}»", _anchor(link, field))]
    if kind == "at_least":
        field, other = argument
        have, need = _sum(facts.get(field)), _sum(facts.get(other))
        if need is None or need <= 0:
            return [Missing(f"не заполнено поле «{title(other)}»", _anchor(link, other))]
        if have is not None and have >= need:
            return []
        text = f"«{title(field)}» {_money(have or Decimal(0))} меньше, чем «{title(other)}» {_money(need)}"
        return [Missing(text, _anchor(link, field))]
    if kind == "in_future":
        moment = moment_of(facts.get(argument), facts.get("time_zone", "Europe/Moscow"))
        if moment is not None and moment > now:
            return []
        return [Missing(f"в поле «{title(argument)}» нужна будущая дата", _anchor(link, argument))]
    msg = f"Неизвестное условие: {kind}"
    raise ValueError(msg)


def _must_not(body: Mapping[str, Any], titles: Mapping[str, str], link: str | None) -> Missing:
    ((kind, argument),) = body.items()
    if kind == "filled":
        return Missing(f"поле «{titles.get(argument, argument)}» должно быть пустым", _anchor(link, argument))
    if kind == "equals":
        field, value = argument
        text = f"поле «{titles.get(field, field)}» не должно быть равно «{_said(value)}»"
        return Missing(text, _anchor(link, field))
    names = ", ".join(f"«{titles.get(field, field)}»" for field in sorted(fields_of(body)))
    return Missing(f"поля {names} должны быть другими", link)


def check_condition(body: Mapping[str, Any]) -> None:
    """Raise ValueError when the tree is not a condition that ``unmet`` can read."""
    if len(body) != 1:
        msg = f"Условие должно иметь один ключ: {dict(body)!r}"
        raise ValueError(msg)
    ((kind, argument),) = body.items()
    if kind in {"all", "any"}:
        for part in argument:
            check_condition(part)
    elif kind == "not":
        check_condition(argument)
    elif kind not in {"filled", "equals", "at_least", "in_future"}:
        msg = f"Неизвестное условие: {kind}"
        raise ValueError(msg)


def fields_of(body: Mapping[str, Any]) -> set[str]:
    """Return the fields that the condition reads."""
    ((kind, argument),) = body.items()
    if kind in {"all", "any"}:
        return {name for part in argument for name in fields_of(part)}
    if kind == "not":
        return fields_of(argument)
    if kind == "equals":
        return {argument[0]}
    return set(argument) if kind == "at_least" else {argument}


@dataclass(frozen=True)
class TermRef:
    """A term that staff may change on the settings page; the literal here is its default."""

    setting: str | None
    default: Term
    title: str = ""

    def body(self) -> dict[str, Any]:
        """Return the stored form."""
        return {"setting": self.setting, "default": dict(self.default), "title": self.title}


@dataclass(frozen=True)
class MomentRef:
    """A moment: a base (task opened, its due, stage entered, a field, a step's end) and an offset."""

    base: str
    offset: TermRef
    sign: int = 1

    def body(self) -> dict[str, Any]:
        """Return the stored form."""
        return {"base": self.base, "offset": self.offset.body(), "sign": self.sign}


def hours(number: int) -> Term:
    """A term in calendar hours."""
    return {"hours": number}


def days(number: int) -> Term:
    """A term in calendar days."""
    return {"days": number}


def working_days(number: int) -> Term:
    """A term in working days."""
    return {"working_days": number}


def term(setting: str, default: Term, title: str) -> TermRef:
    """A term kept in the settings under ``setting`` (AG-5)."""
    return TermRef(setting, default, title)


def _offset(value: TermRef | Term) -> TermRef:
    return value if isinstance(value, TermRef) else TermRef(None, value)


def after(offset: TermRef | Term, *, of: str = "task") -> MomentRef:
    """So long after the task was given (``of="task"``), the stage entered or a step ended (``of="step:<id>"``)."""
    return MomentRef(of, _offset(offset))


def at_field(field: str, *, minus: TermRef | Term | None = None, plus: TermRef | Term | None = None) -> MomentRef:
    """At the moment in a field of the case, or so long before / after it; re-aims when the field changes."""
    if minus is not None:
        return MomentRef(f"field:{field}", _offset(minus), -1)
    return MomentRef(f"field:{field}", _offset(plus if plus is not None else {"minutes": 0}))


def aim(
    moment: Mapping[str, Any], anchor: datetime | None, offset: Term, calendar: WorkCalendar, time_zone: str
) -> datetime | None:
    """Return the moment aimed at, or None while its base is not known («взведено, даты нет»)."""
    if anchor is None:
        return None
    ((unit, amount),) = offset.items()
    return calendar.add(anchor, {unit: amount * int(moment["sign"])}, time_zone)


def _anchor(link: str | None, field: str) -> str | None:
    return f"{link}#field-{field}" if link else None


def _sum(value: Any) -> Decimal | None:
    try:
        return None if value in (None, "") else Decimal(str(value))
    except InvalidOperation:
        return None


def _money(value: Decimal) -> str:
    return f"{value:,.2f}".replace(",", "\u00a0").replace(".", ",") + "\u00a0₽"


def _said(value: Any) -> str:
    return {True: "да", False: "нет", None: "пусто"}.get(value, str(value)) if not isinstance(value, str) else value
