"""The one source of Airflow's configuration: `make up` uses it, docker-compose.yaml is tested against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from include.installation.places import PROJECT, TRIGGER_LOG_OFFSET, WORKER_LOG_OFFSET, Places

AUTH_MANAGER = "backoffice.auth_manager.BackofficeAuthManager"
SIMPLE_AUTH_MANAGER = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"

#: A trigger of a waiting step costs 28 KB; one triggerer holds them all with room to spare.
TRIGGERER_CAPACITY = 20_000

#: The same wherever it runs: one machine or a company's containers.
COMMON: dict[str, str] = {
    "AIRFLOW__CORE__AUTH_MANAGER": AUTH_MANAGER,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    # A process is born alive: a paused one would silently queue its runs.
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    # A case lives for months, so thousands of runs and waits of one process are normal (defaults: 16).
    "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "100000",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "100000",
    "AIRFLOW__CORE__DEFAULT_TIMEZONE": "utc",
    "AIRFLOW__CORE__TEST_CONNECTION": "Disabled",
    # A changed process reaches the next entry into its stage at once.
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
    "AIRFLOW__API__INSTANCE_NAME": "Бэк-офис",
    "AIRFLOW__API__EXPOSE_CONFIG": "False",
    "AIRFLOW__API__EXPOSE_STACKTRACE": "False",
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__API__REQUIRE_CONFIRMATION_DAG_CHANGE": "True",
    # These sleeps are part of every step's latency; 0.1 was measured without harm.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    # A larger number only makes each loop longer; the nudge puts the right run first.
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "20",
    "AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT": "False",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
    "AIRFLOW__TRIGGERER__CAPACITY": str(TRIGGERER_CAPACITY),
    # With the default of 50 a restarted triggerer needs minutes to take thousands of waits back.
    "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "2000",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "5",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "30",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_PRE_PING": "True",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
    "SCARF_ANALYTICS": "false",
    "DO_NOT_TRACK": "1",
}


def bundles(extra: Path | None = None, project: Path = PROJECT) -> str:
    """Describe where processes are read from: the project's dags/ and, for tests, one more folder."""
    folders = {"backoffice": project / "dags"}
    if extra is not None:
        folders["extra"] = extra
    return json.dumps(
        [
            {
                "name": name,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(path), "refresh_interval": 5},
            }
            for name, path in folders.items()
        ]
    )


def airflow_settings(
    places: Places,
    *,
    secrets: Mapping[str, str],
    airflow_database_url: str,
    backoffice_database_url: str,
    auth_manager: str | None = None,
    extra_dags: Path | None = None,
) -> dict[str, str]:
    """Return the environment that Airflow's programs of one machine run with."""
    settings = {
        **COMMON,
        "AIRFLOW_HOME": str(places.airflow),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "include.installation.hostname.program_hostname",
        "AIRFLOW__CORE__FERNET_KEY": secrets["fernet_key"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{places.base_url}/execution/",
        "AIRFLOW__API__HOST": places.host,
        "AIRFLOW__API__PORT": str(places.port),
        "AIRFLOW__API__BASE_URL": places.base_url,
        "AIRFLOW__API__SECRET_KEY": secrets["api_secret_key"],
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets["jwt_secret"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow_database_url,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": bundles(extra_dags),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(places.logs / "tasks"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(places.logs / "dag_processor"),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(places.port + WORKER_LOG_OFFSET),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(places.port + TRIGGER_LOG_OFFSET),
        "AIRFLOW_CONN_BACKOFFICE": backoffice_database_url.replace("postgresql+psycopg://", "postgres://", 1),
    }
    if auth_manager is not None:
        settings["AIRFLOW__CORE__AUTH_MANAGER"] = auth_manager
        if auth_manager == SIMPLE_AUTH_MANAGER:
            settings["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] = "True"
    return settings
