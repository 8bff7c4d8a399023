"""API: absences, substitutes, roles and the leaving of a person."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["Сотрудники"])
