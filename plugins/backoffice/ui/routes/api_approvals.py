"""API: approvals."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(prefix="/approvals", tags=["Согласования"])
