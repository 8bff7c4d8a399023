"""Контрагент of a file: legal entities, sole traders and persons with their accounts, addresses and contacts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from include.exchange_1c import rules
from include.exchange_1c.reader_parts import Parts, keep_raw, line_of
from include.exchange_1c.records import Counterparty
from include.shared.db import Json

_NESTED = {"ЮрЛицо", "ФизЛицо", "ИндивидуальныйПредприниматель"}
_ADDRESSES = {"Адрес", "ЮридическийАдрес", "ФактическийАдрес", "ПочтовыйАдрес", "АдресРегистрации"}
#: what has a field of its own in the record; every other text goes to the details
_TAKEN = {
    "Ид", "Наименование", "ОфициальноеНаименование", "ПолноеНаименование", "Фамилия", "Имя", "Отчество", "ИНН", "КПП",
    "Статус", "ПометкаУдаления",
}  # fmt: skip


@dataclass
class _Found:
    fields: dict[str, str] = field(default_factory=dict)
    addresses: list[Json] = field(default_factory=list)
    accounts: list[Json] = field(default_factory=list)
    contacts: list[Json] = field(default_factory=list)
    details: Json = field(default_factory=dict)


def make_counterparty(parts: Parts, element: Any, line: int, *, of_document: bool = False) -> Counterparty:
    """Return the Контрагент; inside a document it may be nameless and without an Ид (both empty then)."""
    raw = Json()
    found = _Found()
    _collect(parts, element, found)
    fields = found.fields
    deleted = rules.is_deleted(element.get("Статус"), fields.get("Статус"), fields.get("ПометкаУдаления"), None)
    is_unnamed = of_document and not rules.normalise(fields.get("Ид"))
    external_id = "" if is_unnamed else parts.identity(fields, raw)
    official = rules.normalise(fields.get("ОфициальноеНаименование"))
    full_name = official or rules.normalise(fields.get("ПолноеНаименование"))
    full_name = full_name or rules.normalise(" ".join(fields.get(part, "") for part in ("Фамилия", "Имя", "Отчество")))
    name = parts.name(fields, full_name, raw, may_be_empty=deleted or of_document)
    inn, kpp = rules.check_inn(fields.get("ИНН")), rules.check_kpp(fields.get("КПП"))
    kind = rules.company_kind(official, full_name, name, inn.value, kpp.value)
    for key, checked, given in (("inn", inn, fields.get("ИНН")), ("kpp", kpp, fields.get("КПП"))):
        keep_raw(raw, key, given, checked.value)
        if checked.problem:
            parts.remarks.append(f"{checked.problem}: загружен без него")
    for account in found.accounts:
        if problem := rules.account_problem(account["account"], account["bik"]):
            parts.remarks.append(problem)
    for key, text in fields.items():
        if key not in _TAKEN and (plain := text.strip()):
            found.details.setdefault(key, plain[:1000])
    email = next((one["value"] for one in found.contacts if "@" in one["value"]), None)
    phone = next((one["value"] for one in found.contacts if one["type"].lower().startswith("телефон")), None)
    return Counterparty(
        line, external_id, name, full_name or None, kind, inn.value, kpp.value, deleted, email, phone,
        found.addresses, found.accounts, found.contacts, raw, found.details,
    )  # fmt: skip


def _collect(parts: Parts, element: Any, found: _Found, *, is_inner: bool = False) -> None:
    for child in element:
        name = parts.names[child.tag]
        if name in _NESTED and not is_inner:
            _collect(parts, child, found, is_inner=True)
        elif name in _ADDRESSES:
            address = parts.address(child, name)
            if address["text"] or address["fields"]:
                found.addresses.append(address)
        elif name == "РасчетныеСчета":
            found.accounts.extend(_account(parts, one) for one in child)
        elif name == "РасчетныйСчет":
            found.accounts.append(_account(parts, child))
        elif name == "Контакты":
            found.contacts.extend(parts.contacts(child))
        elif len(child):
            found.details[name] = parts.plain(child)
        elif text := parts.text(child):
            found.fields.setdefault(name, text)


def _account(parts: Parts, element: Any) -> Json:
    found = parts.plain(element)
    found = found if isinstance(found, dict) else {}
    bank = found.get("Банк")
    bank = bank if isinstance(bank, dict) else {}
    return {
        "account": line_of(found.get("НомерСчета")).replace(" ", ""),
        "bik": line_of(bank.get("БИК")).replace(" ", ""),
        "bank": line_of(bank.get("Наименование")),
        "correspondent": line_of(bank.get("СчетКорреспондентский")),
    }
