"""Set the demo in motion: deals made, moved and worked on through the services, one transaction per act."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import func, select

from include.companies.services import create_company
from include.deals import services as deals
from include.deals.models import Deal, StageVisit
from include.demo.company import DEMO, DemoError, is_marked, mark
from include.demo.plan import DEALS, IDENTIFY, REGISTRAR, Close, DemoDeal, In, Login, Move, Press
from include.shared.errors import BackofficeError
from include.shared.work import Work, reading, transaction
from include.staff.models import Account
from include.staff.services import Viewer, viewer
from include.tasks import services as tasks
from include.tasks.models import Task
from include.workplace.services import press_button

WAIT_SECONDS = 60.0
LOOK_EVERY = 0.5
Say = Callable[[str], None]


def start(say: Say, wait_seconds: float = WAIT_SECONDS) -> None:
    """Create the demo's deals and work on them, once; interrupted, it goes on where it stopped."""
    with reading() as session:
        if is_marked(session, "demo.started"):
            say("Демонстрационные сделки уже созданы.")
            return
        if not is_marked(session, "demo.prepared"):
            msg = "Сначала загрузите демонстрационную компанию: python -m include.demo"
            raise DemoError(msg)
    made = {one.key: _create(one) for one in DEALS}
    for one in DEALS:
        _act(one, made[one.key], one.first, say)
    if not _wait_for_tasks([made[one.key] for one in DEALS if one.first], wait_seconds):
        say("Задачи поставлены не по всем сделкам: похоже, процессы не запущены. Закроем те, что есть.")
    for one in DEALS:
        _act(one, made[one.key], (*one.first, *one.later), say)
    with transaction(DEMO) as work:
        mark(work, "demo.started", f"Созданы демонстрационные сделки: {len(DEALS)}")
    say(f"Созданы демонстрационные сделки: {len(DEALS)}.")


def _create(one: DemoDeal) -> int:
    with transaction(_viewer(REGISTRAR).actor) as work:
        deal = deals.create_deal(
            work,
            title=one.title,
            funnel=one.funnel,
            responsible_id=_viewer(one.responsible).person_id,
            company_id=create_company(work, one.company, request_key=f"demo/{one.company}").id,
            fields=_values(work, one.fields),
            source="Демо",
            request_key=f"demo-{one.key}",
        )
        return deal.id


def _act(one: DemoDeal, deal_id: int, acts: tuple[Move | Close | Press, ...], say: Say) -> None:
    """Do the acts that have not been done: every move leaves a visit, so visits tell where to go on."""
    with reading() as session:
        visits = session.scalar(select(func.count()).where(StageVisit.deal_id == deal_id)) or 0
    to_skip = visits - 1
    for act in acts:
        if isinstance(act, Close):
            if to_skip <= 0:
                _close(one, deal_id, act, say)
        elif isinstance(act, Press):
            if to_skip <= 0:
                _press(one, deal_id, act, say)
        elif to_skip > 0:
            to_skip -= 1
        else:
            with transaction(_viewer(act.by).actor) as work:
                if act.fields:
                    deals.set_fields(work, deal_id, _values(work, act.fields))
                deals.move_stage(work, deal_id, act.stage)


def _close(one: DemoDeal, deal_id: int, act: Close, say: Say) -> None:
    watcher = _viewer(act.by)
    try:
        with transaction(watcher.actor) as work:
            task_id = work.session.scalar(
                select(Task.id)
                .join(Deal, Deal.case_id == Task.case_id)
                .where(Deal.id == deal_id, Task.title == act.title, Task.state == "open")
            )
            if task_id is not None:
                tasks.close_task(work, watcher, task_id)
    except BackofficeError as error:  # a task that asks for more than the demo knows stays open
        say(f"«{one.title}»: задача «{act.title}» осталась открытой. {error}")


def _press(one: DemoDeal, deal_id: int, act: Press, say: Say) -> None:
    watcher = _viewer(act.by)
    try:
        with transaction(watcher.actor) as work:
            press_button(work, watcher, deal_id, act.process)
    except BackofficeError as error:  # interrupted after the press: it runs already
        say(f"«{one.title}»: {error}")


def _wait_for_tasks(deal_ids: list[int], seconds: float) -> bool:
    """Wait until the processes have given each of these deals its first task; say whether they did."""
    until = time.monotonic() + seconds
    while True:
        with reading() as session:
            found = session.scalar(
                select(func.count(Deal.id.distinct()))
                .join(Task, Task.case_id == Deal.case_id)
                .where(Deal.id.in_(deal_ids), Task.title == IDENTIFY)
            )
        if (found or 0) >= len(deal_ids):
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(LOOK_EVERY)


def _viewer(login: str) -> Viewer:
    with reading() as session:
        found = viewer(session, login)
    if found is None:
        msg = f"Демонстрационного сотрудника «{login}» нет или он больше не работает: сделки не созданы."
        raise DemoError(msg)
    return found


def _values(work: Work, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {code: _value(work, value) for code, value in fields.items()}


def _value(work: Work, value: Any) -> Any:
    if isinstance(value, In):
        return value.value(work.now)
    if isinstance(value, Login):
        return work.session.scalars(select(Account.person_id).where(Account.login == value.login)).one()
    return value
