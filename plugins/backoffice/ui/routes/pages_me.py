"""My settings: the theme, the password, my absences."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
