"""Streaming reader of CommerceML 2.x and 3.1: typed goods and counterparties, with rejects and remarks (R002-8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree

from include.exchange_1c import rules
from include.exchange_1c.records import (
    Counterparty,
    ExchangeFileDamaged,
    ExchangeFileRefused,
    Goods,
    Limits,
    Record,
    Reject,
    Remark,
)
from include.exchange_1c.source import FIRST_FORMAT, ROOT, Feed, FileHead, inspect
from include.shared.db import Json

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
    "Цена": ("Цены",),
    "Остаток": ("Остатки",),
    "Документ": (ROOT, "Контейнер"),
    "Контейнер": (ROOT,),
}
SECTIONS = ("Классификатор", "Каталог", "ПакетПредложений", "ИзмененияПакетаПредложений", "Контрагенты")
KNOWN_IN_SECTION = {
    "Ид", "ИдКлассификатора", "ИдКаталога", "Наименование", "НаименованиеКраткое", "Описание", "НомерВерсии",
    "ПометкаУдаления", "Роль", "Товары", "Предложения", "Группы", "Категории", "Свойства", "ТипыЦен", "Склады",
    "ЕдиницыИзмерения", "Контрагент", "ДействительноС", "ДействительноДо",
}  # fmt: skip
_TAGS = tuple(f"{{*}}{name}" for name in (ROOT, *SECTIONS, *PARENTS))

GOODS, COUNTERPARTY = "Товар", "Контрагент"
SNIPPET = 300
_OPEN_FIELDS = {"Ид", "ПометкаУдаления", "Роль", "НомерВерсии", "Статус"}  # shown in a counterparty's snippet


class _Names(dict[Any, str]):
    """Element tag → local name, remembered (a file has a few dozen tags and millions of elements)."""

    def __missing__(self, tag: Any) -> str:
        name = tag.rpartition("}")[2] if isinstance(tag, str) else ""
        if len(self) < 10_000:
            self[tag] = name
        return name


class _Keys(dict[str, str]):
    """Name of a requisite → how it is compared, remembered like the tags."""

    def __missing__(self, name: str) -> str:
        key = name.replace(" ", "").lower()
        if len(self) < 10_000:
            self[name] = key
        return key


class _RowRefused(Exception):
    """This record goes to quarantine; the message is the reason."""


class CommerceFile:
    """One exchange file: look at it with ``inspect``, then iterate over ``records`` once; memory stays flat."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self.limits = limits or Limits()
        self.schema_version: str | None = None
        self.formed_at: str | None = None
        self.is_full: bool | None = None
        self.counts: Counter[str] = Counter()  # what the file holds, per kind of record
        self.unknown: Counter[str] = Counter()  # sections that this reader has never heard of
        self._names, self._keys = _Names(), _Keys()
        self._head: FileHead | None = None
        self._remarks: list[str] = []
        self._is_big = False  # the present record took so many bytes that one field may be over the limit

    def inspect(self) -> FileHead:
        """Find the encoding, size and digest in one pass; ExchangeFileRefused for what is no exchange file."""
        if self._head is None:
            self._head = inspect(self.path, self.limits)
        return self._head

    def records(self) -> Iterator[Record]:
        """Yield goods, counterparties, rejects and remarks in the file's order.

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
        for event, element in context:
            name = names[element.tag]
            if event == "start":
                if root is None:
                    root = element
                if name not in PARENTS:
                    self._start_of_section(element, name)
                continue
            parent = element.getparent()
            if parent is None or name not in PARENTS or names[parent.tag] not in PARENTS[name]:
                continue
            line = element.sourceline or 0
            self._is_big = feed.taken > self.limits.field_chars
            if name == GOODS and self._counted(name, parent):
                yield from self._row(element, line, GOODS, self._goods)
            elif name == COUNTERPARTY and self._counted(name, parent):
                yield from self._row(element, line, COUNTERPARTY, self._counterparty)
            elif name not in {GOODS, COUNTERPARTY, "Контейнер"}:
                self.counts[name] += 1
            self._free(element, parent)
            feed.record_done(line)
        for section in () if root is None else root:
            self._note_section(section)
        self.unknown = +self.unknown

    def _counted(self, name: str, parent: Any) -> bool:
        """Count a Товар or Контрагент; those of documents under their own name, since we do not load them yet."""
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
            if field == "Владелец":
                self.counts[field] += 1
            elif field not in KNOWN_IN_SECTION:
                self.unknown[f"{name}/{field}"] += 1

    # one record -------------------------------------------------------------------------------------------------

    def _row(
        self, element: Any, line: int, entity: str, make: Callable[[Any, int], Goods | Counterparty]
    ) -> Iterator[Record]:
        self._remarks = []
        try:
            if self._is_big:
                self._check_sizes(element)
            record = make(element, line)
        except (_RowRefused, rules.ValueRefused) as refusal:
            external_id = rules.normalise(self._quiet_text(element, "Ид"))[: rules.MAX_ID] or None
            yield Reject(line, external_id, entity, str(refusal), self._snippet(element, entity == COUNTERPARTY))
            return
        yield record
        for text in self._remarks:
            yield Remark(line, record.external_id, entity, text)

    def _text(self, element: Any) -> str:
        """Return the element's own text and the tails in it (a unit's name may follow <Пересчет>)."""
        text: str = element.text or ""
        return text + "".join(child.tail or "" for child in element) if len(element) else text

    def _check_sizes(self, element: Any) -> None:
        """Refuse a record with an absurdly long field or attribute."""
        limit = self.limits.field_chars
        for one in element.iter():
            if (
                len(one.text or "") > limit
                or len(one.tail or "") > limit
                or any(len(value) > limit for value in one.attrib.values())
            ):
                msg = f"поле «{self._names[one.tag]}» длиннее {limit} знаков"
                raise _RowRefused(msg)

    def _quiet_text(self, element: Any, name: str) -> str:
        for child in element:
            if self._names[child.tag] == name:
                return (child.text or "")[:1000]
        return ""

    def _plain(self, element: Any, depth: int = 0) -> Any:
        """Return any other element as JSON: its text, or its fields by name (a list where one repeats)."""
        if not len(element) or depth > 8:
            return str(element.text or "").strip()
        fields: Json = {}
        for child in element:
            value = self._plain(child, depth + 1)
            name = self._names[child.tag]
            if value in ("", {}, []):
                continue
            if name not in fields:
                fields[name] = value
            elif isinstance(fields[name], list):
                fields[name].append(value)
            else:
                fields[name] = [fields[name], value]
        return fields

    def _pairs(self, element: Any, key: str) -> dict[str, Any]:
        """Return {name: value} of repeated pairs such as ЗначениеРеквизита; a list where there are several values."""
        # lxml compares the names of a filtered walk in C: asking each element for its name took half of the time
        heads, values = list(element.iter(f"{{*}}{key}")), list(element.iter("{*}Значение"))
        if len(heads) != len(values):
            return self._uneven_pairs(element, key)
        pairs: dict[str, Any] = {}
        for head, value in zip(heads, values, strict=True):
            if value.getprevious() is not head:
                return self._uneven_pairs(element, key)
            name, text = (head.text or "").strip(), (value.text or "").strip()
            if name and text:
                _add(pairs, name, text)
        return pairs

    def _uneven_pairs(self, element: Any, key: str) -> dict[str, Any]:
        """Do the same where a pair has no value, several of them, or anything else inside."""
        pairs: dict[str, Any] = {}
        names = self._names
        name = ""
        for one in element.iterdescendants():  # flat and in order: a pair's name stands before its values
            tag = names[one.tag]
            if tag == key:
                name = (one.text or "").strip()
            elif tag == "Значение":
                if name and (text := (one.text or "").strip()):
                    _add(pairs, name, text)
            elif tag in _PAIR:
                name = ""
        return pairs

    def _identity(self, fields: dict[str, str], raw: Json) -> str:
        external_id = rules.normalise(fields.get("Ид"))
        if not external_id:
            msg = "нет Ид"
            raise _RowRefused(msg)
        if len(external_id) > rules.MAX_ID:
            msg = f"Ид длиннее {rules.MAX_ID} знаков"
            raise _RowRefused(msg)
        _keep_raw(raw, "external_id", fields.get("Ид"), external_id)
        return external_id

    def _name(self, fields: dict[str, str], full_name: str, raw: Json, *, is_deleted: bool) -> str:
        name = rules.normalise(fields.get("Наименование"))
        if len(name) > rules.MAX_NAME:
            msg = f"наименование длиннее {rules.MAX_NAME} знаков"
            raise _RowRefused(msg)
        if not name and full_name:
            self._remarks.append("наименование пустое, взято полное")
            return full_name[: rules.MAX_NAME]
        if not name and not is_deleted:
            msg = "нет наименования"
            raise _RowRefused(msg)
        if _keep_raw(raw, "name", fields.get("Наименование"), name):
            self._remarks.append("наименование приведено к обычному виду (пробелы, HTML)")
        return name

    def _code(self, fields: dict[str, str], field: str, key: str, raw: Json) -> str | None:
        code = rules.normalise(fields.get(field))
        if len(code) > rules.MAX_CODE:
            msg = f"{field.lower()} длиннее {rules.MAX_CODE} знаков"
            raise _RowRefused(msg)
        _keep_raw(raw, key, fields.get(field), code)
        return code or None

    def _goods(self, element: Any, line: int) -> Goods:
        names, raw = self._names, Json()
        fields: dict[str, str] = {}
        groups: list[str] = []
        pictures: list[str] = []
        details = Json()
        requisites: dict[str, Any] = {}
        unit_code = unit_full = unit_text = ""
        vat = None
        for child in element:
            name = names[child.tag]
            if name not in _GOODS_PARTS:
                if len(child):
                    details.setdefault("other", Json())[name] = self._plain(child)
                elif text := child.text:
                    fields[name] = text
            elif name == "Группы":
                groups = [text for one in child if (text := rules.normalise(one.text))]
            elif name == "БазоваяЕдиница":
                unit_code, unit_full = child.get("Код") or "", child.get("НаименованиеПолное") or ""
                unit_text = self._text(child)
            elif name == "ЗначенияРеквизитов":
                requisites = self._pairs(child, "Наименование")
            elif name == "ЗначенияСвойств":
                if properties := self._pairs(child, "Ид"):
                    details["properties"] = properties
            elif name == "СтавкиНалогов":
                vat = self._vat(child, raw, details)
            elif picture := (child.text or "").strip():
                pictures.append(picture)
        by_name = {self._keys[key]: value for key, value in requisites.items()}
        deleted = rules.is_deleted(
            element.get("Статус"),
            fields.get("Статус"),
            fields.get("ПометкаУдаления"),
            _one(by_name, "пометкаудаления"),
        )
        external_id = self._identity(fields, raw)
        full_name = rules.normalise(
            _one(by_name, "полноенаименование")
            or _one(by_name, "наименованиеполное")
            or _one(by_name, "повненайменування")
        )
        title = self._name(fields, full_name, raw, is_deleted=deleted)
        unit = rules.parse_unit(unit_code, unit_text, unit_full)
        if unit.problem and not deleted:
            self._remarks.append(unit.problem)
        _keep_raw(raw, "unit", unit_code or unit_text.strip(" \t\r\n"), unit.code or unit.name)
        for field, key in (("Описание", "description"), ("Страна", "country"), ("Категория", "category")):
            if text := fields.pop(field, "").strip():
                details[key] = text
        if pictures:
            details["pictures"] = pictures
        if requisites:
            details["requisites"] = requisites
        if len(groups) > 1:
            details["groups"] = groups
        sku, barcode = (
            self._code(fields, "Артикул", "sku", raw),
            self._code(fields, "Штрихкод", "barcode", raw),
        )
        rest = {name: text.strip() for name, text in fields.items() if name not in _GOODS_FIELDS}
        if rest:
            details.setdefault("other", Json()).update(rest)
        return Goods(
            line,
            external_id,
            title,
            full_name or None,
            sku,
            barcode,
            unit,
            vat,
            groups,
            deleted,
            raw,
            details,
        )

    def _vat(self, element: Any, raw: Json, details: Json) -> rules.Vat | None:
        taxes: list[tuple[str, str]] = []
        for one in element:
            fields = {self._names[child.tag]: self._text(child) for child in one}
            taxes.append((fields.get("Наименование") or "", fields.get("Ставка") or ""))
        if len(taxes) > 1:
            details["taxes"] = [[rules.normalise(name), rate] for name, rate in taxes]
        stated, vat = _stated_vat(tuple(taxes))
        if vat is not None:
            _keep_raw(raw, "vat", stated, vat.value.removeprefix("vat"))
        return vat

    def _counterparty(self, element: Any, line: int) -> Counterparty:
        raw, details = Json(), Json()
        fields: dict[str, str] = {}
        addresses: list[Json] = []
        accounts: list[Json] = []
        contacts: list[Json] = []
        self._collect(element, fields, addresses, accounts, contacts, details)
        deleted = rules.is_deleted(element.get("Статус"), fields.get("Статус"), fields.get("ПометкаУдаления"), None)
        external_id = self._identity(fields, raw)
        official = rules.normalise(fields.get("ОфициальноеНаименование"))
        full_name = official or rules.normalise(fields.get("ПолноеНаименование"))
        full_name = full_name or rules.normalise(
            " ".join(fields.get(part, "") for part in ("Фамилия", "Имя", "Отчество"))
        )
        name = self._name(fields, full_name, raw, is_deleted=deleted)
        inn, kpp = rules.check_inn(fields.get("ИНН")), rules.check_kpp(fields.get("КПП"))
        kind = rules.company_kind(official, full_name, name, inn.value, kpp.value)
        for key, checked, given in (("inn", inn, fields.get("ИНН")), ("kpp", kpp, fields.get("КПП"))):
            _keep_raw(raw, key, given, checked.value)
            if checked.problem:
                self._remarks.append(f"{checked.problem}: загружен без него")
        for account in accounts:
            if problem := rules.account_problem(account["account"], account["bik"]):
                self._remarks.append(problem)
        for key in ("Роль", "КодПоОКПО", "Комментарий", "НомерВерсии"):
            if text := fields.get(key, "").strip():
                details[key] = text
        email = next((one["value"] for one in contacts if "@" in one["value"]), None)
        phone = next((one["value"] for one in contacts if one["type"].lower().startswith("телефон")), None)
        return Counterparty(
            line, external_id, name, full_name or None, kind, inn.value, kpp.value, deleted, email, phone,
            addresses, accounts, contacts, raw, details,
        )  # fmt: skip

    def _collect(
        self,
        element: Any,
        fields: dict[str, str],
        addresses: list[Json],
        accounts: list[Json],
        contacts: list[Json],
        details: Json,
    ) -> None:
        for child in element:
            name = self._names[child.tag]
            if name in {"ЮрЛицо", "ФизЛицо"}:
                self._collect(child, fields, addresses, accounts, contacts, details)
            elif name in {
                "Адрес",
                "ЮридическийАдрес",
                "ФактическийАдрес",
                "ПочтовыйАдрес",
                "АдресРегистрации",
            }:
                address = self._address(child, name)
                if address["text"] or address["fields"]:
                    addresses.append(address)
            elif name == "РасчетныеСчета":
                accounts.extend(self._account(one) for one in child)
            elif name == "Контакты":
                for one in child:
                    values = {self._names[item.tag]: rules.normalise(self._text(item)) for item in one}
                    if value := values.get("Значение"):
                        contacts.append({"type": values.get("Тип") or values.get("КонтактВид") or "", "value": value})
            elif len(child):
                details[name] = self._plain(child)
            elif text := self._text(child):
                fields[name] = text

    def _address(self, element: Any, kind: str) -> Json:
        text, parts = "", Json()
        for child in element:
            name = self._names[child.tag]
            if name == "Представление":
                text = rules.normalise(self._text(child))
            elif name == "АдресноеПоле":
                pair = {self._names[item.tag]: rules.normalise(self._text(item)) for item in child}
                if pair.get("Тип") and pair.get("Значение"):
                    parts[pair["Тип"]] = pair["Значение"]
        if not len(element):
            text = rules.normalise(self._text(element))
        return {"kind": kind, "text": text, "fields": parts}

    def _account(self, element: Any) -> Json:
        found = self._plain(element)
        found = found if isinstance(found, dict) else {}
        bank = found.get("Банк")
        bank = bank if isinstance(bank, dict) else {}
        return {
            "account": _line(found.get("НомерСчета")).replace(" ", ""),
            "bik": _line(bank.get("БИК")).replace(" ", ""),
            "bank": _line(bank.get("Наименование")),
            "correspondent": _line(bank.get("СчетКорреспондентский")),
        }

    def _snippet(self, element: Any, is_personal: bool) -> str:
        """Return the beginning of the record (300 characters at most); a counterparty's words are hidden (152-ФЗ)."""
        parts: list[str] = []
        length = 0
        for child in element.iter():
            name = self._names[child.tag]
            text = " ".join((child.text or "")[:80].split())
            if is_personal and text and name not in _OPEN_FIELDS:
                text = "•••"
            part = f"<{name}>{rules.mask(text) if is_personal else text}"
            parts.append(part)
            length += len(part)
            if length > SNIPPET:
                break
        return "".join(parts)[:SNIPPET]


_PAIR = {"ЗначениеРеквизита", "ЗначенияСвойства"}
_GOODS_PARTS = {
    "Группы", "БазоваяЕдиница", "ЗначенияРеквизитов", "ЗначенияСвойств", "СтавкиНалогов", "Картинка",
}  # fmt: skip
_GOODS_FIELDS = {"Ид", "Наименование", "Артикул", "Штрихкод", "Статус", "ПометкаУдаления"}


def _keep_raw(raw: Json, key: str, given: str | None, used: str | None) -> bool:
    """Keep what the file said under ``key`` when it is not what we use."""
    if given and given.strip("\r\n\t") and given != (used or ""):
        raw[key] = given[:1000]
        return True
    return False


@lru_cache(maxsize=1024)  # a file has a handful of different sets of taxes
def _stated_vat(taxes: tuple[tuple[str, str], ...]) -> tuple[str, rules.Vat | None]:
    """Return the rate of VAT as written and as understood: that of НДС, or of the only tax there is."""
    stated = [rate for name, rate in taxes if "ндс" in rules.normalise(name).lower()]
    stated = stated or ([taxes[0][1]] if len(taxes) == 1 else [])
    if len({rules.normalise(one) for one in stated}) > 1:
        msg = "несколько разных ставок НДС"
        raise _RowRefused(msg)
    return (stated[0], rules.parse_vat(stated[0])) if stated else ("", None)


def _add(pairs: dict[str, Any], name: str, text: str) -> None:
    known = pairs.get(name)
    if known is None:
        pairs[name] = text
    elif isinstance(known, list):
        known.append(text)
    else:
        pairs[name] = [known, text]


def _one(pairs: dict[str, Any], key: str) -> str | None:
    value = pairs.get(key)
    return value[0] if isinstance(value, list) else value


def _line(value: Any) -> str:
    return rules.normalise(value) if isinstance(value, str) else ""


def _damage(error: etree.XMLSyntaxError, *, is_whole: bool) -> str:
    line = error.lineno or 0
    if not is_whole:
        return f"Файл обрывается на строке {line}: выгрузка не завершена, ничего не загружено."
    return f"Файл повреждён на строке {line}, ничего не загружено ({str(error.msg)[:120]})."
