"""What the ops page examines from inside Airflow's programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.ops import services
from include.ops.examination import FILES, LOGS
from include.ops.findings import finding
from include.shared.errors import Conflict

pytestmark = pytest.mark.db


@pytest.fixture
def ops(airflow_database: str, business: Any) -> Any:
    from backoffice import ops as module

    module.forget()
    yield module
    module.forget()


def test_what_airflow_refuses_is_said_as_it_is(ops: Any) -> None:
    with pytest.raises(Conflict, match="больше нет: сверка"):
        ops.clear("every_word", "no-such-run", ["take"], [])
    accepts: services.Clear = ops.clear
    assert accepts is ops.clear


def test_pages_share_one_look_for_some_seconds(ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(ops._now, "look", lambda: looked.append("now") or [finding("relay_lag", "x")])
    monkeypatch.setattr(ops._invariants, "look", lambda: looked.append("deep") or [])
    assert [one.code for one in ops.findings()] == ["relay_lag"]
    ops.findings()
    assert looked == ["now", "deep"]
    ops.forget()
    ops.findings()
    assert looked == ["now", "deep"] * 2
    monkeypatch.setattr(ops._now, "seconds", -1.0)
    ops.findings()
    assert looked == ["now", "deep"] * 2 + ["now"], "целостность читает таблицы целиком: не при каждом взгляде"


def test_both_databases_and_the_disks_are_examined(ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKOFFICE_FILES", (tmp_path / "nowhere").as_uri())
    monkeypatch.delenv("BACKOFFICE_HOME", raising=False)
    asked = ops.patient()
    assert asked.folders[FILES] == tmp_path / "nowhere"
    assert LOGS in asked.folders
    codes = {one.code for one in ops.findings()}
    assert "files_unavailable" in codes
    assert {"relay_silent", "hub_silent", "reconciler_silent", "job_silent"} <= codes, "программ здесь нет"
    assert not {"database_down", "schema_missing", "invariant_broken", "not_running"} & codes
