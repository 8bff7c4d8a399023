"""What every record of a file is read with: names of elements, texts, pairs, units, identity, and a masked snippet."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

from include.exchange_1c import rules
from include.exchange_1c.records import Discount, Tax
from include.shared.db import Json

SNIPPET = 300
NOT_SET = "00000000-0000-0000-0000-000000000000"  # the value of a property that nobody has chosen
#: shown in the snippet of a record about people; everything else in it is hidden
_OPEN_FIELDS = {
    "Ид", "ПометкаУдаления", "Роль", "НомерВерсии", "Статус", "Номер", "Дата", "Время", "ХозОперация", "Валюта",
    "Курс", "Сумма", "Номер1С", "Дата1С", "СрокПлатежа",
}  # fmt: skip
_PAIR = {"ЗначениеРеквизита", "ЗначенияСвойства", "ХарактеристикаТовара"}
_MANY = 10_000  # remembered names: a file has a few dozen, a hostile one does not fill the memory
#: Latin letters that look like Cyrillic ones: «Дата оплаты по 1C» is met with either C
_LOOK_ALIKE = str.maketrans("aceopxykmthbё", "асеорхукмтнве")


class RowRefused(Exception):
    """This record goes to quarantine; the message is the reason."""


class Names(dict[Any, str]):
    """Element tag → local name, remembered (a file has a few dozen tags and millions of elements)."""

    def __missing__(self, tag: Any) -> str:
        name = tag.rpartition("}")[2] if isinstance(tag, str) else ""
        if len(self) < _MANY:
            self[tag] = name
        return name


class Keys(dict[str, str]):
    """Name of a requisite → how it is compared, remembered like the tags."""

    def __missing__(self, name: str) -> str:
        key = name.replace(" ", "").replace("\u00a0", "").lower()
        if not key.isascii():
            key = key.translate(_LOOK_ALIKE)
        if len(self) < _MANY:
            self[name] = key
        return key


class Parts:
    """The tools with which the records of one file are made; ``remarks`` are those of the present record."""

    def __init__(self) -> None:
        self.names, self.keys = Names(), Keys()
        self.remarks: list[str] = []

    # texts ------------------------------------------------------------------------------------------------------

    def text(self, element: Any) -> str:
        """Return the element's own text and the tails in it (a unit's name may follow <Пересчет>)."""
        text: str = element.text or ""
        return text + "".join(child.tail or "" for child in element) if len(element) else text

    def fields(self, element: Any) -> dict[str, str]:
        """Return the texts of the element's children by name; the first one where a name repeats."""
        found: dict[str, str] = {}
        names = self.names
        for child in element:
            if text := child.text:
                found.setdefault(names[child.tag], text)
        return found

    def check_sizes(self, element: Any, limit: int) -> None:
        """Refuse a record with an absurdly long field or attribute."""
        for one in element.iter():
            if (
                len(one.text or "") > limit
                or len(one.tail or "") > limit
                or any(len(value) > limit for value in one.attrib.values())
            ):
                msg = f"поле «{self.names[one.tag]}» длиннее {limit} знаков"
                raise RowRefused(msg)

    def quiet_text(self, element: Any, name: str) -> str:
        """Return the beginning of the text of the first child of this name, without any complaint."""
        for child in element:
            if self.names[child.tag] == name:
                return (child.text or "")[:1000]
        return ""

    def plain(self, element: Any, depth: int = 0) -> Any:
        """Return any other element as JSON: its text, or its fields by name (a list where one repeats)."""
        if not len(element) or depth > 8:
            return str(element.text or "").strip()
        fields: Json = {}
        for child in element:
            value = self.plain(child, depth + 1)
            if value not in ("", {}, []):
                _add(fields, self.names[child.tag], value)
        return fields

    def put_other(self, details: Json, name: str, value: Any) -> None:
        """Keep under «other» what has no place of its own; the values of a repeated name as a list."""
        if value not in ("", {}, []):
            _add(details.setdefault("other", Json()), name, value)

    # pairs ------------------------------------------------------------------------------------------------------

    def pairs(self, element: Any, key: str) -> dict[str, Any]:
        """Return {name: value} of repeated pairs such as ЗначениеРеквизита; a list where there are several values."""
        # lxml compares the names of a filtered walk in C: asking each element for its name took half of the time
        heads, values = list(element.iter(f"{{*}}{key}")), list(element.iter("{*}Значение"))
        if len(heads) != len(values):
            return self.uneven_pairs(element, key)
        pairs: dict[str, Any] = {}
        for head, value in zip(heads, values, strict=True):
            if value.getprevious() is not head:
                return self.uneven_pairs(element, key)
            name, text = (head.text or "").strip(), (value.text or "").strip()
            if name and text and text != NOT_SET:
                _add(pairs, name, text)
        return pairs

    def uneven_pairs(self, element: Any, key: str) -> dict[str, Any]:
        """Do the same where a pair has no value, several of them, or anything else inside."""
        pairs: dict[str, Any] = {}
        names = self.names
        name = ""
        for one in element.iterdescendants():  # flat and in order: a pair's name stands before its values
            tag = names[one.tag]
            if tag == key:
                name = (one.text or "").strip()
            elif tag == "Значение":
                if name and (text := (one.text or "").strip()) and text != NOT_SET:
                    _add(pairs, name, text)
            elif tag in _PAIR:
                name = ""
        return pairs

    def by_key(self, pairs: dict[str, Any]) -> dict[str, Any]:
        """Return the pairs under the names as they are compared (without spaces, in small letters)."""
        return {self.keys[name]: value for name, value in pairs.items()}

    def characteristics(self, element: Any) -> dict[str, str]:
        """Return ХарактеристикиТовара as name → value."""
        return {name: first(value) or "" for name, value in self.pairs(element, "Наименование").items()}

    # values -----------------------------------------------------------------------------------------------------

    def identity(self, fields: dict[str, str], raw: Json) -> str:
        """Return the Ид, without which and with too long a one a record is refused."""
        given = fields.get("Ид")
        external_id = rules.normalise(given)
        if not external_id:
            msg = "нет Ид"
            raise RowRefused(msg)
        if len(external_id) > rules.MAX_ID:
            msg = f"Ид длиннее {rules.MAX_ID} знаков"
            raise RowRefused(msg)
        keep_raw(raw, "external_id", given, external_id)
        return external_id

    def name(self, fields: dict[str, str], full_name: str, raw: Json, *, may_be_empty: bool) -> str:
        """Return the Наименование, put right where it is padded; the full name where it is empty."""
        given = fields.get("Наименование")
        name = rules.normalise(given)
        if len(name) > rules.MAX_NAME:
            msg = f"наименование длиннее {rules.MAX_NAME} знаков"
            raise RowRefused(msg)
        if not name and full_name:
            self.remarks.append("наименование пустое, взято полное")
            return full_name[: rules.MAX_NAME]
        if not name and not may_be_empty:
            msg = "нет наименования"
            raise RowRefused(msg)
        if keep_raw(raw, "name", given, name):
            self.remarks.append("наименование приведено к обычному виду (пробелы, HTML)")
        return name

    def code(self, fields: dict[str, str], field: str, key: str, raw: Json) -> str | None:
        """Return a short code such as Артикул; None for an empty one."""
        given = fields.get(field)
        if not given:
            return None
        code = rules.normalise(given)
        if len(code) > rules.MAX_CODE:
            msg = f"{field.lower()} длиннее {rules.MAX_CODE} знаков"
            raise RowRefused(msg)
        keep_raw(raw, key, given, code)
        return code or None

    def number(self, given: str | None, key: str, raw: Json) -> Decimal | None:
        """Return a number, the way it was written kept where that differs; ValueRefused for what is none."""
        if not given:
            return None
        number = rules.parse_number(given)
        if number is not None:
            keep_raw(raw, key, given, str(number))
        return number

    def flag(self, text: str | None) -> bool | None:
        """Return a yes or no; None when the file says neither."""
        return rules.parse_flag(text) if text else None

    def unit_texts(self, element: Any, *, is_inner: bool = False) -> tuple[str, str, str]:
        """Return code, text and full name of a unit: of attributes, of a text or of nested elements."""
        if not len(element):
            return element.get("Код") or "", element.text or "", element.get("НаименованиеПолное") or ""
        code, full_name = element.get("Код") or "", element.get("НаименованиеПолное") or ""
        text = self.text(element)
        for child in element:
            name = self.names[child.tag]
            if name == "Единица" and not is_inner:
                inner = self.unit_texts(child, is_inner=True)
                code, text, full_name = code or inner[0], text if text.strip() else inner[1], full_name or inner[2]
            elif name == "Код":
                code = child.text or code
            elif name == "НаименованиеПолное":
                full_name = child.text or full_name
            elif name in {"НаименованиеКраткое", "Наименование"}:
                text = child.text or text
            elif name == "Ид" and not code:
                code = child.text or ""
        return code, text, full_name

    def unit(self, texts: tuple[str, str, str], raw: Json, *, is_deleted: bool = False) -> rules.Unit:
        """Return the unit of ОКЕИ, with a remark when our table does not know it."""
        code, text, full_name = texts
        unit = rules.parse_unit(code, text, full_name)
        if unit.problem and not is_deleted:
            self.remarks.append(unit.problem)
        keep_raw(raw, "unit", code or text.strip(" \t\r\n") or full_name, unit.code or unit.name)
        return unit

    def taxes(self, element: Any, raw: Json) -> list[Tax]:
        """Return the Налоги of a document or a line; a rate that we do not know is a remark here."""
        taxes: list[Tax] = []
        for one in element:
            fields = self.fields(one)
            name, rate = rules.normalise(fields.get("Наименование")), fields.get("Ставка")
            amount = self.number(fields.get("Сумма"), "tax_amount", raw)
            if not (name or rate or amount):
                continue
            try:
                vat = rules.parse_vat(rate) if rate and ("ндс" in name.lower() or not name) else None
            except rules.ValueRefused as refusal:
                self.remarks.append(str(refusal))
                raw["vat"] = (rate or "")[:1000]
                vat = None
            taxes.append(Tax(name, vat, amount, self.flag(fields.get("УчтеноВСумме"))))
        return taxes

    def discounts(self, element: Any, raw: Json, sign: int = 1) -> list[Discount]:
        """Return the Скидки (``sign`` 1) or Наценки (-1) of a document or a line."""
        found: list[Discount] = []
        for one in element:
            fields = self.fields(one)
            name = rules.normalise(fields.get("Наименование"))
            amount = self.number(fields.get("Сумма"), "discount_amount", raw)
            percent = self.number(fields.get("Процент"), "discount_percent", raw)
            if name or amount is not None or percent is not None:
                found.append(
                    Discount(
                        name,
                        None if amount is None else amount * sign,
                        None if percent is None else percent * sign,
                        self.flag(fields.get("УчтеноВСумме")),
                    )
                )
        return found

    def address(self, element: Any, kind: str) -> Json:
        """Return an address: its kind, its text and its fields by type."""
        text, parts = "", Json()
        for child in element:
            name = self.names[child.tag]
            if name == "Представление":
                text = rules.normalise(self.text(child))
            elif name == "АдресноеПоле":
                pair = {self.names[item.tag]: rules.normalise(self.text(item)) for item in child}
                if pair.get("Тип") and pair.get("Значение"):
                    parts[pair["Тип"]] = pair["Значение"]
        if not len(element):
            text = rules.normalise(self.text(element))
        return {"kind": kind, "text": text, "fields": parts}

    def contacts(self, element: Any) -> list[Json]:
        """Return the Контакты as pairs of a type and a value."""
        found: list[Json] = []
        for one in element:
            values = {self.names[item.tag]: rules.normalise(self.text(item)) for item in one}
            if value := values.get("Значение"):
                found.append({"type": values.get("Тип") or values.get("КонтактВид") or "", "value": value})
        return found

    # what quarantine shows --------------------------------------------------------------------------------------

    def snippet(self, element: Any, is_personal: bool) -> str:
        """Return the beginning of the record (300 characters at most); words about people are hidden (152-ФЗ)."""
        parts: list[str] = []
        length = 0
        for child in element.iter():
            name = self.names[child.tag]
            text = " ".join((child.text or "")[:80].split())
            if is_personal and text and name not in _OPEN_FIELDS:
                text = "•••"
            part = f"<{name}>{rules.mask(text) if is_personal else text}"
            parts.append(part)
            length += len(part)
            if length > SNIPPET:
                break
        return "".join(parts)[:SNIPPET]


def keep_raw(raw: Json, key: str, given: str | None, used: str | None) -> bool:
    """Keep what the file said under ``key`` when it is not what we use."""
    if given and given != used and given.strip("\r\n\t"):
        raw[key] = given[:1000]
        return True
    return False


@lru_cache(maxsize=1024)  # a file has a handful of different sets of taxes
def stated_vat(taxes: tuple[tuple[str, str], ...]) -> tuple[str, rules.Vat | None]:
    """Return the rate of VAT as written and as understood: that of НДС, or of the only tax there is."""
    stated = [rate for name, rate in taxes if "ндс" in rules.normalise(name).lower()]
    stated = stated or ([taxes[0][1]] if len(taxes) == 1 else [])
    if len({rules.normalise(one) for one in stated}) > 1:
        msg = "несколько разных ставок НДС"
        raise RowRefused(msg)
    return (stated[0], rules.parse_vat(stated[0])) if stated else ("", None)


def _add(pairs: dict[str, Any], name: str, value: Any) -> None:
    known = pairs.get(name)
    if known is None:
        pairs[name] = value
    elif isinstance(known, list):
        known.append(value)
    else:
        pairs[name] = [known, value]


def first(value: Any) -> str | None:
    """Return the value of a pair, the first one where there are several."""
    found: str | None = value[0] if isinstance(value, list) else value
    return found


def line_of(value: Any) -> str:
    """Return a text on one line; empty for anything that is no text."""
    return rules.normalise(value) if isinstance(value, str) else ""


def split_id(external_id: str) -> tuple[str, str | None]:
    """Return the id of the goods and of their characteristic («goods#characteristic»)."""
    goods, _, characteristic = external_id.partition("#")
    return (goods, characteristic or None) if goods else (external_id, None)
