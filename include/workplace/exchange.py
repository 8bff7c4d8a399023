"""Exchanges with 1C as those who answer for them see them: the list, the queue, one exchange with all its details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.orm import Session

from include.documents.rules import size_words
from include.exchange_1c.holding import replaced_by_newest
from include.exchange_1c.models import Exchange, ExchangeChange, ExchangeFile, ExchangeReject
from include.exchange_1c.report import in_words
from include.exchange_1c.rights import require_exchange
from include.installation.places import Places
from include.shared.db import Json
from include.shared.errors import NotFound
from include.staff.services import Viewer, names
from include.workplace import exchange_words as written
from include.workplace import history
from include.workplace.exchange_shapes import (
    ChangedKind,
    ChangeRow,
    Changes,
    ExchangeCard,
    ExchangeFileRow,
    ExchangeList,
    ExchangeRow,
    Held,
    HeldItem,
    KindResult,
    NamedCount,
    RecordCount,
    RejectRow,
    RemarkExample,
    RemarkRow,
)
from include.workplace.shapes import Page, PersonRef

PER_PAGE = 50
SHOWN_FILES = 200
SHOWN_QUEUE = 100
IN_QUEUE = ("held", "received", "queued")
COUNTED = ("taken", "added", "changed", "unchanged", "deactivated", "doubled")
_OWN_KINDS = (("goods", "Товар"), ("companies", "Контрагент"))


def incoming_folder() -> str:
    """Return the folder where 1C puts its files, as the server knows it."""
    return str(Places.from_environment().exchange / "incoming")


# --- the list -------------------------------------------------------------------------------------


def exchanges(
    session: Session, viewer: Viewer, *, state: str = "", source: str = "", page: int = 1, per_page: int = PER_PAGE
) -> ExchangeList:
    """Return what waits, and a page of the exchanges that a filter finds, the newest first."""
    require_exchange(viewer)
    found: list[ColumnElement[bool]] = []
    if state:
        found.append(Exchange.state == ("applied" if state == "repeated" else state))
        if state in ("applied", "repeated"):
            repeats = Exchange.report.has_key("repeat_of")
            found.append(repeats if state == "repeated" else ~repeats)
    if source:
        found.append(Exchange.source == source)
    total = session.scalar(select(func.count()).select_from(Exchange).where(*found)) or 0
    ids = select(Exchange.id).where(*found).order_by(Exchange.id.desc()).offset((page - 1) * per_page).limit(per_page)
    wanted = _rows_of().where(Exchange.id.in_(ids)).order_by(Exchange.id.desc())  # reports of this page alone are read
    return ExchangeList(
        queue=queue(session, viewer),
        page=Page[ExchangeRow](items=_rows(session, wanted), total=total, page=page, per_page=per_page),
    )


def queue(session: Session, viewer: Viewer) -> list[ExchangeRow]:
    """Return the exchanges that are not done yet, the one that holds the others first."""
    require_exchange(viewer)
    return _rows(session, _waiting().order_by(Exchange.id).limit(SHOWN_QUEUE))


def row(session: Session, viewer: Viewer, exchange_id: int) -> ExchangeRow:
    """Return one exchange as a list shows it."""
    require_exchange(viewer)
    found = _rows(session, _rows_of().where(Exchange.id == exchange_id))
    if not found:
        raise NotFound(_no(exchange_id))
    return found[0]


def _no(exchange_id: int) -> str:
    return f"Обмена № {exchange_id} нет."


def _waiting() -> Select[Any]:
    return _rows_of().where(Exchange.filed_at.is_(None), Exchange.state.in_(IN_QUEUE))


def _rows_of() -> Select[Any]:
    """Only the numbers of a report: whole ones hold hundreds of examples."""
    report = Exchange.report
    files = select(func.count()).where(ExchangeFile.exchange_id == Exchange.id).scalar_subquery()
    warnings = func.jsonb_path_query_array(report, cast("$.remarks[*].count", JSONPATH), type_=JSONB)
    return select(
        Exchange.id, Exchange.state, Exchange.source, Exchange.started_at, Exchange.finished_at, Exchange.decision,
        files.label("files"), report["kinds"].label("kinds"), report["goods"].label("goods"),
        report["companies"].label("companies"), report["rejects"]["count"].label("rejects"),
        warnings.label("warnings"), report["repeat_of"].label("repeat_of"), report["error"].label("error"),
    )  # fmt: skip


def _rows(session: Session, wanted: Select[Any]) -> list[ExchangeRow]:
    return [_row(one) for one in session.execute(wanted)]


def _row(one: Row[Any]) -> ExchangeRow:
    state = "repeated" if one.repeat_of else one.state
    kinds = list(_kinds({"kinds": one.kinds, "goods": one.goods, "companies": one.companies}).values())
    return ExchangeRow(
        id=one.id, link=f"/backoffice/exchange/{one.id}", state=state, state_title=written.STATES[state],
        source=one.source, source_title=written.SOURCES.get(one.source, one.source), started_at=one.started_at,
        finished_at=one.finished_at, files=one.files,
        added=sum(_number(kind, "added") for kind in kinds),
        changed=sum(_number(kind, "changed") for kind in kinds),
        deactivated=sum(_number(kind, "deactivated") for kind in kinds),
        warnings=sum(one.warnings or ()), rejects=one.rejects or 0, error=one.error, decision=one.decision,
        decision_title=written.DECISIONS.get(one.decision) if one.decision else None,
    )  # fmt: skip


def _kinds(report: Mapping[str, Any]) -> dict[str, Json]:
    """Return the counts by kind: goods and counterparties stand in the report by names of their own, too."""
    found: dict[str, Json] = dict(report.get("kinds") or {})
    known = {written.kind_title(kind) for kind in found}
    own = {
        kind: report[key]
        for key, kind in _OWN_KINDS
        if isinstance(report.get(key), dict) and written.kind_title(kind) not in known
    }
    return {**own, **found}


def _number(counts: Json, name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) else 0


# --- one exchange ---------------------------------------------------------------------------------


def card(session: Session, viewer: Viewer, exchange_id: int) -> ExchangeCard:
    """Return everything about one exchange but its quarantine and its changes, which have pages of their own."""
    about = row(session, viewer, exchange_id)
    exchange = session.get_one(Exchange, exchange_id)
    report = exchange.report
    waiting = queue(session, viewer) if exchange.filed_at is None else []
    replacing = replaced_by_newest(session, exchange_id) if exchange.state == "held" else None
    newest, replaced = replacing or (None, [])
    held_by = next((one.id for one in waiting if one.state == "held"), None)
    rejects_open = _open_rejects(session, exchange_id) if about.rejects else 0
    people = names(session, {one for one in (exchange.decided_by, exchange.asked_by) if one is not None})
    return ExchangeCard(
        row=about,
        files=_files(session, exchange_id),
        files_total=about.files,
        kinds=[_kind(kind, counts) for kind, counts in _kinds(report).items()],
        remarks=[_remark(one) for one in report.get("remarks") or ()],
        rejects=about.rejects,
        rejects_open=rejects_open,
        not_loaded=_named(report.get("not_loaded")),
        unknown=_named(report.get("unknown")),
        notes=[str(one) for one in report.get("notes") or ()],
        changed=_changed(session, exchange_id, report),
        held=_held(report) if exchange.state == "held" else None,
        behind=held_by if exchange.state == "queued" else None,
        given_up=_rows(session, _rows_of().where(Exchange.id.in_(replaced)).order_by(Exchange.id)) if replaced else [],
        newest=newest,
        repeat_of=report.get("repeat_of"),
        replaced_by=report.get("replaced_by"),
        retake_of=exchange.retake_of,
        retakes=list(
            session.scalars(select(Exchange.id).where(Exchange.retake_of == exchange_id).order_by(Exchange.id))
        ),
        decided_by=_person(exchange.decided_by, people),
        decided_at=exchange.decided_at,
        decision_reason=exchange.decision_reason,
        asked_by=_person(exchange.asked_by, people),
        may_decide=exchange.state == "held" and exchange.decision is None,
        may_take_again=exchange.filed_at is not None and (exchange.state == "failed" or rejects_open > 0),
        is_moving=_is_moving(exchange, waiting),
        history=history.of_entity(session, "exchange", exchange_id),
    )


def report_text(session: Session, viewer: Viewer, exchange_id: int) -> str:
    """Return the report as the text that lies beside the files."""
    require_exchange(viewer)
    exchange = session.get(Exchange, exchange_id)
    if exchange is None:
        raise NotFound(_no(exchange_id))
    if not exchange.report:
        msg = "Отчёта ещё нет: обмен не загружен. Он появится, когда загрузка закончится."
        raise NotFound(msg)
    return in_words(exchange.report)


def _is_moving(exchange: Exchange, waiting: Sequence[ExchangeRow]) -> bool:
    """Say whether it will look different soon: it is being loaded, or nothing but the next run stands before it."""
    if exchange.filed_at is not None:
        return False
    if exchange.state == "queued":
        return not any(one.state == "held" and one.decision is None for one in waiting)
    return exchange.state == "received" or (exchange.state == "held" and exchange.decision is not None)


def _files(session: Session, exchange_id: int) -> list[ExchangeFileRow]:
    rows = session.scalars(
        select(ExchangeFile)
        .where(ExchangeFile.exchange_id == exchange_id)
        .order_by(ExchangeFile.state == "skipped", ExchangeFile.id)  # thousands of pictures stand behind the data
        .limit(SHOWN_FILES)
    ).all()
    archives = {one.archive_id for one in rows if one.archive_id is not None}
    asked = select(ExchangeFile.id, ExchangeFile.name).where(ExchangeFile.id.in_(sorted(archives)))
    named = {found.id: found.name for found in session.execute(asked)} if archives else {}
    return [
        ExchangeFileRow(
            id=one.id, name=one.name, archive=named.get(one.archive_id) if one.archive_id is not None else None,
            size=one.size, size_words=size_words(one.size), encoding=one.encoding, version=one.schema_version,
            is_full=one.is_full, state=one.state, state_title=written.FILE_STATES.get(one.state, one.state),
            error=one.error, counts=[RecordCount(kind=kind, number=number) for kind, number in one.counts.items()],
        )
        for one in rows
    ]  # fmt: skip


def _kind(kind: str, counts: Json) -> KindResult:
    numbers = {name: _number(counts, name) for name in COUNTED}
    return KindResult(kind=kind, title=written.kind_title(kind), **numbers)


def _remark(one: Json) -> RemarkRow:
    examples = [
        RemarkExample(
            file=str(at.get("file") or ""), line=int(at.get("line") or 0), external_id=str(at.get("external_id") or "")
        )
        for at in one.get("examples") or ()
    ]
    return RemarkRow(entity=str(one.get("entity") or ""), text=one["text"], count=one["count"], examples=examples)


def _named(counts: Json | None) -> list[NamedCount]:
    return [NamedCount(title=str(title), number=number) for title, number in (counts or {}).items()]


def _held(report: Json) -> Held | None:
    said = report.get("held")
    if not said:
        return None
    examples = [
        HeldItem(external_id=str(one.get("external_id") or ""), title=str(one.get("title") or one.get("name") or ""))
        for one in said.get("examples") or ()
    ]
    return Held(
        would_deactivate=said["would_deactivate"], in_scope=said["in_scope"],
        percent=str(said["percent"]).replace(".", ","), examples=examples,
    )  # fmt: skip


def _person(person_id: int | None, people: Mapping[int, str]) -> PersonRef | None:
    return PersonRef(id=person_id, name=people.get(person_id, "")) if person_id is not None else None


# --- quarantine and changes -----------------------------------------------------------------------


def rejects(
    session: Session, viewer: Viewer, exchange_id: int, *, only_open: bool = False, page: int = 1,
    per_page: int = PER_PAGE,
) -> Page[RejectRow]:  # fmt: skip
    """Return a page of an exchange's quarantine in the order of its files."""
    _require(session, viewer, exchange_id)
    found: list[ColumnElement[bool]] = [ExchangeReject.exchange_id == exchange_id]
    if only_open:
        found.append(ExchangeReject.resolved_at.is_(None))
    total = session.scalar(select(func.count()).select_from(ExchangeReject).where(*found)) or 0
    rows = session.execute(
        select(ExchangeReject, ExchangeFile.name)
        .join(ExchangeFile, ExchangeFile.id == ExchangeReject.file_id)
        .where(*found)
        .order_by(ExchangeReject.id)
        .offset((page - 1) * per_page)
        .limit(per_page)
    )
    items = [
        RejectRow(
            id=one.id, file=file, line=one.line, entity=one.entity, external_id=one.external_id, reason=one.reason,
            snippet=one.snippet, resolved_at=one.resolved_at,
        )
        for one, file in rows
    ]  # fmt: skip
    return Page[RejectRow](items=items, total=total, page=page, per_page=per_page)


def changes(
    session: Session, viewer: Viewer, exchange_id: int, *, entity: str = "", page: int = 1, per_page: int = PER_PAGE
) -> Changes:
    """Return a page of what an exchange changed in one kind of records (without ``entity`` in the first of them)."""
    exchange = _require(session, viewer, exchange_id)
    kinds = _changed(session, exchange_id, exchange.report)
    chosen = next((one for one in kinds if one.entity == entity), kinds[0] if kinds else None)
    if chosen is None:
        return Changes(kinds=[], entity="", page=Page[ChangeRow](items=[], total=0, page=page, per_page=per_page))
    rows = session.scalars(
        select(ExchangeChange)
        .where(ExchangeChange.exchange_id == exchange_id, ExchangeChange.entity == chosen.entity)
        .order_by(ExchangeChange.id)
        .offset((page - 1) * per_page)
        .limit(per_page)
    )
    items = [
        ChangeRow(
            id=one.id, entity=one.entity, external_id=one.external_id, title=one.title or one.external_id,
            fields=written.differences(one.before or {}, one.after or {}),
        )
        for one in rows
    ]  # fmt: skip
    shown = Page[ChangeRow](items=items, total=chosen.shown, page=page, per_page=per_page)
    return Changes(kinds=kinds, entity=chosen.entity, page=shown)


def _require(session: Session, viewer: Viewer, exchange_id: int) -> Exchange:
    require_exchange(viewer)
    exchange = session.get(Exchange, exchange_id)
    if exchange is None:
        raise NotFound(_no(exchange_id))
    return exchange


def _open_rejects(session: Session, exchange_id: int) -> int:
    wanted = select(func.count()).where(ExchangeReject.exchange_id == exchange_id, ExchangeReject.resolved_at.is_(None))
    return session.scalar(wanted) or 0


def _changed(session: Session, exchange_id: int, report: Json) -> list[ChangedKind]:
    """Return the kinds that have changes; the report knows how many there were, the table holds the first ones."""
    rows = session.execute(
        select(ExchangeChange.entity, func.count().label("shown"))
        .where(ExchangeChange.exchange_id == exchange_id)
        .group_by(ExchangeChange.entity)
        .order_by(func.min(ExchangeChange.id))
    ).all()
    totals: Json = report.get("changes") or {}
    by_title = {written.kind_title(kind): number for kind, number in totals.items() if isinstance(number, int)}
    return [
        ChangedKind(
            entity=one.entity, title=written.kind_title(one.entity), shown=one.shown,
            total=max(one.shown, by_title.get(written.kind_title(one.entity), 0)),
        )
        for one in rows
    ]  # fmt: skip
