"""API: counterparties."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from backoffice.ui.routes.api_common import Body, IdempotencyKey, RowId, SearchText, Text, failures
from backoffice.ui.security import StaffViewer
from include.companies.services import create_company, similar
from include.shared.work import reading, transaction
from include.workplace import directory
from include.workplace.shapes import CompanyRow

router = APIRouter(prefix="/companies", tags=["Контрагенты"])


class NewCompany(Body):
    """A new counterparty; a name is enough (R003-6)."""

    name: Annotated[Text, Field(min_length=1, max_length=300)]
    inn: Annotated[Text | None, Field(max_length=20)] = None
    kpp: Annotated[Text | None, Field(max_length=20)] = None
    kind: Literal["legal", "sole", "person"] = "legal"
    email: Annotated[Text | None, Field(max_length=200)] = None
    phone: Annotated[Text | None, Field(max_length=200)] = None


@router.get("", summary="Найти контрагента по части названия или началу ИНН", responses=failures())
def find(_viewer: StaffViewer, query: SearchText = "") -> list[CompanyRow]:
    """Return at most twenty, best first."""
    with reading() as session:
        return directory.companies(session, query)


@router.get("/similar", summary="Похожие контрагенты – показать до создания", responses=failures())
def alike(
    _viewer: StaffViewer,
    name: Annotated[Text, Query(max_length=300)],
    inn: Annotated[Text | None, Query(max_length=20)] = None,
) -> list[CompanyRow]:
    """Return counterparties with a similar name or the same ИНН."""
    with reading() as session:
        return [directory.company_row(one) for one in similar(session, name, inn)]


@router.post("", status_code=201, summary="Создать контрагента", responses=failures(403, 409))
def create(viewer: StaffViewer, body: NewCompany, key: IdempotencyKey = None) -> CompanyRow:
    """Create a counterparty; 409 names the existing one with the same ИНН and КПП."""
    with transaction(viewer.actor) as work:
        return directory.company_row(create_company(work, **body.model_dump(), request_key=key))


@router.get("/{company_id}", summary="Контрагент", responses=failures(404))
def company(_viewer: StaffViewer, company_id: RowId) -> CompanyRow:
    """Return one counterparty."""
    with reading() as session:
        return directory.company(session, company_id)
