"""What processes may say about a case: conditions (guards, only_if) and moments; pure, no database.

Both are small JSON trees, because they travel inside stored triggers for months; the classes only build them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from include.shared.errors import Missing
from include.shared.working_time import Term, WorkCalendar, moment_of

Facts = Mapping[str, Any]
ROUNDS, STEP_RESULT = "rounds:", "step:"  # facts that are found only when a condition asks for them


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


def changed(field: str) -> Condition:
    """The field differs from what it was when the work was given (R002-18); only as a task's guard."""
    return Condition({"changed": [field]})


def on_stage(title: str) -> Condition:
    """The deal stands on the stage with this title now."""
    return equals("stage", title)


def given(topic: str) -> Condition:
    """A task of the topic had been given when the event that began the process happened (R002-24, R002-31)."""
    return Condition({"has": ["event:topics_given", topic]})


def still_open(topic: str) -> Condition:
    """A task of the topic was open when the event that began the process happened (R002-24)."""
    return Condition({"has": ["event:topics_open", topic]})


def rounds(topic: str, at_least: NumberRef) -> Condition:
    """So many tasks of the topic have been given during the present stay on the stage (R002-25); 0 switches it off."""
    return Condition({"reached": [f"{ROUNDS}{topic}", at_least.body()]})


def result_of(step: str, code: str, value: Any) -> Condition:
    """A step before this one ended with this value in its result (a task's field, ``stopped`` of a Repeat …)."""
    return equals(f"{STEP_RESULT}{step}.{code}", value)


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
    if kind == "changed":
        field, *given_with = argument
        if given_with and facts.get(field) != given_with[0]:
            return []
        return [Missing(f"поле «{title(field)}» ещё не изменено", _anchor(link, field))]
    if kind == "has":
        field, value = argument
        return [] if value in (facts.get(field) or []) else [Missing(f"ещё не поставлена задача «{value}»", link)]
    if kind == "reached":
        field, number = argument
        return [] if 0 < number <= (facts.get(field) or 0) else [Missing(f"ещё не достигнуто: {number}", link)]
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
    elif kind not in {"filled", "equals", "at_least", "in_future", "changed", "has", "reached"}:
        msg = f"Неизвестное условие: {kind}"
        raise ValueError(msg)


def fields_of(body: Mapping[str, Any]) -> set[str]:
    """Return the fields that the condition reads."""
    ((kind, argument),) = body.items()
    if kind in {"all", "any"}:
        return {name for part in argument for name in fields_of(part)}
    if kind == "not":
        return fields_of(argument)
    if kind in {"equals", "changed", "has", "reached"}:
        return {argument[0]}
    return set(argument) if kind == "at_least" else {argument}


def with_numbers(body: Mapping[str, Any], number_of: Callable[[dict[str, Any]], int]) -> dict[str, Any]:
    """Return the condition with its numbers from the settings in their places."""
    ((kind, argument),) = body.items()
    if kind in {"all", "any"}:
        return {kind: [with_numbers(part, number_of) for part in argument]}
    if kind == "not":
        return {kind: with_numbers(argument, number_of)}
    if kind == "reached" and isinstance(argument[1], Mapping):
        return {kind: [argument[0], number_of(dict(argument[1]))]}
    return dict(body)


def bound(body: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Return a task's guard as it is kept with the task: ``changed`` remembers what the field was at its giving."""
    ((kind, argument),) = body.items()
    if kind in {"all", "any"}:
        return {kind: [bound(part, facts) for part in argument]}
    if kind == "not":
        return {kind: bound(argument, facts)}
    return {kind: [argument[0], facts.get(argument[0])]} if kind == "changed" else dict(body)


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
class ChosenTerm:
    """A term chosen by a field of the case («срок по сложности»); ``otherwise`` names the choice for an empty field."""

    field: str
    terms: Mapping[str, TermRef]
    otherwise: str

    def body(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "by": self.field,
            "otherwise": self.otherwise,
            "terms": {c: one.body() for c, one in self.terms.items()},
        }


@dataclass(frozen=True)
class NumberRef:
    """A number that staff may change on the settings page."""

    setting: str
    default: int
    title: str

    def body(self) -> dict[str, Any]:
        """Return the stored form."""
        return {"setting": self.setting, "default": self.default, "title": self.title, "kind": "number"}


@dataclass(frozen=True)
class MomentRef:
    """A moment: a base (task opened, its due, stage entered, a field, a step's end) and an offset.

    ``otherwise`` is the moment while the base is unknown; a ``fixed`` one stays as it was when the task was given.
    """

    base: str
    offset: TermRef | ChosenTerm
    sign: int = 1
    otherwise: MomentRef | None = None
    fixed: bool = False

    def body(self) -> dict[str, Any]:
        """Return the stored form."""
        more: dict[str, Any] = {"otherwise": self.otherwise.body()} if self.otherwise is not None else {}
        if self.fixed:
            more["fixed"] = True
        return {"base": self.base, "offset": self.offset.body(), "sign": self.sign, **more}


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


def number(setting: str, default: int, title: str) -> NumberRef:
    """A number kept in the settings under ``setting``."""
    return NumberRef(setting, default, title)


def by_field(field: str, terms: Mapping[str, TermRef | Term], *, otherwise: str) -> ChosenTerm:
    """The term that a field of the case chooses; an empty or unknown value is treated as ``otherwise`` (R002-15)."""
    return ChosenTerm(field, {code: term_ref(one) for code, one in terms.items()}, otherwise)


def term_ref(value: TermRef | Term) -> TermRef:
    """Return a term as a reference: a literal has no setting."""
    return value if isinstance(value, TermRef) else TermRef(None, value)


def _offset(value: TermRef | ChosenTerm | Term) -> TermRef | ChosenTerm:
    return value if isinstance(value, ChosenTerm) else term_ref(value)


def after(offset: TermRef | ChosenTerm | Term, *, of: str = "task") -> MomentRef:
    """So long after the task was given (``of="task"``), the stage entered or a step ended (``of="step:<id>"``)."""
    return MomentRef(of, _offset(offset))


def at_due() -> MomentRef:
    """At the term of the task; re-aims when the term is changed."""
    return MomentRef("due", TermRef(None, {"minutes": 0}))


def at_field(
    field: str,
    *,
    minus: TermRef | Term | None = None,
    plus: TermRef | Term | None = None,
    otherwise: MomentRef | None = None,
    fixed: bool = False,
) -> MomentRef:
    """At the moment in a field of the case, or so long before / after it; re-aims when the field changes.

    While the field is empty the moment is ``otherwise``; ``fixed`` keeps a task's term as it was at its giving.
    """
    offset = minus if minus is not None else plus if plus is not None else {"minutes": 0}
    sign = 1 if minus is None else -1
    return MomentRef(f"field:{field}", term_ref(offset), sign, otherwise=otherwise, fixed=fixed)


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
