"""The project's own processes on a real database, their runs played by the driver: no Airflow program runs."""

from __future__ import annotations

from tests.dags.environment import configure_airflow

configure_airflow()  # before the first `import airflow` of any test module here

from tests.db.conftest import (  # noqa: E402
    company,
    database,
    database_engine,
    database_url,
    driver,
    quick_passwords,
)

__all__ = ["company", "database", "database_engine", "database_url", "driver", "quick_passwords"]
