"""docker-compose.yaml says the same as `make up`, but for a declared set of differences."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from include.installation.airflow_settings import COMMON
from include.installation.places import PROJECT
from include.installation.programs import AIRFLOW_PROGRAMS, REPLICATED
from include.process.queues import QUEUES
from tests.installation.test_settings import known_options

pytestmark = pytest.mark.unit

#: What a company's containers set in their own way.
OF_THE_DEPLOYMENT = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__CORE__DAGS_FOLDER": "/opt/airflow/dags",
    "AIRFLOW__CORE__PLUGINS_FOLDER": "/opt/airflow/plugins",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://api-server:8080/execution/",
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
#: Off unless .env asks for them.
METRICS = {
    "AIRFLOW__METRICS__STATSD_ON": "${BACKOFFICE_STATSD_ON:-False}",
    "AIRFLOW__METRICS__STATSD_HOST": "${BACKOFFICE_STATSD_HOST:-localhost}",
    "AIRFLOW__METRICS__STATSD_PORT": "${BACKOFFICE_STATSD_PORT:-8125}",
}
#: Options of the Celery provider, which one machine does not install.
OF_CELERY = {"AIRFLOW__CELERY__BROKER_URL", "AIRFLOW__CELERY__RESULT_BACKEND"}
AIRFLOW_SERVICES = {
    "api-server": "api-server --proxy-headers",
    "scheduler": "scheduler",
    "engine": "python -m backoffice.engine",
    "triggerer": "triggerer",
    "dag-processor": "dag-processor",
    "worker": "celery worker --queues default --concurrency 8",
    "worker-io": "celery worker --queues io --concurrency 4",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("service", AIRFLOW_SERVICES)
def test_settings_are_those_of_make_up(compose: dict[str, Any], service: str) -> None:
    environment = compose["services"][service]["environment"]
    ours = {key: value for key, value in environment.items() if key.startswith("AIRFLOW__")}
    expected = {key: value for key, value in COMMON.items() if key.startswith("AIRFLOW__")}
    expected |= OF_THE_DEPLOYMENT | METRICS
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
    assert set(AIRFLOW_PROGRAMS) <= set(services), "каждая программа make up есть и в контейнерах"
    assert {name: services[name]["deploy"]["replicas"] for name in (*REPLICATED, "worker", "worker-io")} == (
        dict.fromkeys((*REPLICATED, "worker", "worker-io"), 2)
    )
    script = services["init"]["command"][0]
    steps = ("airflow db migrate", "alembic", "include.reference", "backoffice.nudge install")
    order = [script.index(part) for part in steps]
    assert order == sorted(order)
    for name in AIRFLOW_SERVICES:
        assert services[name]["depends_on"]["init"]["condition"] == "service_completed_successfully"


def test_code_is_mounted_and_importable(compose: dict[str, Any]) -> None:
    for name in AIRFLOW_SERVICES:
        service = compose["services"][name]
        mounted = {volume.split(":")[1] for volume in service["volumes"]}
        assert mounted >= {f"/opt/airflow/{folder}" for folder in ("dags", "plugins", "include", "sql", "config")}
        plugins = ":/opt/airflow/plugins" if name == "engine" else ""  # Airflow's own programs add them themselves
        assert service["environment"]["PYTHONPATH"] == f"/opt/airflow{plugins}"
        assert service["environment"]["BACKOFFICE_CLOCK"] == "real"
        assert service["environment"]["BACKOFFICE_ENV"] == "production"


def test_any_service_may_be_scaled(compose: dict[str, Any]) -> None:
    """A name or a published port of its own would let only one container of a service live."""
    for name in AIRFLOW_SERVICES:
        assert not {"container_name", "hostname", "ports"} & set(compose["services"][name]), name


def test_staff_have_one_address_in_front_of_all_api_servers(compose: dict[str, Any]) -> None:
    address = compose["services"]["address"]
    assert address["ports"] == ["127.0.0.1:8080:8080"]
    (mounted,) = address["configs"]
    said = compose["configs"][mounted["source"]]["content"]
    assert "server-template api 9 api-server:8080" in said
    assert "option httpchk GET /api/v2/version" in said  # asks the server itself, not the scheduler behind it
    assert "retry-on conn-failure\n" in said  # nothing that a server may have carried out is sent again
    (network,) = compose["networks"]["default"]["ipam"]["config"]
    assert compose["services"]["api-server"]["environment"]["FORWARDED_ALLOW_IPS"] == network["subnet"]


def test_every_queue_has_workers(compose: dict[str, Any]) -> None:
    """A step of a queue that nobody serves waits for ever and says nothing."""
    commands = [compose["services"][name]["command"] for name in AIRFLOW_SERVICES]
    served = {one.split("--queues ")[1].split()[0] for one in commands if "--queues" in one}
    assert served == QUEUES


def test_ports_are_open_to_this_machine_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = (PROJECT / "docker-compose.yaml").read_text(encoding="utf-8")
    body = text.split("name: backoffice", 1)[1]
    used = re.findall(r"\$\{(\w+)([^}]*)\}", body)
    assert used
    plain = {"HOSTNAME", "BACKOFFICE_TRUSTED_PROXIES", *(one[2:].partition(":")[0] for one in METRICS.values())}
    assert [name for name, rest in used if rest != ":?" and name not in plain] == []
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
