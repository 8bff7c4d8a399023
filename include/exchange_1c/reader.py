"""Streaming reader of CommerceML 2.x and 3.1: typed records with rejects and remarks, in flat memory (R002-8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from include.exchange_1c import rules
from include.exchange_1c.reader_classifier import make_group, make_price_type, make_property, make_unit, make_warehouse
from include.exchange_1c.reader_documents import make_document, subordinates
from include.exchange_1c.reader_goods import make_goods, make_offer
from include.exchange_1c.reader_partners import make_counterparty
from include.exchange_1c.reader_parts import Parts, RowRefused
from include.exchange_1c.records import (
    Document,
    ExchangeFileDamaged,
    ExchangeFileRefused,
    Group,
    Limits,
    Record,
    Reject,
    Remark,
)
from include.exchange_1c.source import FIRST_FORMAT, ROOT, Feed, FileHead, inspect

#: a record of the format → the containers it is a record in (elsewhere the same name is only a field)
PARENTS: dict[str, tuple[str, ...]] = {
    "Товар": ("Товары",),
    "Контрагент": ("Контрагенты",),
    "Группа": ("Группы",),
    "Категория": ("Категории",),
    "Свойство": ("Свойства",),
    "Предложение": ("Предложения",),
    "ТипЦены": ("ТипыЦен",),
    "Склад": ("Склады",),
    "ЕдиницаИзмерения": ("ЕдиницыИзмерения",),
    "Документ": (ROOT, "Контейнер"),
    "Контейнер": (ROOT,),
}
_INSIDE = {"Цена": ("Цены",), "Остаток": ("Остатки",), **PARENTS}
SECTIONS = ("Классификатор", "Каталог", "ПакетПредложений", "ИзмененияПакетаПредложений", "Контрагенты")
KNOWN_IN_SECTION = {
    "Ид", "ИдКлассификатора", "ИдКаталога", "Наименование", "НаименованиеКраткое", "Описание", "НомерВерсии",
    "ПометкаУдаления", "Роль", "Товары", "Предложения", "Группы", "Категории", "Свойства", "ТипыЦен", "Склады",
    "ЕдиницыИзмерения", "Контрагент", "ДействительноС", "ДействительноДо",
}  # fmt: skip
_TAGS = tuple(f"{{*}}{name}" for name in (ROOT, *SECTIONS, *PARENTS))

GOODS, COUNTERPARTY = "Товар", "Контрагент"
_BRANCHES = {"Группа", "Категория", "Контейнер"}  # records in which others stand
_PERSONAL = {COUNTERPARTY, "Документ"}
_OF_CLASSIFIER: dict[str, Callable[[Parts, Any, int], Record]] = {
    "Свойство": make_property,
    "ТипЦены": make_price_type,
    "Склад": make_warehouse,
    "ЕдиницаИзмерения": make_unit,
}
#: lists short enough to remember their ids; doubled goods, offers and counterparties are found in the staging tables
_SHORT_LISTS = {"Группа", "Категория", "Документ", *_OF_CLASSIFIER}
_DEEPEST = 4  # subordinate documents: an order, its shipment, the invoice of it


class CommerceFile:
    """One exchange file: look at it with ``inspect``, then iterate over ``records`` once; memory stays flat."""

    def __init__(self, path: Path, limits: Limits | None = None, *, everything: bool = False) -> None:
        self.path = path
        self.limits = limits or Limits()
        self.everything = everything  # else only goods and counterparties, and the rest is counted
        self.schema_version: str | None = None
        self.formed_at: str | None = None
        self.is_full: bool | None = None
        self.full_sections: dict[str, bool] = {}  # section → it holds everything, for those that say it themselves
        self.catalogue_ids: dict[str, str] = {}  # section → its Ид; known when the file is read to its end
        self.counts: Counter[str] = Counter()  # what the file holds, per kind of record
        self.unknown: Counter[str] = Counter()  # sections that this reader has never heard of
        self._parts = Parts()
        self._names = self._parts.names
        self._head: FileHead | None = None
        self._is_big = False  # the present record took so many bytes that one field may be over the limit
        self._orphans: dict[Any, list[Group]] = {}  # element of a group → its children, until its own id is known
        self._seen: dict[str, set[str]] = {}  # ids of the short lists, where a repeated one is worth a remark

    def inspect(self) -> FileHead:
        """Find the encoding, size and digest in one pass; ExchangeFileRefused for what is no exchange file."""
        if self._head is None:
            self._head = inspect(self.path, self.limits)
        return self._head

    def records(self) -> Iterator[Record]:
        """Yield the records of the file, with rejects and remarks, in the order of their ends in it.

        ExchangeFileRefused for CommerceML 1.x, ExchangeFileDamaged for a cut or broken file (by then some records
        are out: the caller stages them and applies nothing).
        """
        head = self.inspect()
        with self.path.open("rb") as file:
            feed = Feed(file, head.encoding, self.limits)
            try:
                yield from self._walk(feed)
            except etree.XMLSyntaxError as error:
                raise ExchangeFileDamaged(_damage(error, is_whole=self._is_whole(head))) from error

    def _is_whole(self, head: FileHead) -> bool:
        """Say whether the file ends with the closing tag of its root (else it was cut on its way)."""
        with self.path.open("rb") as file:
            file.seek(max(0, head.size - 4096))
            return f"{ROOT}>".encode(head.encoding).removeprefix(b"\xff\xfe") in file.read()

    def _walk(self, feed: Feed) -> Iterator[Record]:
        context = etree.iterparse(
            feed,
            events=("start", "end"),
            tag=_TAGS,
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            huge_tree=True,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
            remove_blank_text=True,  # the indentation between elements: half of the nodes of a file
        )
        names = self._names
        root: Any = None
        leaf: Any = None  # the record that is open now: what is inside belongs to it and is freed with it
        for event, element in context:
            name = names[element.tag]
            if event == "start":
                if root is None:
                    root = element
                if name not in PARENTS:
                    if leaf is None:
                        self._start_of_section(element, name)
                elif leaf is None and name not in _BRANCHES and self._is_record(element, name):
                    leaf = element
                continue
            if leaf is not None:
                if element is not leaf:
                    continue
                leaf = None
            elif name not in _BRANCHES or not self._is_record(element, name):
                continue
            parent = element.getparent()
            line = element.sourceline or 0
            self._is_big = feed.taken > self.limits.field_chars
            if name != "Контейнер":
                yield from self._records_of(element, name, line, parent)
            self._free(element, parent)
            feed.record_done(line)
        for children in self._orphans.values():  # their parent stands where no group is expected
            yield from children
        for section in () if root is None else root:
            self._note_section(section)
        self.counts, self.unknown = +self.counts, +self.unknown

    def _is_record(self, element: Any, name: str) -> bool:
        parent = element.getparent()
        return parent is not None and self._names[parent.tag] in _INSIDE[name]

    def _records_of(self, element: Any, name: str, line: int, parent: Any) -> Iterable[Record]:
        """Return what one element of the file gives: usually one record and its remarks."""
        parts = self._parts
        if name == GOODS:
            if self._counted(name, parent):
                return self._row(element, line, name, lambda: [make_goods(parts, element, line)])
            return ()
        if name == COUNTERPARTY:
            if self._counted(name, parent):
                return self._row(element, line, name, lambda: [make_counterparty(parts, element, line)])
            return ()
        self.counts[name] += 1
        if not self.everything:
            self._count_inside(element, name)
            return ()
        if name == "Предложение":
            return self._row(element, line, name, lambda: make_offer(parts, element, line, self.counts))
        if name == "Документ":
            return self._documents(element, line)
        if name in _BRANCHES:
            return self._group(element, name, line, parent)
        return self._row(element, line, name, lambda: [_OF_CLASSIFIER[name](parts, element, line)])

    def _count_inside(self, element: Any, name: str) -> None:
        """Count what is inside a record that is not asked for."""
        if name == "Предложение":
            for field in ("Цена", "Остаток"):
                self.counts[field] += sum(self._is_record(one, field) for one in element.iter(f"{{*}}{field}"))
        elif name == "Документ":
            self.counts[name] += sum(1 for _ in element.iterdescendants("{*}Документ", "{*}ПодчиненныйДокумент"))
            for field in (GOODS, COUNTERPARTY):
                found = sum(self._is_record(one, field) for one in element.iter(f"{{*}}{field}"))
                self.counts[f"{field} в «{name}»"] += found

    def _documents(self, element: Any, line: int, parent_id: str | None = None, depth: int = 0) -> Iterator[Record]:
        """Yield a document and, behind it, its subordinate ones: each is taken or refused for itself."""
        own_id = rules.normalise(self._parts.quiet_text(element, "Ид"))[: rules.MAX_ID] or None
        for record in self._row(
            element, line, "Документ", lambda: [make_document(self._parts, element, line, self.counts, parent_id)]
        ):
            if isinstance(record, Document):
                own_id = record.external_id
            yield record
        for child in subordinates(self._parts, element):
            self.counts["Документ"] += 1
            below = child.sourceline or line
            if depth < _DEEPEST:
                yield from self._documents(child, below, own_id, depth + 1)
            else:
                reason = f"подчинённые документы вложены глубже {_DEEPEST} уровней"
                yield Reject(below, None, "Документ", reason, self._parts.snippet(child, is_personal=True))

    def _group(self, element: Any, name: str, line: int, parent: Any) -> Iterator[Record]:
        """Yield a group, and its children that had to wait for its id (it usually stands before them)."""
        kind = "group" if name == "Группа" else "category"
        found: list[Group] = []
        for record in self._row(element, line, name, lambda: [make_group(self._parts, element, line, kind)]):
            if isinstance(record, Group):
                found.append(record)
            else:
                yield record
        own_id = rules.normalise(self._parts.quiet_text(element, "Ид"))[: rules.MAX_ID]
        for child in self._orphans.pop(element, ()):
            child.parent_id = own_id or None
            yield child
        above = parent.getparent()
        if above is None or self._names[above.tag] != name:
            yield from found
            return
        parent_id = rules.normalise(self._parts.quiet_text(above, "Ид"))[: rules.MAX_ID]
        for group in found:
            if parent_id:
                group.parent_id = parent_id
                yield group
            else:
                self._orphans.setdefault(above, []).append(group)

    def _counted(self, name: str, parent: Any) -> bool:
        """Count a Товар or Контрагент; those that stand in no catalogue or list under the name of their place."""
        above = parent.getparent()
        if above is not None and self._names[above.tag] not in {"Каталог", ROOT}:
            self.counts[f"{name} в «{self._names[above.tag]}»"] += 1
            return False
        self.counts[name] += 1
        return True

    def _start_of_section(self, element: Any, name: str) -> None:
        version = element.get("ВерсияСхемы")
        if name == ROOT:
            self.schema_version, self.formed_at = version, element.get("ДатаФормирования")
        is_first = (version or "").strip().startswith("1.") or any(
            element.get(key) for key in ("Идентификатор", "ИдентификаторКаталога", "Каталог")
        )
        if is_first:
            raise ExchangeFileRefused(FIRST_FORMAT)
        only_changes = rules.parse_flag(element.get("СодержитТолькоИзменения"))
        if only_changes is not None and name != ROOT:
            self.full_sections[name] = not only_changes
        if only_changes is not None and (name in {"Каталог", "Контрагенты"} or self.is_full is None):
            self.is_full = not only_changes

    def _free(self, element: Any, parent: Any) -> None:
        element.clear()
        is_top = self._names[parent.tag] == ROOT
        previous = element.getprevious()
        while previous is not None:
            if is_top:
                self._note_section(previous)
            parent.remove(previous)
            previous = element.getprevious()

    def _note_section(self, section: Any) -> None:
        """Name what is left of a section of the file and is none of the known sections or fields."""
        name = self._names[section.tag]
        if name not in SECTIONS:
            self.unknown[name] += name not in PARENTS
            return
        for inner in section:
            field = self._names[inner.tag]
            if field == "Ид":
                self.catalogue_ids[name] = rules.normalise(inner.text)[: rules.MAX_ID]
            elif field == "Владелец":
                self.counts[field] += 1
            elif field not in KNOWN_IN_SECTION:
                self.unknown[f"{name}/{field}"] += 1

    # one record -------------------------------------------------------------------------------------------------

    def _row(self, element: Any, line: int, entity: str, make: Callable[[], list[Record]]) -> list[Record]:
        """Return what ``make`` makes of the element and the remarks to it, or a Reject with the reason."""
        parts = self._parts
        remarks: list[str] = []
        parts.remarks = remarks
        try:
            if self._is_big:
                parts.check_sizes(element, self.limits.field_chars)
            records = make()
        except (RowRefused, rules.ValueRefused) as refusal:
            known = rules.normalise(parts.quiet_text(element, "Ид"))[: rules.MAX_ID] or None
            return [Reject(line, known, entity, str(refusal), parts.snippet(element, is_personal=entity in _PERSONAL))]
        if not remarks and entity not in _SHORT_LISTS:
            return records
        external_id: str = getattr(records[0], "external_id", "") if records else ""
        external_id = external_id or rules.normalise(parts.quiet_text(element, "Ид"))[: rules.MAX_ID]
        if entity in _SHORT_LISTS:
            seen = self._seen.setdefault(entity, set())
            if external_id in seen:
                remarks.append("Ид встречается несколько раз: взята последняя запись")
            seen.add(external_id)
        records += [Remark(line, external_id, entity, text) for text in remarks]
        return records


def _damage(error: etree.XMLSyntaxError, *, is_whole: bool) -> str:
    line = error.lineno or 0
    if not is_whole:
        return f"Файл обрывается на строке {line}: выгрузка не завершена, ничего не загружено."
    return f"Файл повреждён на строке {line}, ничего не загружено ({str(error.msg)[:120]})."
