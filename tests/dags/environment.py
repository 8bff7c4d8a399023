"""The environment in which tests import Airflow: the product's own settings, in a folder that is thrown away."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

from include.installation.airflow_settings import airflow_settings
from include.installation.places import PROJECT, Places

DAGS = PROJECT / "dags"


def configure_airflow() -> None:
    """Set Airflow's variables once, before it is imported; a second call changes nothing."""
    if "AIRFLOW_HOME" in os.environ or "airflow" in sys.modules:
        return
    home = Path(tempfile.mkdtemp(prefix="backoffice-airflow-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    secret = "tests-only"
    settings = airflow_settings(
        Places(home, "127.0.0.1", 8080),
        secrets={
            "fernet_key": Fernet.generate_key().decode(),
            "api_secret_key": secret,
            "jwt_secret": secret,
            "backoffice_secret": secret,
        },
        # nothing listens there: a test that needs Airflow's database brings one (tests/plugins/conftest.py)
        airflow_database_url="postgresql+psycopg2://nobody@127.0.0.1:9/airflow",
        backoffice_database_url="postgresql+psycopg://nobody@127.0.0.1:9/backoffice",
    )
    os.environ |= {name: value for name, value in settings.items() if name.startswith("AIRFLOW")}
