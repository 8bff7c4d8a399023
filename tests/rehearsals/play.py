"""One deal among all the project's processes: who does what, what then is open, who was told."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

from sqlalchemy import select

from include.approvals import services as approvals
from include.approvals.models import Approval, ApprovalSeat
from include.deals.models import Deal
from include.documents.services import add_version
from include.notices.models import Notice
from include.shared.work import transaction
from include.tasks.models import Task
from include.workplace import services as workplace
from tests.db.driver import MONDAY, MOSCOW, Driver
from tests.rehearsals.declared import processes


class Play:
    """A deal of the manager, on a stage, with every process of dags/ listening."""

    def __init__(self, driver: Driver, funnel: str = "Товары", **more: Any) -> None:
        self.driver = driver
        self.deal = driver.deal(*processes().values(), by="manager", funnel=funnel, **more)
        self.case = driver.deal_row(self.deal).case_id
        self.notices = 0

    # acts

    def moves(self, stage: str, by: str = "manager") -> None:
        self.driver.move(self.deal, stage, by)

    def fills(self, by: str = "manager", **fields: Any) -> None:
        self.driver.fill(self.deal, by, **fields)

    def closes(self, title: str, by: str | None = None, **result: Any) -> None:
        self.driver.close(self.task(title), by, result)

    def presses(self, process: str, by: str = "manager") -> None:
        watcher = self.driver.company.viewer(by)
        with transaction(watcher.actor) as work:
            workplace.press_button(work, watcher, self.deal, process)
        self.driver.settle()

    def uploads(self, name: str, content: bytes, by: str = "manager") -> int:
        watcher = self.driver.company.viewer(by)
        with transaction(watcher.actor) as work:
            version = add_version(work, self.case, "contract_draft", name, BytesIO(content))
        self.driver.settle()
        return version.id

    def decides(self, answer: str, remark: str = "", by: str = "boss") -> None:
        watcher = self.driver.company.viewer(by)
        with transaction(watcher.actor) as work:
            approvals.decide(work, watcher, self.approval().id, answer, remark)
        self.driver.settle()

    def after(self, **period: float) -> None:
        """Let so much time pass."""
        self.driver.later(**period)

    def until(self, moment: datetime) -> None:
        """Let the clock come to a moment."""
        self.driver.at(moment)

    # what there is

    def task(self, title: str) -> Task:
        (found,) = [one for one in self.driver.tasks("open") if one.title == title and one.case_id == self.case]
        return found

    def open(self) -> list[str]:
        """Titles of what is open, in the order it was given."""
        return [one.title for one in self.driver.tasks("open") if one.case_id == self.case]

    def due(self, title: str) -> datetime | None:
        due = self.task(title).due_at
        return due.astimezone(MOSCOW) if due is not None else None

    def states(self, title: str) -> list[str]:
        return [one.state for one in self.driver.tasks() if one.title == title and one.case_id == self.case]

    def told(self) -> list[str]:
        """«кому: что» of the notices since the last question, those about given tasks left out."""
        wanted = select(Notice).where(Notice.case_id == self.case, Notice.id > self.notices).order_by(Notice.id)
        found = self.driver.read(lambda session: list(session.scalars(wanted)))
        self.notices = max([self.notices, *(one.id for one in found)])
        return [
            f"{self.driver.company.login(one.person_id)}: {one.text.partition(':')[0]}"
            for one in found
            if not one.text.startswith("Вам поставлена задача")
        ]

    def stage(self) -> str:
        from include.deals.models import Stage

        row = self.row()
        return str(self.driver.read(lambda session: session.get_one(Stage, row.stage_id).title))

    def row(self) -> Deal:
        return self.driver.deal_row(self.deal)

    def approval(self) -> Approval:
        wanted = select(Approval).where(Approval.case_id == self.case).order_by(Approval.id.desc()).limit(1)
        return self.driver.read(lambda session: session.scalars(wanted).one())  # type: ignore[no-any-return]

    def seats(self) -> list[tuple[int, str]]:
        """(round, state) of the approval's seats."""
        wanted = select(ApprovalSeat).where(ApprovalSeat.approval_id == self.approval().id).order_by(ApprovalSeat.id)
        return self.driver.read(lambda session: [(one.round, one.state) for one in session.scalars(wanted)])  # type: ignore[no-any-return]


def at(**period: float) -> datetime:
    """A moment counted from the beginning of the play (Monday 10:00)."""
    return MONDAY + timedelta(**period)
