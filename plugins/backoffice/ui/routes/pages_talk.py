"""Talk about a case: comments with @mention."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
