"""Who handles money: accountants and administrators; people of a deal only read what belongs to it."""

from __future__ import annotations

from include.deals.rights import ACCOUNTANT
from include.shared.errors import Forbidden
from include.staff.services import Viewer


def may_handle(viewer: Viewer) -> bool:
    """Say whether the viewer loads statements, matches payments and keeps invoices."""
    return viewer.is_admin or ACCOUNTANT in viewer.roles


def require_money(viewer: Viewer) -> None:
    """Raise Forbidden unless the viewer handles money."""
    if not may_handle(viewer):
        msg = "Нет прав: с деньгами работают бухгалтер и администратор."
        raise Forbidden(msg)
