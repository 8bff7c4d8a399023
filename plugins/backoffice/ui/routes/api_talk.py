"""API: talk about a case."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["Обсуждение"])
