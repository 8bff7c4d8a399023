"""The former address of the settings: they stand among the registers of ``backoffice.ui.admin``."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from backoffice.ui.routes.pages_common import ROOT
from backoffice.ui.security import AdminViewer

router = APIRouter()


@router.get("/settings")
def settings(_viewer: AdminViewer) -> RedirectResponse:
    """Send whoever kept the old address on."""
    return RedirectResponse(f"{ROOT}/admin/settings/list", status_code=303)
