"""API: search over deals, counterparties and tasks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backoffice.ui.routes.api_common import SearchText, failures
from backoffice.ui.security import StaffViewer
from include.shared.work import reading
from include.workplace import search
from include.workplace.shapes import SearchResult

router = APIRouter(tags=["Поиск"])


@router.get("/search", summary="Найти сделки, контрагентов и задачи", responses=failures())
def find(
    viewer: StaffViewer,
    q: SearchText = "",
    kind: Annotated[search.Kind | None, Query(description="Только этого вида")] = None,
    per_group: Annotated[int, Query(ge=1, le=50, description="Сколько каждого вида")] = search.PER_GROUP,
) -> SearchResult:
    """Return what the viewer may see of what fits: titles by words, numbers exactly, ИНН by its beginning."""
    with reading() as session:
        return search.search(session, viewer, q, kind=kind, per_group=per_group)
