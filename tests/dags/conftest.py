"""Airflow as `make up` configures it, without a database: enough to load the processes."""

from __future__ import annotations

import pytest

from tests.dags.environment import configure_airflow

configure_airflow()  # before the first `import airflow` of any test module here


@pytest.fixture(scope="session")
def dagbag() -> object:
    """All processes of the project, loaded the way Airflow loads them."""
    from airflow.dag_processing.dagbag import DagBag

    from tests.dags.environment import DAGS

    return DagBag(dag_folder=DAGS, safe_mode=True, bundle_path=DAGS, bundle_name="backoffice")
