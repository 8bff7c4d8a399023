"""From records to tables: bulk COPY into temporary tables, then a few set-based statements, all in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import msgspec
import psycopg
from sqlalchemy import text

from include.exchange_1c.records import Counterparty, Goods, Record, Reject
from include.exchange_1c.rules import MAX_NAME, SEARCH_KEY
from include.shared.db import Json, query_text
from include.shared.names import search_key
from include.shared.work import Work

BATCH = 4_000  # rows of a portion: short statements, flat memory
EXAMPLES = 20  # of each remark in the report
KINDS_OF_REMARKS = 300

_COLUMNS = {
    "stage_goods": (
        "seq, file_id, line, external_id, name, full_name, sku, barcode, unit_code, unit_name, vat,"
        " group_external_id, search_key, active, raw, details"
    ),
    "stage_company": (
        "seq, file_id, line, external_id, name, full_name, kind, inn, kpp, email, phone, search_key, is_deleted,"
        " details"
    ),
    "exchange_reject": "exchange_id, file_id, line, external_id, entity, reason, snippet",
}

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


class Stage:
    """The staging tables of one exchange inside its transaction."""

    def __init__(self, work: Work, exchange_id: int, remarks: Remarks) -> None:
        self.work = work
        self.exchange_id = exchange_id
        self.remarks = remarks
        self.rejects = 0
        self._seq = 0
        self._file_names: dict[int, str] = {}
        for statement in (*_PATIENCE.split("; "), *query_text("exchange_1c/create_stage").split(";\n")):
            if statement.strip():
                work.session.execute(text(statement))

    def take(self, file_id: int, file_name: str, records: Iterable[Record]) -> None:
        """Stage the records of one file; what the reader raises passes through, and nothing is applied then."""
        self._file_names[file_id] = file_name
        with _Lane(self.work, self.exchange_id) as lane:
            for record in records:
                self._seq += 1
                if isinstance(record, Goods):
                    lane.put("stage_goods", _goods_row(self._seq, file_id, record))
                elif isinstance(record, Counterparty):
                    lane.put("stage_company", _company_row(self._seq, file_id, record))
                elif isinstance(record, Reject):
                    self.rejects += 1
                    about = (record.external_id, record.entity, record.reason, record.snippet)
                    lane.put("exchange_reject", (self.exchange_id, file_id, record.line, *about))
                else:
                    self.remarks.add(record.text, record.entity, file_name, record.line, record.external_id)

    def apply(self) -> Json:
        """Bring the staged rows into the tables; returns the counts of goods and counterparties."""
        for table in ("stage_goods", "stage_company"):  # what the plans need; statistics of JSON are dear and unused
            self.work.session.execute(text(f"ANALYZE {table} (seq, external_id, name)"))
        doubled_goods = self._drop_doubled("goods", "Товар")
        doubled_companies = self._drop_doubled("company", "Контрагент")
        goods = self._counts("apply_goods", again=doubled_goods > 0)
        joined = self.work.session.execute(
            text(query_text("exchange_1c/join_twins")),
            {"now": self.work.now, "actor_kind": self.work.actor.kind},
        ).scalar_one()
        self._note_doubtful()
        companies = self._counts("apply_companies")
        for kind in ("goods", "company"):
            self._run(f"resolve_rejects_{kind}")
        return {
            "goods": {**goods, "doubled": doubled_goods},
            "companies": {**companies, "joined": joined, "doubled": doubled_companies},
        }

    def _run(self, query: str) -> Any:
        values = {"exchange_id": self.exchange_id, "now": self.work.now}
        return self.work.session.execute(text(query_text(f"exchange_1c/{query}")), values)

    def _counts(self, query: str, **more: Any) -> dict[str, int]:
        values = {"exchange_id": self.exchange_id, "now": self.work.now, **more}
        statement = text(query_text(f"exchange_1c/{query}"))
        names = set(statement.compile().params)
        row = self.work.session.execute(statement, {key: values[key] for key in values if key in names}).one()
        return {name: int(value) for name, value in row._mapping.items()}

    def _drop_doubled(self, kind: str, entity: str) -> int:
        rows = self.work.session.execute(text(query_text(f"exchange_1c/drop_doubled_{kind}"))).all()
        for file_id, line, external_id in rows:
            self.remarks.add(
                "Ид встречается несколько раз: взята последняя запись",
                entity,
                self._file_names.get(file_id, ""),
                line,
                external_id,
            )
        return len(rows)

    def _note_doubtful(self) -> None:
        rows = self.work.session.execute(text(query_text("exchange_1c/doubtful_twins"))).all()
        for file_id, line, external_id, _ids, is_same_kpp in rows:
            remark = (
                "в базе уже есть компании с тем же ИНН и КПП, и выбрать одну нельзя: добавлен отдельно, решите вручную"
                if is_same_kpp
                else "в базе есть компания сотрудников с тем же ИНН, но другим КПП: добавлен отдельно, решите вручную"
            )
            self.remarks.add(remark, "Контрагент", self._file_names.get(file_id, ""), line, external_id)


_encode = msgspec.json.Encoder().encode


def _json(value: Json) -> str:
    return _encode(value).decode() if value else "{}"


def _key(name: str) -> str:
    return search_key(name[:MAX_NAME])[:SEARCH_KEY]


def _goods_row(seq: int, file_id: int, one: Goods) -> tuple[Any, ...]:
    return (
        seq, file_id, one.line, one.external_id, one.name, one.full_name, one.sku, one.barcode, one.unit.code,
        one.unit.name, one.vat.value if one.vat else None, one.groups[0] if one.groups else None, _key(one.name),
        not one.is_deleted, _json(one.raw), _json(one.details),
    )  # fmt: skip


def _company_row(seq: int, file_id: int, one: Counterparty) -> tuple[Any, ...]:
    details: Json = {"one_c": {**one.details, "is_deleted": one.is_deleted}}
    if one.raw:
        details["one_c"]["raw"] = one.raw
    for key, values in (("addresses", one.addresses), ("accounts", one.accounts), ("contacts", one.contacts)):
        if values:
            details[key] = values
    return (
        seq, file_id, one.line, one.external_id, one.name, one.full_name, one.kind.value, one.inn, one.kpp, one.email,
        one.phone, _key(one.name), one.is_deleted, _json(details),
    )  # fmt: skip
