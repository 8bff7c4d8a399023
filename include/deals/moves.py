"""Conditions of a move along the stages: what warns, what forbids, as one table (R002-32, R002-60)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.deals.facts import deal_facts, deal_link
from include.deals.models import Deal, Stage, StageVisit
from include.shared.errors import Missing
from include.shared.settings import value_of
from include.tasks.models import Task

CONTRACT = "Договор"
CONTRACT_SIGNED_BLOCKS = "contract_signed_blocks"
TASKS_NAMED = 5


@dataclass(frozen=True)
class Unmet(Missing):
    """One unmet condition of a move: ``warn`` asks to confirm, ``block`` refuses for everybody, robots too."""

    kind: Literal["warn", "block"] = "warn"


@dataclass(frozen=True)
class Situation:
    """What the conditions look at, read once for all stages of a deal."""

    deal_id: int
    present: Stage
    facts: dict[str, Any]
    open_tasks: list[tuple[int, str]]


@dataclass(frozen=True)
class Way:
    """A move that is asked about; ``contract_at`` is the place of «Договор», if the deal has ever been there."""

    present: Stage
    target: Stage
    contract_at: int | None


@dataclass(frozen=True)
class MoveRule:
    """A condition of a move: which moves it is about, what they miss, and the switch that makes it forbid."""

    concerns: Callable[[Way], bool]
    misses: Callable[[Situation], Iterable[Missing]]
    blocks_by: str | None = None


def _passes_contract(way: Way) -> bool:
    """Say whether a deal that was on «Договор» goes behind it, over an earlier stage too."""
    if way.contract_at is None or way.target.kind == "lost":
        return False
    return way.present.position <= way.contract_at < way.target.position


def _wins(way: Way) -> bool:
    return way.target.kind == "won"


def _contract_not_signed(seen: Situation) -> Iterable[Missing]:
    if seen.facts.get("contract_needed") is True and seen.facts.get("contract_signed") is not True:
        yield Missing("Договор не подписан", f"{deal_link(seen.deal_id)}#field-contract_signed")


def _debt(seen: Situation) -> Iterable[Missing]:
    owed = seen.facts["debt"]
    if owed > 0:
        said = f"{owed:,.2f}".replace(",", "\u00a0").replace(".", ",")
        yield Missing(f"Есть долг: {said}\u00a0₽", f"{deal_link(seen.deal_id)}#field-paid")


def _open_tasks(seen: Situation) -> Iterable[Missing]:
    for task_id, title in seen.open_tasks[:TASKS_NAMED]:
        yield Missing(f"Не закрыта задача «{title}»", f"/backoffice/tasks/{task_id}")
    more = len(seen.open_tasks) - TASKS_NAMED
    if more > 0:
        yield Missing(f"Не закрыто ещё задач: {more}", deal_link(seen.deal_id))


RULES = (
    MoveRule(_passes_contract, _contract_not_signed, CONTRACT_SIGNED_BLOCKS),  # R002-32
    MoveRule(_wins, _debt),  # R002-60
    MoveRule(_wins, _open_tasks),  # R002-60
)


def unmet_for_move(session: Session, deal: Deal, target: Stage) -> list[Unmet]:
    """Return what a move to this stage misses; what blocks comes first."""
    return unmet_by_stage(session, deal, [target])[target.id]


def unmet_by_stage(session: Session, deal: Deal, targets: Iterable[Stage]) -> dict[int, list[Unmet]]:
    """Return what a move to each of these stages misses, by the stage's id; the facts are read once."""
    present = session.get_one(Stage, deal.stage_id)
    found: dict[int, list[Unmet]] = {}
    contract_at = _contract_at(session, deal, present)
    ways = [Way(present, one, contract_at) for one in targets]
    concerned = [(one.target, [rule for rule in RULES if rule.concerns(one)]) for one in ways]
    seen = _situation(session, deal, present) if any(rules for _, rules in concerned) else None
    for target, rules in concerned:
        unmet = [] if seen is None else [one for rule in rules for one in _of(session, rule, seen)]
        found[target.id] = sorted(unmet, key=lambda one: one.kind)  # "block" stands before "warn"
    return found


def _contract_at(session: Session, deal: Deal, present: Stage) -> int | None:
    """Return the position of «Договор» if the deal stands on it or, being open, ever did."""
    if present.title == CONTRACT:
        return present.position
    if present.kind != "open":
        return None
    visited = select(Stage.position).join(StageVisit, StageVisit.stage_id == Stage.id)
    return session.scalar(visited.where(StageVisit.deal_id == deal.id, Stage.title == CONTRACT).limit(1))


def _of(session: Session, rule: MoveRule, seen: Situation) -> list[Unmet]:
    missing = list(rule.misses(seen))
    if not missing:
        return []
    blocks = rule.blocks_by is not None and value_of(session, rule.blocks_by, False) is True
    return [Unmet(one.text, one.link, "block" if blocks else "warn") for one in missing]


def _situation(session: Session, deal: Deal, present: Stage) -> Situation:
    tasks = session.execute(
        select(Task.id, Task.title).where(Task.case_id == deal.case_id, Task.state == "open").order_by(Task.id)
    )
    return Situation(deal.id, present, deal_facts(session, deal), [(task_id, title) for task_id, title in tasks])
