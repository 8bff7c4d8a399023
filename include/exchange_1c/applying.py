"""One exchange brought into the tables: all of it in one transaction with its audit and its event, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from decimal import Decimal

from sqlalchemy import func, select

from include.exchange_1c import register
from include.exchange_1c.models import Exchange
from include.exchange_1c.parcels import Taken, readable
from include.exchange_1c.reader import CommerceFile
from include.exchange_1c.records import ExchangeFileDamaged, ExchangeFileRefused
from include.exchange_1c.report import not_loaded
from include.exchange_1c.staging import Absence, Remarks, Stage
from include.money import from_one_c
from include.orders.services import confirm_from_documents
from include.process.models import ProcessCase
from include.shared.db import Json
from include.shared.errors import Conflict
from include.shared.settings import value_of
from include.shared.work import INTEGRATION, Work, transaction

APPLIED_KEY = "on:event:exchange_applied"
CATALOGUE = "Каталог"
KEPT = "Полная выгрузка: чего в ней нет, по решению человека не снято."
Only = Collection[tuple[str, str]]


class FileChanged(Conflict):
    """1C wrote over a file while it was being read: nothing is applied, the next run takes it anew."""


class NothingReadable(Conflict):
    """Not one file of the exchange can be read."""


class TooMuchAbsent(Conflict):
    """A full export would put so much out of use that a person must be asked; ``report`` says what."""

    def __init__(self, report: Json) -> None:
        held = report["held"]
        super().__init__(
            f"полная выгрузка сняла бы {held['would_deactivate']} из {held['in_scope']} товаров своих групп "
            f"({str(held['percent']).replace('.', ',')} %): решите на странице обмена."
        )
        self.report = report


def apply(exchange_id: int, taken: Sequence[Taken], *, decision: str | None = None, only: Only | None = None) -> Json:
    """Stage every readable file and apply all of them in this one transaction, with its audit and event.

    ``decision`` of a person about a full export: "confirm" puts out of use whatever it leaves out, "keep" nothing;
    without one too much of it raises TooMuchAbsent. ``only``: the records that an exchange takes again.
    """
    with transaction(INTEGRATION) as work:
        exchange = work.session.get_one(Exchange, exchange_id, with_for_update=True)
        for one in taken:
            if one.damage is not None:
                msg = f"{one.arrived.name}: {one.damage}"
                raise ExchangeFileDamaged(msg)
        files = readable(taken)
        if not files:
            msg = "среди файлов нет ни одного, который можно прочитать."
            raise NothingReadable(msg)
        report = register.base(exchange)
        first = None if exchange.source == "again" else work.session.scalar(
            select(func.min(Exchange.id)).where(Exchange.digest == exchange.digest, Exchange.state == "applied")
        )  # fmt: skip
        if first is not None:
            report["repeat_of"] = first
            for one, reader in files:
                register.write_file(work, one, reader, "applied")
        else:
            report |= _load(work, exchange_id, files, decision, only)
        exchange.state, exchange.finished_at = "applied", work.now
        work.session.flush()
        report["state"], report["files"] = "applied", register.files_of(work, exchange_id)
        pictures = sum(one.arrived.is_picture for outer in taken for one in outer.all)
        if pictures:
            report.setdefault("not_loaded", {})["файлы картинок"] = pictures
        if exchange.retake_of is not None:
            report["retake_of"] = exchange.retake_of
        exchange.report = report
        if first is None:
            _tell(work, exchange_id, report)
        return report


def _load(
    work: Work, exchange_id: int, files: Sequence[tuple[Taken, CommerceFile]], decision: str | None, only: Only | None
) -> Json:
    remarks = Remarks()
    stage = Stage(work, exchange_id, remarks, only)
    counts: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for one, reader in files:
        try:
            stage.take(one.file_id, one.arrived.name, reader.records())
        except ExchangeFileRefused as refusal:
            one.error = str(refusal)
            msg = f"{one.arrived.name}: {refusal}"
            raise ExchangeFileDamaged(msg) from refusal
        if not one.arrived.is_same():
            raise FileChanged(one.arrived.name)
        if reader.full_sections.get(CATALOGUE) and only is None:
            stage.note_full(one.file_id)
        counts.update(reader.counts)
        unknown.update(reader.unknown)
        register.write_file(work, one, reader, "applied")
    result = stage.apply()
    result |= _after_documents(work, exchange_id, result)
    report = {
        **result,
        "rejects": register.rejects_of(work, exchange_id, stage.rejects),
        "remarks": remarks.as_json(),
        "not_loaded": not_loaded(counts),
        "unknown": dict(unknown),
        "notes": [
            f"{words}: {result[key]}."
            for key, words in (
                ("orders_confirmed", "Подтверждено заказов, отправленных в 1С"),
                ("invoices", "Счетов из 1С внесено или изменено"),
            )
            if result.get(key)
        ],
    }
    return _with_absence(work, stage, report, decision)


def _after_documents(work: Work, exchange_id: int, result: Json) -> Json:
    """Let orders and invoices know what 1C says of them, in the same transaction."""
    if "documents" not in result["kinds"]:
        return {}
    return {
        "orders_confirmed": confirm_from_documents(work, exchange_id),
        "invoices": from_one_c.invoices_from_documents(work, exchange_id),
    }


def _with_absence(work: Work, stage: Stage, report: Json, decision: str | None) -> Json:
    found = stage.absence()
    if not found.absent:
        return report
    if decision == "keep":
        return {**report, "notes": [*report["notes"], KEPT]}
    if decision is None and _is_too_much(work, found):
        percent = (Decimal(100) * found.absent / found.in_scope).quantize(Decimal("0.1"))
        held = {
            "would_deactivate": found.absent,
            "in_scope": found.in_scope,
            "percent": str(percent),
            "examples": found.examples,
        }
        raise TooMuchAbsent({**report, "held": held})
    absent = stage.deactivate_absent()
    goods = report["goods"]
    changed = {**goods, "changed": goods["changed"] + absent, "deactivated": goods["deactivated"] + absent}
    changes = {**report["changes"], "Товар": report["changes"].get("Товар", 0) + absent}
    return {**report, "goods": {**changed, "absent": absent}, "changes": changes}


def _is_too_much(work: Work, found: Absence) -> bool:
    limit = Decimal(str(value_of(work.session, "exchange_deactivate_percent", 10)))
    return Decimal(100) * found.absent > limit * found.in_scope


def _tell(work: Work, exchange_id: int, report: Json) -> None:
    """Write the exchange's case, its audit row and its one event (ids and counts only)."""
    title = f"Обмен с 1С № {exchange_id} от {report['date']}"
    case = ProcessCase(key=f"exchange-{exchange_id}", kind="exchange", title=title)
    work.session.add(case)
    work.session.flush()
    counts = {key: report[key] for key in ("goods", "companies", "kinds")} | {
        "rejects": report["rejects"]["count"],
        "refused_files": sum(one["state"] == "refused" for one in report["files"]),
    }
    work.audit(
        "exchange.applied",
        f"{title}: номенклатуры добавлено {report['goods']['added']}, изменено {report['goods']['changed']}; "
        f"контрагентов добавлено {report['companies']['added']}, изменено {report['companies']['changed']}; "
        f"в карантине {counts['rejects']}",
        entity="exchange",
        entity_id=exchange_id,
        case_id=case.id,
        after=counts,
    )
    work.emit(
        "exchange_applied",
        APPLIED_KEY,
        visit=f"exchange-{exchange_id}",
        case_id=case.id,
        payload={"exchange_id": exchange_id, **counts},
    )
