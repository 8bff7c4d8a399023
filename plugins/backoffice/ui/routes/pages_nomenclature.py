"""«Номенклатура»: what 1C has sent, with prices and stock; 1C is its master, so nothing is changed here."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui.routes.pages_common import RowId, address, clean_query, identity, page
from backoffice.ui.security import StaffViewer
from include.exchange_1c.rights import may_handle
from include.shared.work import reading
from include.workplace import nomenclature

router = APIRouter(prefix="/nomenclature")
STATES = {"": "Действуют", "inactive": "Сняты", "all": "Все"}
ACTIVE = {"": True, "inactive": False, "all": None}


@router.get("")
def goods(
    request: Request, viewer: StaffViewer, q: str = "", state: str = "", group: str = "", exchange: str = "",
    after: str = "",
) -> Response:  # fmt: skip
    """Show goods in the order of their names, those that a filter finds."""
    query, state = clean_query(q), state if state in STATES else ""
    wanted = nomenclature.GoodsFilter(query, ACTIVE[state], identity(group), identity(exchange))
    kept = {"q": query, "state": state, "group": wanted.group_id, "exchange": wanted.exchange_id}
    with reading() as session:
        found = nomenclature.goods(session, wanted, after=identity(after))

    def here(**new: Any) -> str:
        return address("/nomenclature", **{**kept, **new})

    return page(
        request, viewer, "nomenclature.html", active="nomenclature", found=found, query=query, state=state,
        states=STATES, kept=kept, at=here, is_filtered=any(kept.values()), is_first=identity(after) is None,
        sees_exchanges=may_handle(viewer),
    )  # fmt: skip


@router.get("/{goods_id}")
def one(request: Request, viewer: StaffViewer, goods_id: RowId) -> Response:
    """Show one item with its prices by type and its stock by warehouse."""
    with reading() as session:
        shown = nomenclature.card(session, viewer, goods_id)
    return page(request, viewer, "nomenclature_card.html", active="nomenclature", shown=shown)
