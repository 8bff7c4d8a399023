"""API: the nomenclature that 1C has sent, with prices and stock."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from backoffice.ui.routes.api_common import LARGEST_ID, FilterId, PerPage, RowId, SearchText, failures
from backoffice.ui.security import StaffViewer
from include.shared.work import reading
from include.workplace import nomenclature
from include.workplace.nomenclature_shapes import GoodsCard, GoodsList

router = APIRouter(prefix="/nomenclature", tags=["Номенклатура"])
ACTIVE = {"active": True, "inactive": False, "all": None}


@router.get("", summary="Номенклатура 1С", responses=failures())
def goods(
    _viewer: StaffViewer,
    q: SearchText = "",
    state: Literal["active", "inactive", "all"] = "active",
    group_id: FilterId = None,
    exchange_id: FilterId = None,
    after: Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="Только товары за этим, по названию")] = None,
    per_page: PerPage = 50,
) -> GoodsList:
    """Return goods in the order of their names; ``after`` of the answer asks for the next ones."""
    wanted = nomenclature.GoodsFilter(q, ACTIVE[state], group_id, exchange_id)
    with reading() as session:
        return nomenclature.goods(session, wanted, after=after, per_page=per_page)


@router.get("/{goods_id}", summary="Один товар 1С", responses=failures(404))
def one(viewer: StaffViewer, goods_id: RowId) -> GoodsCard:
    """Return goods with their prices by type and their stock by warehouse."""
    with reading() as session:
        return nomenclature.card(session, viewer, goods_id)
