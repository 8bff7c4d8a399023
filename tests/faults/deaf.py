"""How long a case is deaf after a fault: from a closed task until the next step's task is open.

Measured on the real clock, because the virtual one makes the hub look round more often, with any number of other
cases waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Timer

from include.deals import services as deals
from include.shared.work import Actor, transaction
from include.tasks import services as tasks
from tests.faults.faults import CATALOGUE, Fault
from tests.faults.office import FaultOffice, Unavailable, unavailable
from tests.scenarios.stories import EXPRESS
from tests.scenarios.stories_selling import FEEDBACK, QUOTE, QUOTE_STAGE

Say = Callable[[str], None]
#: A person acts at the moment of the fault and soon after it.
AFTER = (0.0, 1.0, 3.0)
LONGEST, LOOK_EVERY = 180.0, 0.05
MAKERS, LONGEST_MAKING = 4, 3600.0
#: Measured: what strikes programs and connections; doubled events and marks by ops make nobody deaf.
MEASURED = tuple(
    name for name in CATALOGUE if name.split("-")[0] in {"kill", "stop", "gone", "freeze", "cut", "half", "everything"}
)


@dataclass(frozen=True)
class Deafness:
    """What was measured for one fault: the seconds of each person's act, the longest of them first."""

    fault: str
    title: str
    waiting: int
    seconds: tuple[float, ...]
    target: float | None

    @property
    def worst(self) -> float:
        """The longest of them."""
        return max(self.seconds)

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        return "–" if self.target is None else "да" if self.worst <= self.target else "нет"


def target(name: str, waiting: int) -> float | None:
    """Return the target of the promise: for any single kill, by the number of cases waiting."""
    if not name.startswith(("kill-", "stop-")) or name.startswith("kill-all-"):
        return None
    return 8.0 if waiting <= 500 else 20.0


def measure(office: FaultOffice, fault: Fault, waiting: int) -> Deafness:
    """Strike, let three people act, and time each until his next task is open; then mend."""
    probes = [_probe(office, f"Глухота {fault.name} {time.time_ns()}") for _ in AFTER]
    _until(lambda: all(_open(office, case, QUOTE) for _, case in probes), LONGEST)
    mending = Timer(max(fault.lasts, AFTER[-1] + 1), fault.mend, (office,))
    with ThreadPoolExecutor(len(probes)) as people:
        fault.strike(office)
        struck = time.monotonic()
        mending.start()
        found = people.map(lambda one: _deaf(office, one[0][1], struck + one[1]), zip(probes, AFTER, strict=True))
        seconds = tuple(found)
    mending.join()
    return Deafness(fault.name, fault.title, waiting, seconds, target(fault.name, waiting))


def ballast(office: FaultOffice, number: int, say: Say) -> float:
    """Make cases that wait in real deferred tasks; returns the seconds until all of them do."""
    begun = time.monotonic()
    with ThreadPoolExecutor(MAKERS) as makers:
        list(makers.map(lambda one: _ballast_case(office, one), range(number)))
    made = time.monotonic()
    say(f"   дел заведено: {number} за {made - begun:.0f} с")
    told = made
    while (ready := _waiting(office)) < number:
        if time.monotonic() - told > 30:
            told = time.monotonic()
            say(f"   ждут: {ready} из {number}, {told - begun:.0f} с")
        assert time.monotonic() - begun < LONGEST_MAKING, f"ждут только {ready}"
        time.sleep(1)
    return time.monotonic() - begun


def _ballast_case(office: FaultOffice, number: int) -> None:
    person = office.people["Иванова"]
    with transaction(Actor(person, "person")) as work:
        deal = deals.create_deal(work, title=f"Балласт {number}", funnel="goods", responsible_id=person)
        deals.move_stage(work, deal.id, EXPRESS)


def _waiting(office: FaultOffice) -> int:
    query = "SELECT count(*) AS n FROM task_instance WHERE state = 'deferred' AND task_id = 'identify'"
    known = "SELECT count(*) AS n FROM task WHERE state = 'open' AND step = 'identify'"
    return int(min(office.airflow_rows(query)[0]["n"], office.rows(known)[0]["n"]))


def _probe(office: FaultOffice, title: str) -> tuple[int, int]:
    person = office.people["Иванова"]
    with transaction(Actor(person, "person")) as work:
        deal = deals.create_deal(
            work, title=title, funnel="goods", responsible_id=person, fields={"complexity": "simple"}
        )
        deals.move_stage(work, deal.id, QUOTE_STAGE)
        return deal.id, deal.case_id


def _open(office: FaultOffice, case: int, title: str) -> bool:
    return any(one["title"] == title for one in office.open_tasks(case))


def _deaf(office: FaultOffice, case: int, at: float) -> float:
    """Close the probe's task at a moment, by the page or past it, and time the next one."""
    time.sleep(max(0.0, at - time.monotonic()))
    task = _first_task(office, case)
    _until(lambda: _close(office, task), LONGEST)
    closed = time.monotonic()
    _until(lambda: _open(office, case, FEEDBACK), LONGEST)
    return time.monotonic() - closed


def _first_task(office: FaultOffice, case: int) -> int:
    found: list[int] = []

    def look() -> bool:
        found.extend(one["id"] for one in office.open_tasks(case))
        return bool(found)

    _until(look, LONGEST)
    return found[0]


def _close(office: FaultOffice, task: int) -> bool:
    """Close through the service: what the page does, whether or not there is one to ask."""
    with unavailable():
        closer = office.person("Иванова")
        with transaction(closer.actor) as work:
            tasks.close_task(work, closer, task, {})
    return True


def _until(holds: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        with suppress(Unavailable):
            if holds():
                return
        assert time.monotonic() < until, "не дождались"
        time.sleep(LOOK_EVERY)


def table(found: Sequence[Deafness]) -> str:
    """Return the measurements as a Markdown table."""
    rows = [
        "| сбой | ждёт дел | глухота, с (по людям) | худшая, с | цель, с | достигнута |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        each = " / ".join(f"{second:.1f}" for second in one.seconds)
        aim = "–" if one.target is None else f"≤ {one.target:.0f}"
        rows.append(f"| {one.fault}: {one.title} | {one.waiting} | {each} | {one.worst:.1f} | {aim} | {one.verdict} |")
    return "\n".join(rows)
