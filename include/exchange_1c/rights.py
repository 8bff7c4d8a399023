"""Who answers for the exchange with 1C: its administrator (role one_c), accountants and administrators."""

from __future__ import annotations

from include.deals.rights import ACCOUNTANT
from include.shared.errors import Forbidden
from include.staff.services import Viewer

ONE_C = "one_c"


def may_handle(viewer: Viewer) -> bool:
    """Say whether the viewer sees exchanges and decides about them."""
    return viewer.is_admin or bool(viewer.roles & {ONE_C, ACCOUNTANT})


def require_exchange(viewer: Viewer) -> None:
    """Raise Forbidden unless the viewer handles the exchange."""
    if not may_handle(viewer):
        msg = "Нет прав: обмен с 1С ведут ответственный за обмен, бухгалтер и администратор."
        raise Forbidden(msg)
