"""From records to tables: bulk COPY into temporary tables, then a few set-based statements, all in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec
import psycopg
from sqlalchemy import text

from include.exchange_1c.records import Counterparty, Goods, Record, Reject
from include.exchange_1c.rules import MAX_NAME, SEARCH_KEY
from include.shared.db import Json, query_text
from include.shared.names import search_key
from include.shared.work import Work

BATCH = 5_000  # rows per COPY: short statements, flat memory
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


class Stage:
    """The staging tables of one exchange inside its transaction."""

    def __init__(self, work: Work, exchange_id: int, remarks: Remarks) -> None:
        self.work = work
        self.exchange_id = exchange_id
        self.remarks = remarks
        self.rejects = 0
        self._seq = 0
        self._file_names: dict[int, str] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}
        # psycopg's own connection inside SQLAlchemy's: COPY belongs to the same transaction
        raw = work.session.connection().connection.driver_connection
        self._connection = cast("psycopg.Connection[Any]", raw)
        for statement in (*_PATIENCE.split("; "), *query_text("exchange_1c/create_stage").split(";\n")):
            if statement.strip():
                work.session.execute(text(statement))

    def take(self, file_id: int, file_name: str, records: Iterable[Record]) -> None:
        """Stage the records of one file; what the reader raises passes through, and nothing is applied then."""
        self._file_names[file_id] = file_name
        goods, companies, rejects = (self._rows[table] for table in _COLUMNS)
        for record in records:
            self._seq += 1
            if isinstance(record, Goods):
                goods.append(_goods_row(self._seq, file_id, record))
                if len(goods) >= BATCH:
                    self._flush("stage_goods")
            elif isinstance(record, Counterparty):
                companies.append(_company_row(self._seq, file_id, record))
                if len(companies) >= BATCH:
                    self._flush("stage_company")
            elif isinstance(record, Reject):
                self.rejects += 1
                about = (record.external_id, record.entity, record.reason, record.snippet)
                rejects.append((self.exchange_id, file_id, record.line, *about))
                if len(rejects) >= BATCH:
                    self._flush("exchange_reject")
            else:
                self.remarks.add(record.text, record.entity, file_name, record.line, record.external_id)
        for table in _COLUMNS:
            self._flush(table)

    def _flush(self, table: str) -> None:
        rows = self._rows[table]
        if not rows:
            return
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({_COLUMNS[table]}) FROM STDIN".encode()) as copy,
        ):
            for row in rows:
                copy.write_row(row)
        rows.clear()

    def apply(self) -> Json:
        """Bring the staged rows into the tables; returns the counts of goods and counterparties."""
        for table in ("stage_goods", "stage_company"):
            self.work.session.execute(text(f"ANALYZE {table}"))
        doubled_goods = self._drop_doubled("goods", "Товар")
        doubled_companies = self._drop_doubled("company", "Контрагент")
        goods = self._counts("apply_goods")
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

    def _counts(self, query: str) -> dict[str, int]:
        values = {"exchange_id": self.exchange_id, "now": self.work.now}
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
