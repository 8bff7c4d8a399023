"""Bring the reference data into the database; what staff changed stays as they left it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, literal_column
from sqlalchemy.dialects.postgresql import insert

from include.deals.models import DealField, Funnel, Stage
from include.reference.catalogue import FIELDS, FUNNELS, ROLES, SETTINGS
from include.shared import settings
from include.shared.db import Base
from include.shared.work import Work
from include.staff.models import Role


def load_reference(work: Work) -> int:
    """Add the missing funnels, stages, fields, roles and settings; returns how many rows were added."""
    added = {
        "Направления": _add(work, Funnel, _funnels()),
        "Стадии": _add(work, Stage, _stages()),
        "Поля сделки": _add(work, DealField, _fields()),
        "Роли": _add(work, Role, [{"code": code, "title": title} for code, title in ROLES.items()]),
    }
    for row in SETTINGS:
        settings.declare(work, row.code, row.title, row.kind, row.default)
    total = sum(added.values())
    if total:
        work.audit("reference.loaded", "Загружены справочники", entity="reference", after=added)
    return total


def _add(work: Work, table: type[Base], rows: list[dict[str, Any]]) -> int:
    missing = insert(table).values(rows).on_conflict_do_nothing()
    return len(work.session.execute(missing.returning(literal_column("1", Integer))).all())


def _funnels() -> list[dict[str, Any]]:
    return [{"code": one.code, "title": one.title, "position": place} for place, one in enumerate(FUNNELS, 1)]


def _stages() -> list[dict[str, Any]]:
    return [
        {"funnel_code": line.code, "code": one.code, "title": one.title, "kind": one.kind, "position": place}
        for line in FUNNELS
        for place, one in enumerate(line.stages, 1)
    ]


def _fields() -> list[dict[str, Any]]:
    return [
        {
            "code": one.code,
            "title": one.title,
            "kind": one.kind,
            "options": one.options,
            "funnel_code": one.funnel,
            "position": place,
        }
        for place, one in enumerate(FIELDS, 1)
    ]
