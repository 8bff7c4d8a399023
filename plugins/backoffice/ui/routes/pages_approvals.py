"""The pages of approvals: the list, one approval on a phone, the decision by a letter's link."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
