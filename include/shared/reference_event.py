"""The event of a changed row of reference data: processes may listen to it."""

from __future__ import annotations

from uuid import uuid4

from include.shared.work import Work

KIND = "reference_changed"


def reference_changed(work: Work, entity: str, entity_id: int | str) -> None:
    """Say that a row of reference data has changed; written with the change, like its audit."""
    work.emit(KIND, f"on:event:{KIND}", visit=f"reference-{uuid4()}", payload={"entity": entity, "id": entity_id})
