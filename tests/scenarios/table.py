"""Scenarios as tables: at a minute somebody does something; then these tasks are open and these people were told.

All scenarios run together in one Airflow on one virtual clock: ``run_all`` walks their common time line once and
keeps what it saw after each row; each row is then a test of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.scenarios.office import Office

PAUSE = timedelta(minutes=3)  # people act one after another, which takes the virtual clock some seconds
TOLERANCE = timedelta(minutes=5)
Act = Callable[[Office, dict[str, Any], str], None]


@dataclass(frozen=True)
class Row:
    """At ``at`` ``who`` does ``does``; afterwards exactly ``open`` tasks are open and exactly ``told`` were told."""

    at: str
    who: str
    does: Act | None
    open: Sequence[str] = ()  # "название – кому – срок от начала"
    told: Sequence[str] = ()  # "кому: начало текста – когда"
    deal: dict[str, Any] = field(default_factory=dict)  # column or field → value, people by name
    line: str | None = None  # what the card says about why the case waits


@dataclass(frozen=True)
class Scenario:
    """One deal's story; ``lines`` names the requirements it shows."""

    lines: str
    name: str
    funnel: str
    responsible: str
    rows: Sequence[Row]
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass
class Seen:
    """What was open, whom the row told, how the deal stood and what its card said."""

    open: list[tuple[str, str, datetime | None]]
    told: list[tuple[str, str, datetime]]
    deal: dict[str, Any]
    line: str
    refused: str | None = None  # what kept the row's act from being done


def moves(stage: str) -> Act:
    """Move the deal to a stage."""
    return lambda office, deal, who: office.call(who, "POST", f"/deals/{deal['id']}/stage", {"stage": stage})


def closes(title: str, **result: Any) -> Act:
    """Close the open task with this title."""

    def act(office: Office, deal: dict[str, Any], who: str) -> None:
        office.call(who, "POST", f"/tasks/{_task(office, deal, title)}/close", {"result": result})

    return act


def cannot_close(title: str, because: str) -> Act:
    """Try to close a task and be refused with what is missing."""

    def act(office: Office, deal: dict[str, Any], who: str) -> None:
        said = office.call(who, "POST", f"/tasks/{_task(office, deal, title)}/close", {"result": {}}, expect=409)
        assert any(because in one["text"] and one["link"] for one in said["missing"]), said

    return act


def fills(**fields: Any) -> Act:
    """Fill fields of the deal; ``{start}+3 ч`` is a moment relative to the scenario's start, people go by name."""

    def act(office: Office, deal: dict[str, Any], who: str) -> None:
        values = {code: _value(office, deal, value) for code, value in fields.items()}
        office.call(who, "PATCH", f"/deals/{deal['id']}/fields", values)

    return act


def gives_to(person: str) -> Act:
    """Give the deal to another responsible."""
    return lambda office, deal, who: office.call(
        who, "POST", f"/deals/{deal['id']}/responsible", {"person_id": office.people[person], "reason": "передача"}
    )


def puts_off(title: str, until: str) -> Act:
    """Change a task's term with a reason."""

    def act(office: Office, deal: dict[str, Any], who: str) -> None:
        due = (deal["start"] + duration(until)).isoformat()
        office.call(who, "POST", f"/tasks/{_task(office, deal, title)}/term", {"due": due, "reason": "клиент просил"})

    return act


def presses(process: str) -> Act:
    """Press the button of a process on the deal's card."""
    return lambda office, deal, who: office.call(who, "POST", f"/deals/{deal['id']}/processes/{process}")


def uploads(name: str, text: str) -> Act:
    """Put a file into «Проект договора»."""
    return lambda office, deal, who: office.call(
        who, "POST", f"/deals/{deal['id']}/files/contract_draft", file=(name, text.encode())
    )


def agrees() -> Act:
    """Approve what the deal's newest approval asks."""
    return lambda office, deal, who: _decide(office, deal, who, "approve", "")


def rejects(remark: str) -> Act:
    """Reject it with a remark."""
    return lambda office, deal, who: _decide(office, deal, who, "reject", remark)


def cannot_reject_without_reason() -> Act:
    """Try to reject with an empty remark and be refused."""
    return lambda office, deal, who: _decide(office, deal, who, "reject", " ", expect=422)


def cannot_decide(status: int = 403) -> Act:
    """Try to decide what others are asked."""
    return lambda office, deal, who: _decide(office, deal, who, "approve", "", expect=status)


def says_not_yet(title: str, reason: str, next_check: str) -> Act:
    """Answer a confirmation «нет» with the next check."""

    def act(office: Office, deal: dict[str, Any], who: str) -> None:
        body = {"reason": reason, "next_check": (deal["start"] + duration(next_check)).isoformat()}
        office.call(who, "POST", f"/tasks/{_task(office, deal, title)}/not-yet", body)

    return act


def reopens(title: str, reason: str) -> Act:
    """Open a task again that was closed by mistake."""

    def act(office: Office, deal: dict[str, Any], who: str) -> None:
        query = "SELECT id FROM task WHERE case_id = :case AND title = :title AND state = 'done' ORDER BY id DESC"
        found = office.rows(query, case=deal["case_id"], title=title)
        office.call(who, "POST", f"/tasks/{found[0]['id']}/reopen", {"reason": reason})

    return act


def goes_away(person: str, substitute: str, until: str) -> Act:
    """Somebody is away until a moment, and somebody stands in for him."""

    def act(office: Office, deal: dict[str, Any], who: str) -> None:
        body = {
            "begins_at": office.now().isoformat(), "ends_at": (deal["start"] + duration(until)).isoformat(),
            "substitute_id": office.people[substitute], "reason": "отпуск",
        }  # fmt: skip
        office.call(who, "POST", f"/people/{office.people[person]}/absences", body)

    return act


def gives_role(role: str, before: str, after: str) -> Act:
    """Give a role to another person; open work moves with it."""

    def act(office: Office, _deal: dict[str, Any], who: str) -> None:
        body = {"from_person_id": office.people[before], "to_person_id": office.people[after]}
        office.call(who, "POST", f"/roles/{role}/remap", body)

    return act


def _decide(office: Office, deal: dict[str, Any], who: str, answer: str, remark: str, *, expect: int = 0) -> None:
    query = "SELECT id FROM approval WHERE case_id = :case ORDER BY id DESC LIMIT 1"
    found = office.rows(query, case=deal["case_id"])
    body = {"answer": answer, "remark": remark}
    office.call(who, "POST", f"/approvals/{found[0]['id']}/decision", body, expect=expect)


def several(*acts: Act) -> Act:
    """Do several things one after another."""

    def act(office: Office, deal: dict[str, Any], who: str) -> None:
        for one in acts:
            one(office, deal, who)

    return act


def _task(office: Office, deal: dict[str, Any], title: str) -> int:
    found = [task for task in office.open_tasks(deal["case_id"]) if task["title"] == title]
    assert len(found) == 1, f"открытых задач «{title}»: {len(found)}"
    return int(found[0]["id"])


def _value(office: Office, deal: dict[str, Any], value: Any) -> Any:
    if isinstance(value, str) and value.startswith("{start}"):
        return (deal["start"] + duration(value.removeprefix("{start}").lstrip("+"))).isoformat()
    return office.people.get(value, value) if isinstance(value, str) else value


def duration(words: str) -> timedelta:
    """Return «5 ч», «2 дн 3 ч», «30 мин» as a duration."""
    units = {"мин": "minutes", "ч": "hours", "дн": "days"}
    found = re.findall(r"(\d+)\s*(мин|ч|дн)", words)
    assert found or words.strip() in ("", "0"), f"не срок: {words!r}"
    return timedelta(**{units[unit]: int(number) for number, unit in found})


def run_all(office: Office, scenarios: Sequence[Scenario], start: datetime) -> dict[tuple[str, int], Seen]:
    """Walk the common time line of all scenarios once; returns what was seen after each row."""
    office.advance(start)
    deals: dict[str, dict[str, Any]] = {}
    for one in scenarios:
        deals[one.name] = office.new_deal("admin", one.name, one.funnel, one.responsible)
        deals[one.name] |= {"start": start, "notices": 0}
        if one.fields:
            fills(**one.fields)(office, deals[one.name], "admin")
    office.advance()
    seen: dict[tuple[str, int], Seen] = {}
    refused: dict[tuple[str, int], str] = {}
    for time, rows in _time_line(scenarios):
        office.advance(max(start + time + (PAUSE if time else timedelta()), office.now()))
        for one, number in rows:
            row = one.rows[number]
            try:
                if row.does is not None:
                    row.does(office, deals[one.name], row.who)
            except AssertionError as error:  # the other stories go on
                refused[one.name, number] = str(error)
        office.advance()
        for one, number in rows:
            seen[one.name, number] = _look(office, deals[one.name], refused.get((one.name, number)))
    return seen


def _time_line(scenarios: Sequence[Scenario]) -> list[tuple[timedelta, list[tuple[Scenario, int]]]]:
    """Return moments with the rows to play then; two rows of one story at one time come one after another."""
    line: dict[tuple[timedelta, int], list[tuple[Scenario, int]]] = {}
    for one in scenarios:
        played: dict[timedelta, int] = {}
        for number, row in enumerate(one.rows):
            time = duration(row.at)
            line.setdefault((time, played.get(time, 0)), []).append((one, number))
            played[time] = played.get(time, 0) + 1
    return [(time, line[time, turn]) for time, turn in sorted(line)]


def _look(office: Office, deal: dict[str, Any], refused: str | None) -> Seen:
    names = {person: name for name, person in office.people.items()}
    told = office.rows(
        "SELECT id, person_id, text, created_at FROM notice WHERE case_id = :case AND id > :after ORDER BY id",
        case=deal["case_id"], after=deal["notices"],
    )  # fmt: skip
    deal["notices"] = max([deal["notices"], *(one["id"] for one in told)])
    row = office.rows(
        "SELECT deal.*, stage.title AS stage FROM deal JOIN stage ON stage.id = deal.stage_id WHERE deal.id = :id",
        id=deal["id"],
    )[0]
    waits = office.call("admin", "GET", f"/deals/{deal['id']}/waits")
    return Seen(
        open=[
            (task["title"], names[task["executor_id"]], task["due_at"]) for task in office.open_tasks(deal["case_id"])
        ],
        told=[(names[one["person_id"]], one["text"], one["created_at"]) for one in told],
        deal={**row["fields"], **row, "responsible": names[row["responsible_id"]]},
        line=str(waits[0]["text"]) if waits else "",
        refused=refused,
    )


def check(row: Row, seen: Seen, start: datetime) -> None:
    """Compare a row with what was seen; nothing more and nothing less may be open or told."""
    assert seen.refused is None, seen.refused
    wanted = sorted(_open(one) for one in row.open)
    found = sorted((title, who) for title, who, _ in seen.open)
    assert found == [(title, who) for title, who, _ in wanted]
    for (_, _, due), (_, _, seen_due) in zip(wanted, sorted(seen.open, key=lambda one: one[:2]), strict=True):
        if due is not None:
            assert seen_due is not None
            assert abs(seen_due - (start + due)) <= TOLERANCE, f"срок {seen_due}, ждали {start + due}"
    expected = sorted(_told(one) for one in row.told)
    said = sorted((who, text, at) for who, text, at in seen.told)
    assert [who for who, _, _ in said] == [who for who, _, _ in expected], f"сказано: {said}"
    for (_, words, at), (_, text, seen_at) in zip(expected, said, strict=True):
        assert text.startswith(words), f"{text!r} вместо {words!r}"
        assert abs(seen_at - (start + at)) <= TOLERANCE, f"{text!r} в {seen_at}, ждали {start + at}"
    for name, value in row.deal.items():
        assert seen.deal.get(name) == value, f"{name}: {seen.deal.get(name)!r}"
    if row.line is not None:
        assert row.line in seen.line, seen.line


def _open(words: str) -> tuple[str, str, timedelta | None]:
    title, who, *due = words.split(" – ")
    return title, who, duration(due[0]) if due else None


def _told(words: str) -> tuple[str, str, timedelta]:
    who, rest = words.split(": ", 1)
    said, at = rest.rsplit(" – ", 1)
    return who, said, duration(at)
