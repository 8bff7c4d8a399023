"""Acts with money as a person makes them: his right is asked first, then the service does it in his transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from include.deals import rights as deal_rights
from include.money import accounts, allocation, intake, invoices, matching
from include.money.allocation import Allocated, Part
from include.money.models import Invoice, OwnAccount, Payment, PaymentAllocation
from include.money.rights import may_handle, require_money
from include.reconciliation.services import Reconciled
from include.reconciliation.services import run as run_reconciliation
from include.shared.work import Work, reading, transaction
from include.staff.services import Viewer


def upload(viewer: Viewer, kind: str, name: str, stream: BinaryIO) -> int:
    """Take a statement (``bank``) or a table (``sheet``), look it through and keep it; returns the id of its page.

    Nothing is loaded yet: its page says what would be. InvalidInput for a file that is neither.
    """
    require_money(viewer)
    return intake.check_upload(viewer.actor, kind, name, stream)


def check_again(viewer: Viewer, statement_id: int) -> None:
    """Look a file through once more: an account was added, a payment was loaded meanwhile."""
    require_money(viewer)
    intake.check_again(viewer.actor, statement_id)


def load(viewer: Viewer, statement_id: int) -> str:
    """Load a file that was looked through, match its payments, and say in words what came of it."""
    require_money(viewer)
    loaded = intake.load(viewer.actor, statement_id)
    matched = matching.run(viewer.actor)
    return loaded.text if loaded.repeated else f"{loaded.text} {matched.text}"


def template(viewer: Viewer) -> bytes:
    """Return an empty table for payments (xlsx)."""
    require_money(viewer)
    return intake.template()


def discard(viewer: Viewer, statement_id: int) -> None:
    """Give a file up that was looked through; it may be sent again."""
    require_money(viewer)
    intake.discard(viewer.actor, statement_id)


def match_again(viewer: Viewer) -> str:
    """Let the matching look at what it has not seen (it was interrupted, an invoice came); says what came of it."""
    require_money(viewer)
    return matching.run(viewer.actor).text


def match(viewer: Viewer, payment_id: int, parts: Sequence[Part], *, counted: bool = False) -> Allocated:
    """Give a payment to deals and invoices by hand."""
    require_money(viewer)
    with transaction(viewer.actor) as work:
        return allocation.allocate(work, payment_id, parts, how="manual", counted=counted)


def unmatch(viewer: Viewer, payment_id: int, reason: str) -> list[PaymentAllocation]:
    """Take all that a payment was given to back, with a reason."""
    require_money(viewer)
    with transaction(viewer.actor) as work:
        return allocation.unmatch(work, payment_id, reason)


def undo(viewer: Viewer, allocation_id: int, reason: str) -> PaymentAllocation:
    """Take one part of a payment back, with a reason."""
    require_money(viewer)
    with transaction(viewer.actor) as work:
        return allocation.undo(work, allocation_id, reason)


def ignore(viewer: Viewer, payment_id: int, reason: str) -> Payment:
    """Put a payment aside as no client's, with a reason."""
    require_money(viewer)
    with transaction(viewer.actor) as work:
        return allocation.ignore(work, payment_id, reason)


def to_queue(viewer: Viewer, payment_id: int) -> Payment:
    """Put an ignored payment, or a refund of ours, into the queue."""
    require_money(viewer)
    with transaction(viewer.actor) as work:
        return allocation.to_queue(work, payment_id)


def add_account(viewer: Viewer, *, account: str, bik: str, bank: str, organisation: str) -> OwnAccount:
    """Make an account of ours known."""
    require_money(viewer)
    with transaction(viewer.actor) as work:
        return accounts.add_account(work, account=account, bik=bik, bank=bank, organisation=organisation)


def set_account_active(viewer: Viewer, account_id: int, active: bool) -> OwnAccount:
    """Close an account of ours or open it again."""
    require_money(viewer)
    with transaction(viewer.actor) as work:
        return accounts.set_active(work, account_id, active)


def issue_invoice(
    viewer: Viewer,
    deal_id: int,
    *,
    amount: Any = None,
    organisation: str | None = None,
    vat: str | None = None,
    comment: str = "",
    request_key: str | None = None,
) -> Invoice:
    """Issue an invoice of a deal: whoever may change the deal, and whoever handles money."""
    with reading() as session:
        if may_handle(viewer):
            deal_rights.require_seen(session, viewer, deal_id)
        else:
            deal_rights.require_edit(session, viewer, deal_id)
    with transaction(viewer.actor) as work:
        return invoices.issue(
            work, deal_id, amount=amount, organisation=organisation, vat=vat, comment=comment, request_key=request_key
        )


def record_invoice(
    viewer: Viewer,
    deal_id: int,
    *,
    number: str,
    date: dt.date,
    amount: Any,
    organisation: str | None = None,
    vat: str | None = None,
    comment: str = "",
) -> Invoice:
    """Record an invoice that 1C made; payments that named it while nobody knew it are looked at anew."""
    require_money(viewer)
    with transaction(viewer.actor) as work:
        made = invoices.record(
            work, deal_id, number=number, date=date, amount=amount, organisation=organisation, vat=vat, comment=comment
        )
        matching.reconsider(work, [made.number_key])
    matching.run(viewer.actor)
    return made


def cancel_invoice(viewer: Viewer, invoice_id: int, reason: str) -> Invoice:
    """Cancel an invoice, with a reason."""
    return _change(viewer, lambda work: invoices.cancel(work, invoice_id, reason))


def restore_invoice(viewer: Viewer, invoice_id: int) -> Invoice:
    """Take the cancelling of an invoice back."""
    return _change(viewer, lambda work: invoices.restore(work, invoice_id))


def attach_invoice(viewer: Viewer, invoice_id: int, deal_id: int) -> Invoice:
    """Give an invoice to a deal; payments that named it while it had none are looked at anew."""
    require_money(viewer)
    with transaction(viewer.actor) as work:
        found = invoices.attach(work, invoice_id, deal_id)
        matching.reconsider(work, [found.number_key])
    matching.run(viewer.actor)
    return found


def reconcile(viewer: Viewer) -> Reconciled:
    """Run the reconciliation now."""
    require_money(viewer)
    return run_reconciliation(viewer.actor)


def _change(viewer: Viewer, act: Callable[[Work], Invoice]) -> Invoice:
    require_money(viewer)
    with transaction(viewer.actor) as work:
        return act(work)
