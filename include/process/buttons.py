"""Processes that a person starts by a button on a deal's card."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from include.deals.facts import current_visit
from include.deals.models import Deal, Stage
from include.process.models import OutboxEvent, ProcessCase, ProcessInstance
from include.shared.errors import Conflict, NotFound
from include.shared.work import Work


@dataclass(frozen=True)
class Button:
    """A process that a stage of a deal offers: its title, the stage, and what pressing it means."""

    title: str
    stage: str
    explains: str


BUTTONS: dict[str, Button] = {
    "contract_approval": Button(
        "Согласование договора",
        "Договор",
        "Нестандартный договор: ответственный оформит проект договора, затем его согласует утверждающий.",
    ),
}


@dataclass(frozen=True)
class Offer:
    """A button as a deal's card shows it now; ``why_not`` says why it cannot be pressed."""

    process: str
    button: Button
    why_not: str | None


def offers(session: Session, deal: Deal, stage: str) -> list[Offer]:
    """Return the buttons of the stage on which a deal stands."""
    here = {process: button for process, button in BUTTONS.items() if button.stage == stage}
    return [Offer(process, button, _why_not(session, deal, process)) for process, button in here.items()]


def press(work: Work, deal: Deal, process: str) -> None:
    """Start a process of a deal by a button (R002-61); the caller holds the lock of the case and checked the rights.

    NotFound for an unknown process, Conflict when it runs already or the deal stands on another stage.
    """
    button = BUTTONS.get(process)
    if button is None:
        msg = f"Процесса «{process}» нет."
        raise NotFound(msg)
    stage = work.session.get_one(Stage, deal.stage_id)
    if stage.title != button.stage:
        msg = f"«{button.title}» запускают на стадии «{button.stage}», а сделка на стадии «{stage.title}»."
        raise Conflict(msg)
    refused = _why_not(work.session, deal, process)
    if refused is not None:
        raise Conflict(refused)
    case = work.session.get_one(ProcessCase, deal.case_id)
    visit = current_visit(work.session, deal.id)
    work.emit(
        "button_pressed", f"on:button:{process}", case_id=deal.case_id, visit=f"start-{case.seq}",
        payload={
            "deal_id": deal.id, "visit_id": visit.id, "stage_id": deal.stage_id, "started_by": work.actor.person_id,
        },
    )  # fmt: skip
    work.audit(
        "process.asked", f"Запущен процесс «{button.title}»", entity="deal", entity_id=deal.id, case_id=deal.case_id
    )
    work.touch(deal.case_id)


def _why_not(session: Session, deal: Deal, process: str) -> str | None:
    live = select(ProcessInstance.id).where(
        ProcessInstance.process == process, ProcessInstance.case_id == deal.case_id, ProcessInstance.state == "live"
    )
    begins = select(OutboxEvent.id).where(
        OutboxEvent.listen_key == f"on:button:{process}",
        OutboxEvent.case_id == deal.case_id,
        OutboxEvent.state == "pending",
    )
    if session.scalar(union_all(live, begins).limit(1)) is not None:
        return f"«{BUTTONS[process].title}» уже идёт."
    return None
