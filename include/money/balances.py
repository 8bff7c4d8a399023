"""The control of a statement: balances of each account and period against the documents, and what does not add up."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal

from include.money.documents import BALANCES
from include.money.records import (
    AccountSection,
    AccountTotals,
    Disagreement,
    Limits,
    StatementCheck,
    StatementDamaged,
    StatementPayment,
    UnknownAccount,
)
from include.money.rules import payment_key
from include.shared.texts import roubles

MOST_DISAGREEMENTS = 100
MOST_DOUBLES = 100_000  # transfers between accounts of one file that are remembered
_IN, _IN_TWICE, _IN_COUNT, _OUT, _OUT_TWICE, _OUT_COUNT = range(6)
Day = list[int]  # sums in kopecks and counts, by the names above; *_TWICE is what stood in the file before


class Balances:
    """Counts what the documents make on every account and day, flat: a day of an account is six numbers."""

    def __init__(self, own: Collection[str], limits: Limits) -> None:
        self._own = own
        self._limits = limits
        self._declared: set[str] = set()
        self._sections: dict[str, list[AccountSection]] = defaultdict(list)
        self._days: dict[str, dict[dt.date, Day]] = {}
        self.stated = 0
        self._cells = 0
        self._forgotten = False
        self._banks: dict[str, tuple[str | None, str | None]] = {}
        self._seen: set[int] = set()

    def declare(self, account: str) -> None:
        """Say that the file is about an account."""
        if account:
            self._declared.add(account)

    def section(self, section: AccountSection) -> None:
        """Take the stated balances of an account; StatementDamaged when there are too many."""
        self.declare(section.account)
        self._sections[section.account].append(section)
        self.stated += 1
        if self.stated > self._limits.accounts:
            msg = f"В файле больше {self._limits.accounts} разделов с остатками (строка {section.line}): он не принят."
            raise StatementDamaged(msg)

    def payment(self, payment: StatementPayment) -> None:
        """Count a payment on both of its accounts."""
        payer, payee = payment.payer.account, payment.payee.account
        kopecks = int(payment.amount.scaleb(2))
        twice = self._ours(payer) and self._ours(payee) and self._stood(payment)
        if payer is not None and (day := self._day(payer, payment.left_on)) is not None:
            day[_OUT] += kopecks
            day[_OUT_COUNT] += 1
            day[_OUT_TWICE] += kopecks if twice else 0
        if payee is not None and (day := self._day(payee, payment.came_on)) is not None:
            day[_IN] += kopecks
            day[_IN_COUNT] += 1
            day[_IN_TWICE] += kopecks if twice else 0
        for party in (payment.payer, payment.payee):
            if party.account in self._declared and party.account not in self._banks and party.account not in self._own:
                self._banks[party.account] = party.bik, party.bank or None

    def _ours(self, account: str | None) -> bool:
        return account in self._declared or account in self._own

    def _stood(self, payment: StatementPayment) -> bool:
        """Say whether a transfer between two accounts of the file stood in it before: once under each account."""
        key = hash(
            payment_key(
                payment.payer.account or "", "out", payment.number, payment.date, payment.amount,
                payment.payee.account, payment.purpose,
            )
        )  # fmt: skip
        if key in self._seen:
            return True
        if len(self._seen) < MOST_DOUBLES:
            self._seen.add(key)
        return False

    def _day(self, account: str, day: dt.date) -> Day | None:
        days = self._days.get(account)
        if days is None:
            if not self._ours(account) and self._cells >= self._limits.days // 10:
                self._forgotten = True  # of a stranger: a section for it, should one follow, cannot be checked
                return None
            days = self._days[account] = {}
        found = days.get(day)
        if found is None:
            self._cells += 1
            if self._cells > self._limits.days:
                msg = "В файле слишком много счетов и дней: он не принят. Выгрузите выписку за меньший период."
                raise StatementDamaged(msg)
            found = days[day] = [0, 0, 0, 0, 0, 0]
        return found

    def finish(self, check: StatementCheck) -> None:
        """Write into the result what was counted and what disagrees, the accounts in the order of the file."""
        check.sections = [one for sections in self._sections.values() for one in sections]
        about = [
            *self._sections,
            *(one for one in sorted(self._declared | set(self._own)) if one not in self._sections),
        ]
        check.totals = [self._totals(one) for one in about if one in self._sections or one in self._days]
        check.unknown_accounts = [
            UnknownAccount(one, *self._banks.get(one, (None, None)))
            for one in [*self._sections, *sorted(self._declared - set(self._sections))]
            if one and one not in self._own
        ]
        found = (said for account, sections in self._sections.items() for said in self._examine(account, sections))
        for one in found:
            check.disagreements.append(one)
            if len(check.disagreements) >= MOST_DISAGREEMENTS:
                break

    def _totals(self, account: str) -> AccountTotals:
        days = self._days.get(account, {}).values()
        return AccountTotals(
            account,
            _roubles(sum(one[_IN] for one in days)), sum(one[_IN_COUNT] for one in days),
            _roubles(sum(one[_OUT] for one in days)), sum(one[_OUT_COUNT] for one in days),
        )  # fmt: skip

    def _examine(self, account: str, given: Sequence[AccountSection]) -> Iterator[Disagreement]:
        if not account:
            for one in given:
                yield _said(one, "section", None, None, f"Раздел с остатками на строке {one.line} не называет счёта.")
            return
        if account not in self._days and self._forgotten:
            text = f"Остатки счёта {account} стоят после его документов: обороты не проверить. Выгрузите его отдельно."
            yield _said(given[0], "section", None, None, text)
            return
        sections = _once(given)
        alone = len(sections) == 1
        for one in sections:
            for key, said in one.raw.items():
                if key in BALANCES:
                    text = f"{_where(one)}: {key} «{said}» – не число, остатки не проверить."
                    yield _said(one, "section", None, None, text)
            yield from self._section(one, alone)
        yield from _chain(sections)
        if not alone:
            yield from self._uncovered(account, sections)

    def _section(self, one: AccountSection, alone: bool) -> Iterator[Disagreement]:
        """Compare one section with itself and with the documents of its days (of all days when it stands alone)."""
        days = self._days.get(one.account, {})
        within = [cell for day, cell in days.items() if alone or _covers(one, day)]
        sums = [sum(cell[place] for cell in within) for place in range(6)]
        counted_in, counted_out = _roubles(sums[_IN]), _roubles(sums[_OUT])
        incoming = counted_in if one.incoming is None else one.incoming
        outgoing = counted_out if one.outgoing is None else one.outgoing
        if one.opening is not None and one.closing is not None:
            closing = one.opening + incoming - outgoing
            if closing != one.closing:
                text = (
                    f"{_where(one)}: {roubles(one.opening)} + {roubles(incoming)} − {roubles(outgoing)} = "
                    f"{roubles(closing)}, а конечный остаток в выписке {roubles(one.closing)}."
                )
                yield _said(one, "closing", one.closing, closing, text)
        for what, title, stated, counted, twice, count in (
            ("incoming", "поступило", one.incoming, counted_in, _roubles(sums[_IN_TWICE]), sums[_IN_COUNT]),
            ("outgoing", "списано", one.outgoing, counted_out, _roubles(sums[_OUT_TWICE]), sums[_OUT_COUNT]),
        ):
            if stated is not None and stated not in (counted, counted - twice):
                text = (
                    f"{_where(one)}: по выписке {title} {roubles(stated)}, а документов ({count}) на "
                    f"{roubles(counted)}, разница {roubles(abs(stated - counted))}."
                )
                yield _said(one, what, stated, counted, text)

    def _uncovered(self, account: str, sections: Sequence[AccountSection]) -> Iterator[Disagreement]:
        if any(one.date_from is None or one.date_to is None for one in sections):
            return
        for day, cell in sorted(self._days.get(account, {}).items()):
            if not any(_covers(one, day) for one in sections):
                counted = _roubles(cell[_IN] + cell[_OUT])
                when = f"{day:%d.%m.%Y}"
                text = f"Счёт {account}: документы за {when} на {roubles(counted)} не входят ни в один период выписки."
                yield Disagreement(account, day, day, "period", None, counted, text)


def _chain(sections: Sequence[AccountSection]) -> Iterator[Disagreement]:
    """Compare the closing balance of each period with the opening one of the next period of the account."""
    dated = sorted(
        (one for one in sections if one.date_from is not None and one.date_to is not None),
        key=lambda one: (one.date_from or dt.date.min, one.date_to or dt.date.min, one.line),
    )
    for place, one in enumerate(dated):
        after = next((two for two in dated[place + 1 :] if _begins_after(two, one)), None)
        if after is None or one.closing is None or after.opening is None or one.closing == after.opening:
            continue
        text = (
            f"Счёт {one.account}: на конец {one.date_to:%d.%m.%Y} остаток {roubles(one.closing)}, а на начало "
            f"{after.date_from:%d.%m.%Y} – {roubles(after.opening)}: между ними не хватает документов."
        )
        yield _said(after, "chain", after.opening, one.closing, text)


def _begins_after(later: AccountSection, earlier: AccountSection) -> bool:
    return later.date_from is not None and earlier.date_to is not None and later.date_from > earlier.date_to


def _once(sections: Iterable[AccountSection]) -> list[AccountSection]:
    """Return the sections without those that repeat another word for word."""
    seen: dict[tuple[object, ...], AccountSection] = {}
    for one in sections:
        key = (one.date_from, one.date_to, one.opening, one.incoming, one.outgoing, one.closing)
        seen.setdefault(key, one)
    return list(seen.values())


def _covers(section: AccountSection, day: dt.date) -> bool:
    return (section.date_from is None or section.date_from <= day) and (
        section.date_to is None or day <= section.date_to
    )


def _where(section: AccountSection) -> str:
    period = " – ".join(f"{one:%d.%m.%Y}" for one in (section.date_from, section.date_to) if one is not None)
    return f"Счёт {section.account}{f' за {period}' if period else ''}"


def _said(
    section: AccountSection, what: str, stated: Decimal | None, counted: Decimal | None, text: str
) -> Disagreement:
    return Disagreement(
        section.account, section.date_from, section.date_to, what, stated, counted, text, section.line
    )  # fmt: skip


def _roubles(kopecks: int) -> Decimal:
    return Decimal(kopecks).scaleb(-2)
