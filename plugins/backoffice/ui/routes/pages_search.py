"""The search page."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui.routes.pages_common import address, clean_query, page
from backoffice.ui.security import StaffViewer
from include.shared.work import reading
from include.workplace import search

router = APIRouter()
PER_KIND = 50


@router.get("/search")
def find(request: Request, viewer: StaffViewer, q: str = "", kind: str = "") -> Response:
    """Show deals, counterparties and tasks that fit; ``kind`` shows more of one of them."""
    query = clean_query(q)
    only = next((one for one in search.KINDS_FOUND if one == kind), None)
    with reading() as session:
        found = search.search(session, viewer, query, kind=only, per_group=PER_KIND if only else search.PER_GROUP)
    return page(
        request, viewer, "search.html", active="search", q=query, top_query=query, found=found, only=only,
        titles=search.TITLES, address=lambda **new: address("/search", **{"q": query, **new}),
    )  # fmt: skip
