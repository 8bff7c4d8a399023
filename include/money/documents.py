"""Sections of a bank statement: which keys there are, how their lines come together, and what record they make."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import NamedTuple

from include.exchange_1c.rules import ValueRefused, check_kpp, mask, normalise
from include.money.purposes import FOLD
from include.money.records import AccountSection, Limits, Party, Reject, Remark, StatementDamaged, StatementPayment
from include.money.values import LONGEST_NAME, parse_amount, parse_day, party_inn, party_name
from include.shared.db import Json
from include.shared.numbers import number_key

LONGEST_PURPOSE, LONGEST_NUMBER, LONGEST_CODE, LONGEST_DETAIL = 4000, 100, 50, 4000

HEADINGS = frozenset({
    "ВерсияФормата", "Кодировка", "Отправитель", "Получатель", "ДатаСоздания", "ВремяСоздания", "ДатаНачала",
    "ДатаКонца", "РасчСчет", "Документ",
})  # fmt: skip
BALANCES = ("НачальныйОстаток", "ВсегоПоступило", "ВсегоСписано", "КонечныйОстаток")
ACCOUNT_KEYS = frozenset({"ДатаНачала", "ДатаКонца", "РасчСчет", *BALANCES})
PURPOSES = ("НазначениеПлатежа", *(f"НазначениеПлатежа{place}" for place in range(1, 7)))
_OF_PARTY = (
    "Счет", "", "ИНН", "КПП", "1", "2", "3", "4", "РасчСчет", "Банк1", "Банк2", "БИК", "Корсчет",
)  # fmt: skip
DOCUMENT_KEYS = frozenset({
    "Номер", "Дата", "Сумма", "КвитанцияДата", "КвитанцияВремя", "КвитанцияСодержание", "ДатаСписано", "ДатаПоступило",
    *(f"{who}{what}" for who in ("Плательщик", "Получатель") for what in _OF_PARTY),
    "ВидПлатежа", "КодНазПлатежа", "ВидОплаты", "Код", *PURPOSES, "СтатусСоставителя", "ПоказательКБК", "ОКАТО",
    "ОКТМО", "ПоказательОснования", "ПоказательПериода", "ПоказательНомера", "ПоказательДаты", "ПоказательТипа",
    "Очередность", "СрокАкцепта", "ВидАккредитива", "СрокПлатежа", "УсловиеОплаты1", "УсловиеОплаты2", "УсловиеОплаты3",
    "ПлатежПоПредст", "ДополнУсловия", "НомерСчетаПоставщика", "ДатаОтсылкиДок",
})  # fmt: skip
KNOWN = HEADINGS | ACCOUNT_KEYS | DOCUMENT_KEYS
#: two different values of one of these in one section are two payments that ran together
_ONE_OF = frozenset({
    "Номер", "Дата", "Сумма", "ПлательщикСчет", "ПолучательСчет", "ПлательщикИНН", "ПолучательИНН", "РасчСчет",
    *BALANCES,
})  # fmt: skip
_FOLDED = {one.translate(FOLD): one for one in KNOWN}
_IDENTIFIER = re.compile(r"[А-ЯЁA-Z][А-Яа-яЁёA-Za-z_]*\d{0,2}")


def canonical(key: str) -> str:
    """Return a known key however it is spelt (Latin look-alikes, capitals, spaces inside); another one as it is."""
    if key in KNOWN or len(key) > 60 or not key[:1].isupper():
        return key
    return _FOLDED.get(key.translate(FOLD).replace(" ", ""), key)


class Section:
    """One section as its lines come; ``made`` turns it into a record."""

    __slots__ = (
        "_conflicts",
        "_fields",
        "_keys",
        "_last",
        "_limits",
        "_noted",
        "_size",
        "_strange",
        "end",
        "line",
        "title",
    )

    def __init__(
        self, title: str, end: str, keys: frozenset[str], strange: frozenset[str], line: int, limits: Limits
    ) -> None:
        self.title = title
        self.end = end
        self.line = line
        self._keys = keys
        self._strange = strange
        self._limits = limits
        self._fields: dict[str, str] = {}
        self._last: str | None = None
        self._size = 0
        self._conflicts: list[str] = []
        self._noted: list[tuple[int, str]] = []

    def take(self, line: int, text: str, key: str, equals: str, value: str) -> None:
        """Take a line: ``key`` and ``value`` are what stands before and after the first ``=``.

        A line that is no key goes on with the value before it. StatementDamaged when the section outgrows its bound or
        holds a key of another section.
        """
        self._size += len(text) + 1
        if self._size > self._limits.section_chars:
            most = self._limits.section_chars
            msg = f"Раздел «{self.title}» со строки {self.line} длиннее {most} знаков: файл повреждён."
            raise StatementDamaged(msg)
        if key not in self._keys:
            key = canonical(key)
            if key in self._strange:
                msg = (
                    f"В разделе «{self.title}» со строки {self.line} на строке {line} стоит поле «{key}» другого "
                    "раздела: файл повреждён. Выгрузите выписку заново."
                )
                raise StatementDamaged(msg)
            if key not in self._keys and not (equals and _IDENTIFIER.fullmatch(key)):
                self._continue(line, text)
                return
        self._last = key
        value = value.strip()
        known = self._fields.get(key)
        if not known:
            self._fields[key] = value
        elif value and value != known:
            self._again(line, key, known, value)

    def _continue(self, line: int, text: str) -> None:
        if self._last is None:
            self._note(line, f"строка до первого поля пропущена: «{mask(text[:40])}»")
            return
        self._fields[self._last] = f"{self._fields[self._last]} {text}".lstrip()

    def _again(self, line: int, key: str, known: str, value: str) -> None:
        if key in PURPOSES:
            self._fields[key] = f"{known} {value}"
        elif key in _ONE_OF:
            self._conflicts.append(key)
        else:
            self._note(line, f"поле «{key}» повторяется с другим значением: взято первое")

    def _note(self, line: int, text: str) -> None:
        if len(self._noted) < 100:
            self._noted.append((line, text))

    def made(self, own: Collection[str]) -> tuple[AccountSection | StatementPayment | Reject, list[Remark]]:
        """Return the record, or a Reject with the reason, and the remarks about it."""
        raise NotImplementedError

    def _remarks(self, number: str, entity: str, problems: list[str]) -> list[Remark]:
        noted = [*self._noted, *((self.line, one) for one in problems)]
        return [Remark(line, number, entity, f"{text[:1].upper()}{text[1:]}.") for line, text in noted]

    def _rest(self) -> Json:
        """Return every field that has no place of its own."""
        return {key: value[:LONGEST_DETAIL] for key, value in self._fields.items() if value}

    def _day(self, key: str, raw: Json, problems: list[str]) -> dt.date | None:
        said = self._fields.pop(key, "")
        if not said:
            return None
        try:
            day = parse_day(said)
        except ValueRefused as problem:
            raw[key] = said[:LONGEST_CODE]
            problems.append(f"{key}: {problem}")
            return None
        if day is None or len(said) != 10 or said[2] != ".":
            raw[key] = said[:LONGEST_CODE]
        return day


class AccountLines(Section):
    """СекцияРасчСчет: what the bank states of an account for a period."""

    __slots__ = ()

    def made(self, own: Collection[str]) -> tuple[AccountSection | StatementPayment | Reject, list[Remark]]:  # noqa: ARG002
        """Return the balances; what is not a number stays in ``raw`` and is not believed."""
        raw: Json = {}
        problems: list[str] = []
        account = _account(self._fields.pop("РасчСчет", "")) or ""
        date_from, date_to = self._day("ДатаНачала", raw, problems), self._day("ДатаКонца", raw, problems)
        sums: list[Decimal | None] = []
        for key in BALANCES:
            said = self._fields.pop(key, "")
            try:
                sums.append(None if key in self._conflicts else parse_amount(said))
            except ValueRefused as problem:
                sums.append(None)
                problems.append(f"{key}: {problem}")
            if sums[-1] is None and said:
                raw[key] = said[:LONGEST_CODE]
        problems += [f"поле «{key}» указано дважды по-разному" for key in dict.fromkeys(self._conflicts)]
        opening, incoming, outgoing, closing = sums
        made = AccountSection(
            self.line, account, date_from, date_to, opening, incoming, outgoing, closing, raw, self._rest()
        )
        return made, self._remarks(account, "account", problems)


class _PartyKeys(NamedTuple):
    account: str
    settlement: str
    inn: str
    kpp: str
    name: str
    first: str
    bank: str
    place: str
    bik: str
    correspondent: str


def _party_keys(who: str) -> _PartyKeys:
    parts = ("Счет", "РасчСчет", "ИНН", "КПП", "", "1", "Банк1", "Банк2", "БИК", "Корсчет")
    return _PartyKeys(*(f"{who}{one}" for one in parts))


_PAYER, _PAYEE = _party_keys("Плательщик"), _party_keys("Получатель")


class DocumentLines(Section):
    """СекцияДокумент: one payment."""

    __slots__ = ()

    def made(self, own: Collection[str]) -> tuple[AccountSection | StatementPayment | Reject, list[Remark]]:
        """Return the payment; without a date, a sum above zero or with two payments in one it is a Reject."""
        fields = self._fields
        raw: Json = {}
        problems: list[str] = []
        number = normalise(fields.pop("Номер", ""))[:LONGEST_NUMBER]
        said = fields.pop("Сумма", "")
        refused = ""
        amount: Decimal | None = None
        try:
            amount = parse_amount(said)
        except ValueRefused as problem:
            refused = str(problem)
        if self._conflicts:
            refused = f"поле «{self._conflicts[0]}» указано дважды по-разному: похоже, два документа слились в один"
        elif not refused and (amount is None or amount <= 0):
            refused = "сумма не указана" if amount is None else f"сумма не больше нуля: {said[:40]}"
        charged, received = self._day("ДатаСписано", raw, problems), self._day("ДатаПоступило", raw, problems)
        stated = fields.get("Дата", "")
        date = self._day("Дата", raw, problems)
        if date is None:
            date = received or charged
            if date is None:
                refused = refused or "дата не указана" if not stated else refused or f"дата не понята: «{stated[:40]}»"
            else:
                problems.append("даты документа нет: взята дата движения денег")
        if refused or amount is None or date is None:
            snippet = mask(f"{self.title}; Номер={number}; Дата={stated[:40]}; Сумма={said[:40]}")
            return Reject(self.line, number, "payment", f"{refused[:1].upper()}{refused[1:]}.", snippet), []
        if said != str(amount):
            raw["Сумма"] = said[:LONGEST_CODE]
        payer = self._party(_PAYER, own, raw, problems)
        payee = self._party(_PAYEE, own, raw, problems)
        purpose = self._purpose(raw, problems)
        if not number:
            problems.append("номера документа нет")
        code = fields.pop("Код", "")
        made = StatementPayment(
            line=self.line, kind=self.title, number=number, number_key=number_key(number), date=date, amount=amount,
            charged_on=charged, received_on=received, payer=payer, payee=payee, purpose=purpose,
            priority=self._code("Очередность"), uin=code[:LONGEST_CODE] if code.strip("0") else None,
            payer_status=self._code("СтатусСоставителя"), kbk=self._code("ПоказательКБК"),
            oktmo=self._code("ОКАТО") or self._code("ОКТМО"), raw=raw,
        )  # fmt: skip
        made.details = self._rest()
        return made, self._remarks(number, "payment", problems) if problems or self._noted else []

    def _code(self, key: str) -> str | None:
        return self._fields.pop(key, "")[:LONGEST_CODE] or None

    def _party(self, keys: _PartyKeys, own: Collection[str], raw: Json, problems: list[str]) -> Party:
        take: Callable[[str, str], str] = self._fields.pop
        direct, settlement = _account(take(keys.account, "")), _account(take(keys.settlement, ""))
        account = settlement if direct is None or (settlement in own and direct not in own) else direct
        if settlement is not None and settlement != account:
            self._fields[keys.settlement] = settlement
        elif direct is not None and direct != account:
            self._fields[keys.account] = direct
        said = take(keys.name, "")
        first = take(keys.first, "")
        name, within = party_name(said, first)
        if said and said != name:
            raw[keys.name] = said[:LONGEST_NAME]
        if first and first != name and said:
            self._fields[keys.first] = first
        stated = take(keys.inn, "")
        inn, kind, problem = party_inn(stated or within or "", account, f"{said} {first}")
        if kind is not None:
            raw[keys.inn] = (stated or within or "")[:LONGEST_CODE]
        if problem and account not in own:
            problems.append(f"{keys.inn} «{mask(stated or within or '')[:40]}»: {problem}")
        code = take(keys.kpp, "")
        kpp, wrong = check_kpp(code) if code.strip("0") else (None, None)
        if wrong:
            raw[keys.kpp] = code[:LONGEST_CODE]
            problems.append(f"{keys.kpp}: {wrong}")
        bank = ", ".join(one for one in (normalise(take(keys.bank, "")), normalise(take(keys.place, ""))) if one)
        return Party(
            account, inn, kpp, name, bank[:LONGEST_NAME], take(keys.bik, "")[:LONGEST_CODE] or None,
            take(keys.correspondent, "")[:LONGEST_CODE] or None,
        )  # fmt: skip

    def _purpose(self, raw: Json, problems: list[str]) -> str:
        """Return the purpose: the whole of it where it stands, else its lines one after another."""
        whole, *lines = (self._fields.pop(key, "") for key in PURPOSES)
        joined = " ".join(one for one in lines if one)
        said = whole
        if joined and len(joined) > len(whole) and _solid(joined).startswith(_solid(whole)):
            said = joined
        text = normalise(said)
        if "&" in said and text != said:
            raw["НазначениеПлатежа"] = said[:LONGEST_PURPOSE]
        if len(text) > LONGEST_PURPOSE:
            problems.append(f"назначение длиннее {LONGEST_PURPOSE} знаков: взято начало")
            text = text[:LONGEST_PURPOSE]
        return text


def account_lines(line: int, limits: Limits) -> Section:
    """Begin a section with balances at a line."""
    return AccountLines("СекцияРасчСчет", "КонецРасчСчет", ACCOUNT_KEYS, _NOT_OF_ACCOUNTS, line, limits)


def document_lines(line: int, kind: str, limits: Limits) -> Section:
    """Begin a section with a payment at a line; ``kind`` is what stands after СекцияДокумент=."""
    title = kind[:LONGEST_NUMBER] or "Документ"
    return DocumentLines(title, "КонецДокумента", DOCUMENT_KEYS, _NOT_OF_DOCUMENTS, line, limits)


_NOT_OF_ACCOUNTS = DOCUMENT_KEYS - ACCOUNT_KEYS - HEADINGS
_NOT_OF_DOCUMENTS = frozenset(BALANCES)


def _account(said: str) -> str | None:
    """Return an account without spaces; None for an absent one, which banks write as zeros."""
    plain = said.replace(" ", "").upper()[:LONGEST_CODE]
    return plain if plain.strip("0") else None


def _solid(text: str) -> str:
    return "".join(text.split())
