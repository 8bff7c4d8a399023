"""Many open tasks go to other people at once: a role is given anew, a head is changed, somebody leaves.

The same facts as ``core.move`` and ``core.lead``, written together; callers hold the locks of the cases.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, tuple_
from sqlalchemy.dialects.postgresql import insert

from include.notices.services import notify
from include.shared.work import Work
from include.staff.services import names
from include.tasks.models import Task, TaskObserver

TOLD_ONE_BY_ONE = 10


def move_many(work: Work, moves: Iterable[tuple[Task, int]], why: str, reason: str | None = None) -> int:
    """Give open tasks to other executors, each with its audit; many of them are announced in one notice per person.

    ``why`` ends the line of the history: «передана: Петров Б. В. (роль «Юрист»)». Returns how many were moved.
    """
    wanted = [(task, person) for task, person in moves if task.state == "open" and task.executor_id != person]
    called = names(work.session, {person for _, person in wanted})
    received: dict[int, list[Task]] = {}
    for task, person in wanted:
        before, task.executor_id = task.executor_id, person
        work.audit(
            "task.moved", f"Задача «{task.title}» передана: {called[person]} ({why})", entity="task", entity_id=task.id,
            case_id=task.case_id, before={"executor": before}, after={"executor": person}, reason=reason,
        )  # fmt: skip
        work.touch(task.case_id)
        received.setdefault(person, []).append(task)
    work.session.flush()
    for person, tasks in received.items():
        _tell(work, person, tasks, why)
    return len(wanted)


def lead_many(work: Work, changes: Iterable[tuple[Task, int | None]]) -> None:
    """Put other heads in as creators and observers of tasks instead of those before them (AG-4)."""
    wanted = [(task, head) for task, head in changes if task.creator_id != head]
    left = [(task.id, task.creator_id) for task, _ in wanted if task.creator_id is not None]
    come = [
        {"task_id": task.id, "person_id": head}
        for task, head in wanted
        if head is not None and head != task.executor_id
    ]
    for task, head in wanted:
        before, task.creator_id = task.creator_id, head
        work.audit(
            "task.head_changed", f"У задачи «{task.title}» другой руководитель", entity="task", entity_id=task.id,
            case_id=task.case_id, before={"creator": before}, after={"creator": head},
        )  # fmt: skip
    work.session.flush()
    if left:
        watched = tuple_(TaskObserver.task_id, TaskObserver.person_id).in_(left)
        work.session.execute(delete(TaskObserver).where(watched))
    if come:
        work.session.execute(insert(TaskObserver).values(come).on_conflict_do_nothing())


def _tell(work: Work, person: int, tasks: list[Task], why: str) -> None:
    if len(tasks) <= TOLD_ONE_BY_ONE:
        for task in tasks:
            key = f"{task.key}/moved/{work.now.isoformat()}"
            text = f"Вам передана задача «{task.title}» ({why})"
            notify(work, [person], text, key=key, case_id=task.case_id, task_id=task.id)
        return
    text = f"Вам переданы задачи: {len(tasks)} ({why}). Они в списке «Мой день»"
    notify(work, [person], text, key=f"tasks-moved/{tasks[0].id}/{work.now.isoformat()}")
