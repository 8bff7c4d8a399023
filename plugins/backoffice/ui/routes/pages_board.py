"""The board of a direction: filters kept in the address and remembered per person, columns page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from backoffice.ui import format as written
from backoffice.ui.routes.pages_common import (
    ROOT,
    Form,
    PageNumber,
    RowId,
    address,
    clean_query,
    identity,
    page,
    page_number,
)
from backoffice.ui.security import StaffViewer, staff
from include.deals.rules import parse_sum
from include.shared import clock
from include.shared.errors import InvalidInput, NotFound
from include.shared.work import reading, transaction
from include.staff import me
from include.workplace import board as boards
from include.workplace import directory
from include.workplace.surroundings import COMPANY_NAME, surroundings

router = APIRouter()
SCOPES = {"mine": "Мои", "all": "Все"}
PARAMETERS = ("who", "person", "dept", "company", "late", "stuck", "from", "to", "q")
LONGEST_STAY = 3650


@dataclass(frozen=True)
class Narrowed:
    """What a board is narrowed to: as it stands in the address, as the question asks it, and what was not read."""

    typed: dict[str, str]
    filters: boards.DealFilter
    unread: list[str]

    @property
    def hidden(self) -> int:
        """How many of the filters that stand folded are set."""
        return sum(1 for name in self.typed if name not in ("who", "q"))


def narrowed(given: Mapping[str, str]) -> Narrowed:
    """Read the filters of an address or form; a value that cannot be read is named and left out."""
    typed = {name: clean_query(given.get(name, "")) for name in PARAMETERS}
    unread: list[str] = []
    sums = {name: _sum(typed[name], unread) for name in ("from", "to")}
    stuck = _days(typed["stuck"], unread)
    person, department = identity(typed["person"]), identity(typed["dept"])
    known = {
        "who": "mine" if typed["who"] == "mine" else "", "q": typed["q"], "company": typed["company"],
        "person": str(person or ""), "dept": str(department or ""), "late": "1" if typed["late"] == "1" else "",
        "stuck": "" if stuck is None else str(stuck),
        **{name: "" if sums[name] is None else typed[name] for name in sums},
    }  # fmt: skip
    filters = boards.DealFilter(
        query=known["q"], mine=bool(known["who"]), responsible_id=person, department_id=department,
        company=known["company"], overdue=bool(known["late"]), stuck_days=stuck, sum_from=sums["from"],
        sum_to=sums["to"],
    )  # fmt: skip
    return Narrowed({name: value for name, value in known.items() if value}, filters, unread)


@router.get("/board", dependencies=[Depends(staff)])
def first_board() -> Response:
    """Lead to the board of the first direction."""
    with reading() as session:
        lines = directory.funnels(session)
    if not lines:
        msg = "Направлений продаж ещё нет. Их заводит администратор."
        raise NotFound(msg)
    return RedirectResponse(f"{ROOT}/board/{lines[0].code}", status_code=303)


@router.get("/board/{funnel}")
def board(request: Request, viewer: StaffViewer, funnel: str, stage: str = "", page_: PageNumber = "1") -> Response:
    """Show the stages of a direction with their deals; a bare address opens what the person last narrowed it to."""
    kept, turned = narrowed(request.query_params), page_number(page_)
    with reading() as session:
        now = clock.now(session)
        frame = directory.frame(session, viewer.person_id, COMPANY_NAME)
        remembered = {} if request.query_params else _remembered(frame.preferences, funnel)
        if remembered:
            return RedirectResponse(address(f"/board/{funnel}", **remembered), status_code=303)
        lines = directory.funnels(session, fields=False)
        shown = boards.board(session, viewer, funnel, now, filters=kept.filters, turned=stage, page=turned, lines=lines)
        people = {str(one.id): one.name for one in directory.person_names(session)}
        departments = {str(one.id): one.name for one in directory.departments(session)}
        around = surroundings(session, viewer, frame)
    codes = [one.stage.code for one in shown.columns]
    first_filled = next((one.stage.code for one in shown.columns if one.count), codes[0] if codes else "")
    open_columns = [one for one in shown.columns if one.stage.kind == "open"]
    return page(
        request, viewer, "board.html", active="board", around=around, board=shown, funnels=lines, kept=kept, now=now,
        scopes=SCOPES.items(), shown=stage if stage in codes else first_filled, people=people,
        departments=departments, open_count=sum(one.count for one in open_columns),
        open_sum=sum((one.amount for one in open_columns), Decimal(0)), tags=_tags(kept, people, departments),
        per_column=boards.CARDS_PER_COLUMN,
        address=lambda **new: address(f"/board/{shown.funnel.code}", **_explicit({**kept.typed, **new})),
    )  # fmt: skip


@router.post("/board/{funnel}/filter")
def narrow(viewer: StaffViewer, funnel: str, form: Form) -> Response:
    """Remember what the person narrows the board to, and show it; «Сбросить» forgets it."""
    kept = Narrowed({}, boards.NO_FILTER, []) if form.get("reset") else narrowed(form)
    with transaction(viewer.actor) as work:
        if funnel not in {one.code for one in directory.funnels(work.session)}:
            msg = f"Направления «{funnel}» нет."
            raise NotFound(msg)
        me.remember_filters(work, _page_of(funnel), kept.typed)
    wrong = {name: form[name] for name in ("from", "to", "stuck") if kept.unread and form.get(name)}
    return RedirectResponse(address(f"/board/{funnel}", **_explicit({**kept.typed, **wrong})), status_code=303)


@router.get("/board/{funnel}/stages/{stage}")
def column(request: Request, viewer: StaffViewer, funnel: str, stage: str, page_: PageNumber = "1") -> Response:
    """Return the inside of a column: the next page of its cards for an open board."""
    kept = narrowed(request.query_params)
    with reading() as session:
        now = clock.now(session)
        shown = boards.column(session, viewer, funnel, stage, now, filters=kept.filters, page=page_number(page_))
        line = next(one for one in directory.funnels(session) if funnel in (one.code, one.title))
    return page(
        request, viewer, "_column.html", quick=True, column=shown, funnel=line, now=now, kept=kept,
        per_column=boards.CARDS_PER_COLUMN,
        address=lambda **new: address(f"/board/{line.code}", **_explicit({**kept.typed, **new})),
    )  # fmt: skip


@router.get("/board/{funnel}/cards/{deal_id}")
def one_card(request: Request, viewer: StaffViewer, funnel: str, deal_id: RowId) -> Response:
    """Return one card as it stands now, after a move on an open board."""
    with reading() as session:
        now = clock.now(session)
        deal = boards.card_of(session, viewer, deal_id, now)
        line = next((one for one in directory.funnels(session, fields=False) if one.code == funnel), None)
    if line is None or line.title != deal.funnel:
        msg = f"Направления «{funnel}» нет."
        raise NotFound(msg)
    return page(
        request, viewer, "_onecard.html", quick=True, deal=deal, funnel=line, now=now, back=f"{ROOT}/board/{funnel}"
    )


def _page_of(funnel: str) -> str:
    return f"board/{funnel}"


def _remembered(preferences: me.Preferences, funnel: str) -> dict[str, str]:
    stored = preferences.filters.get(_page_of(funnel), {})
    return narrowed(stored).typed if isinstance(stored, Mapping) else {}


def _explicit(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an address that says who is shown even when nothing is left out."""
    return {"who": "all", **{name: value for name, value in parameters.items() if value not in ("", None)}}


def _sum(typed: str, unread: list[str]) -> Decimal | None:
    if not typed:
        return None
    try:
        return parse_sum("Сумма", typed)
    except InvalidInput:
        unread.append(f"сумма «{typed}» не прочитана")
        return None


def _days(typed: str, unread: list[str]) -> int | None:
    if not typed:
        return None
    days = identity(typed)
    if days is None or days > LONGEST_STAY:
        unread.append(f"дни «{typed}» не прочитаны")
        return None
    return days


def _tags(kept: Narrowed, people: Mapping[str, str], departments: Mapping[str, str]) -> list[dict[str, str]]:
    """Return in words what the board is narrowed to, each with the parameter that takes it away."""
    said: dict[str, Callable[[str], str]] = {
        "person": lambda value: f"ответственный: {people.get(value, f'№ {value}')}",
        "dept": lambda value: f"отдел: {departments.get(value, f'№ {value}')}",
        "company": lambda value: f"компания: {value}",
        "late": lambda _: "только просроченные",
        "stuck": lambda value: f"стоят дольше {written.count(int(value), 'дня', 'дней', 'дней')}",
        "from": lambda value: f"сумма от {value}",
        "to": lambda value: f"сумма до {value}",
        "q": lambda value: f"«{value}»",
    }
    return [{"name": name, "said": words(kept.typed[name])} for name, words in said.items() if name in kept.typed]
