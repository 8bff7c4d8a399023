"""From records to tables: bulk COPY into temporary tables, then a few set-based statements, all in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from sqlalchemy import text

from include.companies import twins
from include.exchange_1c.records import (
    Counterparty,
    Document,
    Goods,
    Group,
    MeasureUnit,
    Offer,
    Price,
    PriceType,
    Property,
    Record,
    Reject,
    Remark,
    Stock,
    Warehouse,
)
from include.exchange_1c.staging_rows import COMPANY_COLUMNS, GOODS_COLUMNS, OTHERS, company_row, goods_row
from include.shared.db import Json, query_text
from include.shared.work import Work

BATCH = 4_000  # rows of a portion: short statements, flat memory
EXAMPLES = 20  # of each remark in the report
KINDS_OF_REMARKS = 300

_COLUMNS = {
    "stage_goods": GOODS_COLUMNS,
    "stage_company": COMPANY_COLUMNS,
    "exchange_reject": "exchange_id, file_id, line, external_id, entity, reason, snippet",
    **{table: columns for table, columns, _ in OTHERS.values()},
}
#: What is applied, in this order: key of the report → (query, entity as in the file)
_APPLIED = {
    "units": ("apply_unit", "ЕдиницаИзмерения"),
    "groups": ("apply_group", "Группа"),
    "properties": ("apply_property", "Свойство"),
    "price_types": ("apply_price_type", "ТипЦены"),
    "warehouses": ("apply_warehouse", "Склад"),
    "offers": ("apply_offer", "Предложение"),
    "prices": ("apply_price", "Цена"),
    "stock": ("apply_stock", "Остаток"),
    "documents": ("apply_document", "Документ"),
}
SHOWN_CHANGES = 500  # of each kind are kept with what was before and after; of the rest only the number
DOUBLED = "Ид встречается несколько раз: взята последняя запись"

# an integration may rightly run for minutes, unlike a page (ten seconds)
_PATIENCE = "SET LOCAL statement_timeout = '30min'; SET LOCAL lock_timeout = '30s'; SET LOCAL work_mem = '64MB'"


class Remarks:
    """Warnings of one exchange, counted by text, with the first examples of each."""

    def __init__(self) -> None:
        self.by_text: dict[str, Json] = {}

    def add(self, remark: str, entity: str, file: str, line: int, external_id: str) -> None:
        """Count one warning; beyond 300 different texts the rest are counted together."""
        if remark not in self.by_text and len(self.by_text) >= KINDS_OF_REMARKS:
            remark = "прочие предупреждения"
        known = self.by_text.setdefault(remark, {"entity": entity, "count": 0, "examples": []})
        known["count"] += 1
        if len(known["examples"]) < EXAMPLES:
            known["examples"].append({"file": file, "line": line, "external_id": external_id})

    def as_json(self) -> list[Json]:
        """Return the warnings, the most frequent first."""
        ordered = sorted(self.by_text.items(), key=lambda one: -int(one[1]["count"]))
        return [{"text": remark, **known} for remark, known in ordered]


class _Lane:
    """Takes rows to the server beside the reading: while one portion is written, the reader makes the next.

    The reader keeps one core busy and the server another; new goods go into their table at once, which is most of the
    server's work (a record that comes again is put right by ``apply_goods``).
    """

    def __init__(self, work: Work, exchange_id: int) -> None:
        self._work = work
        self._new_goods = {"exchange_id": exchange_id, "now": work.now}
        # psycopg's own connection inside SQLAlchemy's: COPY belongs to the same transaction
        raw = work.session.connection().connection.driver_connection
        self._connection = cast("psycopg.Connection[Any]", raw)
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}
        self._beside = ThreadPoolExecutor(max_workers=1)  # the session is used by one of the two threads at a time
        self._portion: Future[None] | None = None

    def __enter__(self) -> _Lane:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            if error is None:
                for table in _COLUMNS:
                    self._send(table)
                self._wait()
        finally:
            self._beside.shutdown()  # nobody writes any more when the transaction goes on or is rolled back

    def put(self, table: str, row: tuple[Any, ...]) -> None:
        """Take one more row."""
        rows = self._rows[table]
        rows.append(row)
        if len(rows) >= BATCH:
            self._send(table)

    def _send(self, table: str) -> None:
        rows, self._rows[table] = self._rows[table], []
        self._wait()
        if rows:
            self._portion = self._beside.submit(self._write, table, rows)

    def _wait(self) -> None:
        portion, self._portion = self._portion, None
        if portion is not None:
            portion.result()

    def _write(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        statement = f"COPY {table} ({_COLUMNS[table]}) FROM STDIN".encode()
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
        if table == "stage_goods":
            first = {"first": rows[0][0], **self._new_goods}
            self._work.session.execute(text(query_text("exchange_1c/add_goods")), first)


@dataclass(frozen=True)
class Absence:
    """What a full export leaves out inside its scope, the first ones by name."""

    absent: int
    in_scope: int
    examples: list[Json]


class Stage:
    """The staging tables of one exchange inside its transaction.

    ``only``: the records (entity, Ид) that are wanted, of an exchange that takes a quarantine again.
    """

    def __init__(
        self, work: Work, exchange_id: int, remarks: Remarks, only: Collection[tuple[str, str]] | None = None
    ) -> None:
        self.work = work
        self.exchange_id = exchange_id
        self.remarks = remarks
        self.rejects = 0
        self._only = only
        self._seq = 0
        self._file_names: dict[int, str] = {}
        for statement in (*_PATIENCE.split("; "), *query_text("exchange_1c/create_stage").split(";\n")):
            if statement.strip():
                work.session.execute(text(statement))

    def take(self, file_id: int, file_name: str, records: Iterable[Record]) -> None:
        """Stage the records of one file; what the reader raises passes through, and nothing is applied then."""
        self._file_names[file_id] = file_name
        with _Lane(self.work, self.exchange_id) as lane:
            for record in records if self._only is None else self._wanted(records, self._only):
                self._seq += 1
                if isinstance(record, Goods):
                    lane.put("stage_goods", goods_row(self._seq, file_id, record))
                elif isinstance(record, Counterparty):
                    lane.put("stage_company", company_row(self._seq, file_id, record))
                elif isinstance(record, Reject):
                    self.rejects += 1
                    about = (record.external_id, record.entity, record.reason, record.snippet)
                    lane.put("exchange_reject", (self.exchange_id, file_id, record.line, *about))
                elif isinstance(record, Remark):
                    self.remarks.add(record.text, record.entity, file_name, record.line, record.external_id)
                else:
                    table, _, row = OTHERS[type(record)]
                    lane.put(table, row(self._seq, record))

    def note_full(self, file_id: int) -> None:
        """Note that a file says to hold everything of its scope."""
        self.work.session.execute(text("INSERT INTO stage_full_file (file_id) VALUES (:id)"), {"id": file_id})

    def apply(self) -> Json:
        """Bring the staged rows into the tables; returns the counts of each kind."""
        for table in ("stage_goods", "stage_company"):  # what the plans need; statistics of JSON are dear and unused
            self.work.session.execute(text(f"ANALYZE {table} (seq, external_id, name)"))
        doubled_goods = self._drop_doubled("goods", "Товар")
        doubled_companies = self._drop_doubled("company", "Контрагент")
        doubled = self._note_doubled()
        kinds = {key: self._counts(_APPLIED[key][0]) for key in ("units", "groups", "properties")}
        goods = self._counts("apply_goods", again=doubled_goods > 0)
        joined = self.work.session.execute(
            text(query_text("exchange_1c/join_twins")),
            {"now": self.work.now, "actor_kind": self.work.actor.kind},
        ).scalar_one()
        doubtful = self._note_doubtful()
        companies = self._counts("apply_companies")
        asked = twins.note(self.work, self.exchange_id, doubtful)
        kinds |= {key: self._counts(query) for key, (query, _) in _APPLIED.items() if key not in kinds}
        for key, number in doubled.items():
            kinds[key]["doubled"] = number
        self._resolve_rejects()
        return {
            "goods": {**goods, "doubled": doubled_goods},
            "companies": {**companies, "joined": joined, "asked": asked, "doubled": doubled_companies},
            "kinds": {key: counts for key, counts in kinds.items() if counts["taken"]},
            "changes": {
                entity: counts["changed"]
                for entity, counts in (
                    ("Товар", goods), ("Контрагент", companies),
                    *((entity, kinds[key]) for key, (_, entity) in _APPLIED.items()),
                )
                if counts["changed"]
            },
        }  # fmt: skip

    def absence(self, examples: int = EXAMPLES) -> Absence:
        """Return what the full files leave out inside their scope; called when everything is applied."""
        row = self._run("scope_of_absence", examples=examples).one()
        return Absence(row.absent, row.in_scope, row.examples)

    def deactivate_absent(self) -> int:
        """Put out of use what the full files leave out inside their scope; returns how many goods that were."""
        return int(self._run("deactivate_absent").scalar_one())

    def _wanted(self, records: Iterable[Record], only: Collection[tuple[str, str]]) -> Iterable[Record]:
        for record in records:
            external_id = record.offer_id if isinstance(record, (Price, Stock)) else record.external_id
            if (entity_of(record), external_id or "") in only:
                yield record

    def _run(self, query: str, **more: Any) -> Any:
        values = {"exchange_id": self.exchange_id, "now": self.work.now, "shown": SHOWN_CHANGES, **more}
        statement = text(query_text(f"exchange_1c/{query}"))
        names = set(statement.compile().params)
        return self.work.session.execute(statement, {key: values[key] for key in values if key in names})

    def _counts(self, query: str, **more: Any) -> dict[str, int]:
        row = self._run(query, **more).one()
        return {name: int(value) for name, value in row._mapping.items()}

    def _drop_doubled(self, kind: str, entity: str) -> int:
        rows = self.work.session.execute(text(query_text(f"exchange_1c/drop_doubled_{kind}"))).all()
        for file_id, line, external_id in rows:
            self.remarks.add(DOUBLED, entity, self._file_names.get(file_id, ""), line, external_id)
        return len(rows)

    def _note_doubled(self) -> dict[str, int]:
        """Tell of offers, prices and stock that came several times; the last ones are taken."""
        keys = {entity: key for key, (_, entity) in _APPLIED.items()}
        found: dict[str, int] = {}
        for entity, external_id, times in self._run("doubled_others"):
            found[keys[entity]] = found.get(keys[entity], 0) + times
            self.remarks.add(DOUBLED, entity, "", 0, external_id)
        return found

    def _resolve_rejects(self) -> None:
        waiting = (
            "SELECT EXISTS (SELECT 1 FROM exchange_reject WHERE resolved_at IS NULL AND exchange_id < :exchange_id)"
        )
        if self.work.session.execute(text(waiting), {"exchange_id": self.exchange_id}).scalar_one():
            self._run("resolve_rejects")

    def _note_doubtful(self) -> list[str]:
        """Tell of counterparties that a person must join or separate; returns their Ид."""
        rows = self.work.session.execute(text(query_text("exchange_1c/doubtful_twins"))).all()
        for file_id, line, external_id, _ids, is_same_kpp in rows:
            remark = (
                "в базе уже есть компании с тем же ИНН и КПП, и выбрать одну нельзя: добавлен отдельно, решите вручную"
                if is_same_kpp
                else "в базе есть компания сотрудников с тем же ИНН, но другим КПП: добавлен отдельно, решите вручную"
            )
            self.remarks.add(remark, "Контрагент", self._file_names.get(file_id, ""), line, external_id)
        return [row.external_id for row in rows]


def entity_of(record: Record) -> str:
    """Return what a record is called in the file: Товар, Контрагент, Предложение …"""
    if isinstance(record, Goods):
        return "Товар"
    if isinstance(record, Counterparty):
        return "Контрагент"
    if isinstance(record, (Reject, Remark)):
        return record.entity
    if isinstance(record, Group) and record.kind == "category":
        return "Категория"
    return _ENTITIES[type(record)]


_ENTITIES: dict[type, str] = {
    Group: "Группа", Property: "Свойство", PriceType: "ТипЦены", Warehouse: "Склад", MeasureUnit: "ЕдиницаИзмерения",
    Offer: "Предложение", Price: "Предложение", Stock: "Предложение", Document: "Документ",
}  # fmt: skip
