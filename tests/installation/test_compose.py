"""docker-compose.yaml says the same as `make up`, but for a declared set of differences."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from include.installation.airflow_settings import COMMON
from include.installation.places import PROJECT
from tests.installation.test_settings import known_options

pytestmark = pytest.mark.unit

#: What a company's containers set in their own way.
OF_THE_DEPLOYMENT = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__CORE__DAGS_FOLDER": "/opt/airflow/dags",
    "AIRFLOW__CORE__PLUGINS_FOLDER": "/opt/airflow/plugins",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://api:8080/execution/",
    "AIRFLOW__API__HOST": "0.0.0.0",
    "AIRFLOW__API__PORT": "8080",
}
SECRET = {
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__CELERY__BROKER_URL",
    "AIRFLOW__CELERY__RESULT_BACKEND",
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
}
#: Options of the Celery provider, which one machine does not install.
OF_CELERY = {"AIRFLOW__CELERY__BROKER_URL", "AIRFLOW__CELERY__RESULT_BACKEND"}
AIRFLOW_SERVICES = {
    "api-server-1": "api-server",
    "api-server-2": "api-server",
    "scheduler-1": "scheduler",
    "scheduler-2": "scheduler",
    "triggerer-1": "triggerer",
    "triggerer-2": "triggerer",
    "dag-processor": "dag-processor",
    "worker": "celery worker",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("service", AIRFLOW_SERVICES)
def test_settings_are_those_of_make_up(compose: dict[str, Any], service: str) -> None:
    environment = compose["services"][service]["environment"]
    ours = {key: value for key, value in environment.items() if key.startswith("AIRFLOW__")}
    expected = {key: value for key, value in COMMON.items() if key.startswith("AIRFLOW__")} | OF_THE_DEPLOYMENT
    assert {key: value for key, value in ours.items() if key not in SECRET} == expected
    assert set(ours) >= SECRET
    assert {key: environment[key] for key in COMMON} == COMMON


def test_airflow_knows_every_setting(compose: dict[str, Any]) -> None:
    environment = compose["services"]["worker"]["environment"]
    ours = {key for key in environment if key.startswith("AIRFLOW__")}
    assert ours - known_options() - OF_CELERY == set()


def test_two_of_everything_that_must_not_fail(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name: services[name]["command"] for name in AIRFLOW_SERVICES} == AIRFLOW_SERVICES
    assert services["worker"]["deploy"]["replicas"] == 2
    script = services["init"]["command"][0]
    order = [script.index(part) for part in ("airflow db migrate", "alembic", "backoffice.nudge install")]
    assert order == sorted(order)
    for name in AIRFLOW_SERVICES:
        assert services[name]["depends_on"]["init"]["condition"] == "service_completed_successfully"


def test_code_is_mounted_and_importable(compose: dict[str, Any]) -> None:
    for name in AIRFLOW_SERVICES:
        service = compose["services"][name]
        mounted = {volume.split(":")[1] for volume in service["volumes"]}
        assert mounted >= {f"/opt/airflow/{folder}" for folder in ("dags", "plugins", "include", "sql", "config")}
        assert service["environment"]["PYTHONPATH"] == "/opt/airflow"
        assert service["environment"]["BACKOFFICE_CLOCK"] == "real"
        assert service["environment"]["BACKOFFICE_ENV"] == "production"


def test_ports_are_open_to_this_machine_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = (PROJECT / "docker-compose.yaml").read_text(encoding="utf-8")
    body = text.split("name: backoffice", 1)[1]
    used = re.findall(r"\$\{(\w+)([^}]*)\}", body)
    assert used
    assert [name for name, rest in used if rest != ":?" and name != "HOSTNAME"] == []
    explained = set(re.findall(r"^#   (\w+)=", text, re.MULTILINE))
    assert {name for name, _ in used} - {"HOSTNAME"} == explained


def test_the_image_is_built_from_the_lock_with_hashes(compose: dict[str, Any]) -> None:
    build = compose["services"]["worker"]["build"]["dockerfile_inline"]
    assert "FROM apache/airflow:3.3.2" in build
    assert "--require-hashes -r /requirements-image.lock" in build


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-image.lock"])
def test_locks_hash_everything_and_name_no_place(name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    assert "apache-airflow==3.3.2" in text
    assert not re.search(r"file:|https?://|--(extra-)?index-url|--find-links", text)
    packages = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)[1:]
    assert [one.split()[0] for one in packages if "--hash=sha256:" not in one] == []
