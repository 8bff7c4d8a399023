"""What tests of a stopped, killed or copied office share: closing a task, its instances, and waiting for rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from include.process.reading import violations
from tests.scenarios.office import Office

DAG = "goods_identification"


def at_rest(office: Office) -> None:
    """Wait until the pages answer again and all is quiet; then nothing may be lost or doubled."""
    office.claim()
    until = time.monotonic() + 120
    while True:
        try:
            if requests.get(f"{office.installation.base_url}/backoffice/api/health", timeout=5).ok:
                office.advance()
                break
        except (requests.ConnectionError, requests.Timeout, AssertionError):
            assert time.monotonic() < until, "офис не отвечает"
        time.sleep(0.5)
    assert violations() == []


def close(office: Office, deal: dict[str, Any]) -> None:
    """Close the deal's one open task as its executor."""
    (task,) = office.open_tasks(deal["case_id"])
    office.call("Иванова", "POST", f"/tasks/{task['id']}/close", {"result": {}})


def instances(office: Office, deal: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return state and reason of the deal's instances, oldest first."""
    found = office.rows("SELECT state, reason FROM process_instance WHERE case_id = :c ORDER BY id", c=deal["case_id"])
    return [(one["state"], one["reason"]) for one in found]


def wait_until(holds: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait for something that the reconciler does in its own time."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"не дождались: {what}"
        time.sleep(0.3)
