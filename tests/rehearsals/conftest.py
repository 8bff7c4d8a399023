"""The project's own processes on a real database, their runs played by the driver: no Airflow program runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dags.environment import configure_airflow

configure_airflow()  # before the first `import airflow` of any test module here

from include.documents import storage as files  # noqa: E402
from tests.db.conftest import (  # noqa: E402
    company,
    database,
    database_engine,
    database_url,
    driver,
    quick_passwords,
)

__all__ = ["company", "database", "database_engine", "database_url", "driver", "quick_passwords"]


@pytest.fixture(autouse=True)
def kept_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The product's own storage in a folder of the test."""
    from backoffice import storage

    monkeypatch.setenv(storage.VARIABLE, tmp_path.as_uri())
    storage.install()
    yield
    files.use(None)
