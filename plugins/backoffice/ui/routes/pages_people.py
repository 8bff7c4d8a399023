"""Absences, roles given anew, and the page of a person who leaves."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
