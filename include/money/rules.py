"""Pure decisions about payments: what a payment pays for and why, and the key under which it is loaded once."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from include.money.purposes import FOLD, Mention, invoice_mentions, is_refund
from include.shared.numbers import number_key
from include.shared.texts import roubles

MOST_PROPOSALS = 5
ZERO = Decimal(0)

_BLANK = re.compile(r"\s+")


def payment_key(
    account: str, direction: str, number: str, date: dt.date, amount: Decimal, counter_account: str | None, purpose: str
) -> str:
    """Return the key under which a payment is loaded once, 64 hexadecimal digits.

    Our account, direction (``in`` or ``out``), number, date, sum, the other account and the purpose make it: banks
    issue a day again, in another encoding or wrapped at other places, and it is the same payment.
    """
    said = _BLANK.sub("", purpose.translate(FOLD)).replace("\ufffd", "")
    parts = (
        account, direction, number_key(number).lstrip("0"), date.isoformat(), f"{amount:.2f}", counter_account or "",
        hashlib.sha256(said.encode("utf-8", "replace")).hexdigest(),
    )  # fmt: skip
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()


_PERSONS_ACCOUNT = re.compile(r"(?:40817|40820|423\d\d|426\d\d)\d")


def is_persons_account(account: str | None) -> bool:
    """Say whether an account is a private person's: the bank writes its own ИНН beside it (40817, 40820, вклады)."""
    return account is not None and _PERSONS_ACCOUNT.match(account) is not None


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """What the matching looks at; ``amount`` is what of the payment is given to nothing yet, in roubles.

    ``inn`` is the payer's, of an outgoing payment the payee's. ``mentions`` are read from the purpose when not given.
    """

    amount: Decimal
    direction: str  # in | out
    inn: str | None
    purpose: str
    mentions: tuple[Mention, ...] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An issued invoice that a payment may be for; sums in roubles.

    ``entered`` is what of the deal's «Сумма оплаты» no payment confirms: a person entered it by hand.
    """

    invoice_id: int
    number: str
    number_key: str
    date: dt.date
    amount: Decimal
    paid: Decimal
    inn: str | None
    deal_id: int | None
    entered: Decimal = ZERO
    deal_lost: bool = False

    @property
    def due(self) -> Decimal:
        """What is still to be paid by the invoice, in roubles, never below zero."""
        return max(self.amount - self.paid, ZERO)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a payment for one invoice of one deal, in roubles above zero (a refund's is taken off)."""

    invoice_id: int
    deal_id: int
    amount: Decimal


class Verdict(Enum):
    """What becomes of a payment: allocated at once, offered to the accountant, left in the queue."""

    AUTO = "auto"
    PROPOSE = "propose"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Proposal:
    """One way to allocate a payment; ``left`` is what of it stays unallocated, ``entered`` asks for a look.

    ``kind``: exact, split, partial, over, amount, third_party, refund, open.
    """

    kind: str
    shares: tuple[Share, ...]
    why: str
    left: Decimal = ZERO
    entered: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a payment and why, in Russian; ``shares`` only of AUTO, ``proposals`` the likeliest first."""

    verdict: Verdict
    why: str
    shares: tuple[Share, ...] = ()
    proposals: tuple[Proposal, ...] = ()


def decide(payment: PaymentFacts, candidates: Sequence[Candidate]) -> Decision:
    """Decide in this order: number, ИНН and sum are right – at once; one of them is not – offered; else the queue.

    Only an exact payment of one invoice, or of several that it names and whose balances make its sum, is allocated
    without a person. A refund, a third party's payment, a part and an overpayment always go through the accountant.
    """
    if payment.direction == "out" and payment.amount > 0:
        return _refund(payment, candidates)
    if payment.direction != "in" or payment.amount <= 0:
        return Decision(Verdict.QUEUE, "Это не поступление от клиента.")
    if is_refund(payment.purpose):
        return Decision(Verdict.QUEUE, "В назначении сказано о возврате: это не оплата счёта клиентом.")
    named = _named(payment, candidates)
    if named is not None and named.verdict is Verdict.AUTO:
        return named
    offered = [*(named.proposals if named else ()), *_by_amount(payment, candidates), *_of_others(payment, candidates)]
    proposals = _different(offered)
    if proposals:
        return Decision(Verdict.PROPOSE, proposals[0].why, proposals=proposals)
    why = named.why if named is not None else _nothing(payment, candidates)
    return Decision(Verdict.QUEUE, why, proposals=_different(_open_of_payer(payment, candidates)))


def _mentions(payment: PaymentFacts) -> tuple[Mention, ...]:
    return invoice_mentions(payment.purpose) if payment.mentions is None else payment.mentions


def _named(payment: PaymentFacts, candidates: Sequence[Candidate]) -> Decision | None:
    """Decide by the invoices that the purpose names and the payer's ИНН; None when there is nothing to say."""
    mentions = _mentions(payment)
    if not mentions:
        return None
    of_payer = [one for one in candidates if payment.inn is not None and one.inn == payment.inn]
    chosen: dict[int, Candidate] = {}
    doubts: list[str] = []
    for mention in mentions:
        fits = [one for one in of_payer if _same_number(mention, one)]
        exact = [one for one in fits if one.number_key == mention.number_key]
        dated = [one for one in exact or fits if mention.date is None or one.date == mention.date]
        if not fits:
            doubts.append(f"счёта № {mention.number} у этого плательщика нет")
            continue
        if not dated:
            doubts.append(f"счёт № {mention.number} у нас от {exact[0].date if exact else fits[0].date:%d.%m.%Y}")
        elif not exact and mention.date is None:
            doubts.append(f"номер «{mention.number}» написан неполно: у нас счёт № {dated[0].number}")
        pool = dated or exact or fits
        waiting = [one for one in pool if one.due > 0 and one.deal_id is not None]
        if not waiting:
            doubts.append(_closed(pool[0]))
            continue
        if len(waiting) > 1:
            doubts.append(f"счетов с номером «{mention.number}» несколько")
        chosen |= {one.invoice_id: one for one in sorted(waiting, key=_age)[:1]}
    if not chosen:
        return Decision(Verdict.QUEUE, _sentence(doubts)) if doubts and of_payer else None
    picked = list(chosen.values())
    doubts += [f"сделка счёта № {one.number} проиграна" for one in picked if one.deal_lost]
    entered = _entered(picked)
    if entered:
        doubts.append("оплата по сделке уже внесена вручную: проверьте, не эти ли это деньги")
    due = sum((one.due for one in picked), ZERO)
    shares, left = _shares(payment.amount, picked)
    known = f"{_numbers(picked)} и ИНН плательщика совпали"
    if due == payment.amount:
        kind = "exact" if len(picked) == 1 else "split"
        why = f"{known}, сумма равна {'остатку' if kind == 'exact' else 'сумме остатков'} {roubles(due)}"
        if not doubts:
            return Decision(Verdict.AUTO, f"{why}.", shares=shares)
    elif due > payment.amount:
        kind = "partial"
        why = f"{known}, оплачена часть: {roubles(payment.amount)} из {roubles(due)}"
    else:
        kind = "over"
        why = f"{known}, заплачено больше остатка {roubles(due)} на {roubles(payment.amount - due)}"
    reason = _sentence([why, *doubts])
    return Decision(Verdict.PROPOSE, reason, proposals=(Proposal(kind, shares, reason, left, entered),))


def _by_amount(payment: PaymentFacts, candidates: Sequence[Candidate]) -> list[Proposal]:
    """Offer the payer's open invoices of this very sum; when none is, all of them when together they make it."""
    waiting = _waiting(payment, candidates)
    same = [one for one in waiting if one.due == payment.amount]
    found = []
    for one in same[:MOST_PROPOSALS]:
        only = "единственный" if len(same) == 1 else f"один из {len(same)}"
        why = f"ИНН плательщика и сумма совпали: {only} неоплаченный счёт на {roubles(one.due)} – № {one.number}"
        found.append(_offer("amount", payment, [one], f"{why}."))
    if not same and len(waiting) > 1 and sum((one.due for one in waiting), ZERO) == payment.amount:
        why = f"Сумма равна всем неоплаченным счетам этого плательщика вместе ({len(waiting)}), ИНН совпал."
        found.append(_offer("split", payment, waiting, why))
    return found


def _of_others(payment: PaymentFacts, candidates: Sequence[Candidate]) -> list[Proposal]:
    """Offer named invoices of other clients: third parties pay for a client, and persons have no ИНН of their own."""
    others = [one for one in candidates if payment.inn is None or one.inn != payment.inn]
    chosen: dict[int, Candidate] = {}
    alternatives = []
    for mention in _mentions(payment):
        fits = [
            one
            for one in others
            if one.number_key == mention.number_key
            and (mention.date is None or one.date == mention.date)
            and one.due > 0
            and one.deal_id is not None
        ]
        fits.sort(key=lambda one: (one.due != payment.amount, one.date, one.invoice_id))
        chosen |= {one.invoice_id: one for one in fits[:1]}
        alternatives += fits[1:]
    picked = list(chosen.values())
    groups = ([picked] if picked else []) + [[one] for one in alternatives]
    return [_offer("third_party", payment, group, _others_why(payment, group)) for group in groups[:MOST_PROPOSALS]]


def _others_why(payment: PaymentFacts, picked: Sequence[Candidate]) -> str:
    due = sum((one.due for one in picked), ZERO)
    payer = "ИНН плательщика не указан" if payment.inn is None else "платит другое лицо (ИНН не клиента)"
    summed = "сумма равна остатку" if due == payment.amount else f"остаток {roubles(due)}"
    return f"В назначении {_numbers(picked)}, {summed}, но {payer}: подтвердите."


def _open_of_payer(payment: PaymentFacts, candidates: Sequence[Candidate]) -> list[Proposal]:
    found = []
    for one in _waiting(payment, candidates)[:MOST_PROPOSALS]:
        why = f"У плательщика не оплачен счёт № {one.number}, остаток {roubles(one.due)}; номер и сумма не совпали."
        found.append(_offer("open", payment, [one], why))
    return found


def _refund(payment: PaymentFacts, candidates: Sequence[Candidate]) -> Decision:
    """Offer to take a refund to a client off what it has paid; never without a person."""
    if not is_refund(payment.purpose):
        return Decision(Verdict.QUEUE, "Исходящий платёж: о возврате клиенту в назначении не сказано.")
    paid = sorted(
        (one for one in candidates if one.paid > 0 and one.deal_id is not None),
        key=lambda one: (one.paid != payment.amount, one.date, one.invoice_id),
    )
    mentions = _mentions(payment)
    of_payee = [one for one in paid if payment.inn is not None and one.inn == payment.inn]
    named = [one for one in of_payee if any(_same_number(mention, one) for mention in mentions)]
    strangers = [one for one in paid if one not in of_payee and any(m.number_key == one.number_key for m in mentions)]
    found = []
    for group, words in (
        (named, "назван в назначении, ИНН получателя совпал"),
        ([one for one in of_payee if one not in named], "оплачен этим получателем"),
        (strangers, "назван в назначении, но ИНН получателя другой"),
    ):
        for one in group:
            amount = min(payment.amount, one.paid)
            why = f"Возврат: счёт № {one.number} {words}, по нему получено {roubles(one.paid)}."
            share = Share(one.invoice_id, _deal(one), amount)
            found.append(Proposal("refund", (share,), why, payment.amount - amount, one.entered > 0))
    proposals = _different(found)
    if not proposals:
        return Decision(Verdict.QUEUE, "Возврат, но оплаченного счёта этого получателя не найдено.")
    return Decision(Verdict.PROPOSE, proposals[0].why, proposals=proposals)


def _waiting(payment: PaymentFacts, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the payer's invoices that still wait for money, the oldest first."""
    found = [
        one
        for one in candidates
        if payment.inn is not None and one.inn == payment.inn and one.due > 0 and one.deal_id is not None
    ]
    return sorted(found, key=_age)


def _offer(kind: str, payment: PaymentFacts, picked: Sequence[Candidate], why: str) -> Proposal:
    shares, left = _shares(payment.amount, picked)
    lost = [f" Сделка счёта № {one.number} проиграна." for one in picked if one.deal_lost]
    entered = _entered(picked)
    said = " Оплата по сделке уже внесена вручную: проверьте, не эти ли это деньги." if entered else ""
    return Proposal(kind, shares, why + "".join(lost) + said, left, entered)


def _shares(amount: Decimal, picked: Sequence[Candidate]) -> tuple[tuple[Share, ...], Decimal]:
    """Give the sum to the invoices, the oldest first, each no more than it waits for; return what is left too."""
    left = amount
    shares = []
    for one in sorted(picked, key=_age):
        part = min(left, one.due)
        if part > 0:
            shares.append(Share(one.invoice_id, _deal(one), part))
            left -= part
    return tuple(shares), left


def _deal(invoice: Candidate) -> int:
    if invoice.deal_id is None:
        msg = f"invoice {invoice.invoice_id} has no deal"
        raise ValueError(msg)
    return invoice.deal_id


_PLAIN_NUMBER = re.compile(r"(?:.*[^\d/\\])?0*(\d+)")


def _same_number(mention: Mention, invoice: Candidate) -> bool:
    """Say whether a number is the invoice's: as it stands, or without its prefix and zeros (15 of УТ-000015)."""
    if mention.number_key == invoice.number_key:
        return True
    said, ours = (_PLAIN_NUMBER.fullmatch(one) for one in (mention.number_key, invoice.number_key))
    bare = any(one.isdigit() for one in (mention.number_key, invoice.number_key))
    return bare and said is not None and ours is not None and said[1] == ours[1]


def _entered(picked: Sequence[Candidate]) -> bool:
    return any(one.entered > 0 for one in picked)


def _age(invoice: Candidate) -> tuple[dt.date, int]:
    return invoice.date, invoice.invoice_id


def _closed(invoice: Candidate) -> str:
    if invoice.due <= 0:
        return f"счёт № {invoice.number} уже оплачен полностью: возможно, двойная оплата"
    return f"счёт № {invoice.number} не привязан к сделке: привяжите его"


def _numbers(picked: Sequence[Candidate]) -> str:
    said = ", ".join(f"№ {one.number}" for one in picked)
    return f"{'счёт' if len(picked) == 1 else 'счета'} {said}"


def _nothing(payment: PaymentFacts, candidates: Sequence[Candidate]) -> str:
    if payment.inn is None:
        return "ИНН плательщика не указан, счёт в назначении не найден."
    if not any(one.inn == payment.inn for one in candidates):
        return "Счетов плательщика с таким ИНН нет, счёт в назначении не найден."
    return "Номер счёта в назначении не найден, сумма не равна ни одному неоплаченному счёту плательщика."


def _sentence(parts: Sequence[str]) -> str:
    said = "; ".join(parts)
    return f"{said[:1].upper()}{said[1:]}."


def _different(proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Return the proposals without those that give the same parts, the first kept."""
    seen: dict[tuple[Share, ...], Proposal] = {}
    for one in proposals:
        if one.shares:
            seen.setdefault(one.shares, one)
    return tuple(seen.values())[:MOST_PROPOSALS]
