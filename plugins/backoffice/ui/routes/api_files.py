"""API: files of cases and their versions."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["Файлы"])
