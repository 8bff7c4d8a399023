"""The files of a case: upload, versions, preview."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
