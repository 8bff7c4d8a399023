"""Airflow's settings have one source, and Airflow knows every one of them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from include.installation import hostname
from include.installation.airflow_settings import AUTH_MANAGER, COMMON, airflow_settings, bundles
from include.installation.errors import InstallationError
from include.installation.hostname import hostname_of
from include.installation.installation import Installation
from include.installation.places import PROJECT, Places
from include.installation.programs import AIRFLOW_PROGRAMS, program_table, replicas
from include.installation.secret_files import SECRETS
from include.installation.urls import libpq, with_driver

pytestmark = pytest.mark.unit


def known_options() -> set[str]:
    """Every AIRFLOW__SECTION__OPTION of the installed Airflow and providers that we use."""
    spec = find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).parent / "config_templates" / "config.yml"
    sections = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {f"AIRFLOW__{section}__{option}".upper() for section, body in sections.items() for option in body["options"]}


def settings(tmp_path: Path, **options: object) -> dict[str, str]:
    return airflow_settings(
        Places(tmp_path, port=9000),
        secrets=dict.fromkeys(SECRETS, "secret"),
        airflow_database_url="postgresql+psycopg2://a@h/airflow",
        backoffice_database_url="postgresql+psycopg://b@h/backoffice",
        **options,  # type: ignore[arg-type]
    )


def test_airflow_knows_every_setting(tmp_path: Path) -> None:
    ours = {name for name in settings(tmp_path) if name.startswith("AIRFLOW__")}
    assert ours - known_options() == set()
    assert len(ours) > 30


def test_every_port_follows_from_the_address(tmp_path: Path) -> None:
    ports = {value for name, value in settings(tmp_path).items() if name.endswith("PORT")}
    assert ports == {"9000", "9001", "9002"}
    assert Places(tmp_path, port=9000).postgres_port == 9003
    assert settings(tmp_path)["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:9000/execution/"


def test_the_auth_manager_is_ours_unless_a_test_says_otherwise(tmp_path: Path) -> None:
    assert settings(tmp_path)["AIRFLOW__CORE__AUTH_MANAGER"] == AUTH_MANAGER == COMMON["AIRFLOW__CORE__AUTH_MANAGER"]
    assert settings(tmp_path, auth_manager="x.Y")["AIRFLOW__CORE__AUTH_MANAGER"] == "x.Y"


def test_extra_dags_come_beside_the_projects(tmp_path: Path) -> None:
    assert [one["name"] for one in json.loads(bundles())] == ["backoffice"]
    assert [one["kwargs"]["path"] for one in json.loads(bundles(tmp_path))] == [
        str(PROJECT / "dags"),
        str(tmp_path),
    ]


@pytest.mark.parametrize("url", ["postgres://u:p@h/d", "postgresql://u:p@h/d", "postgresql+asyncpg://u:p@h/d"])
def test_database_addresses_may_be_written_as_people_write_them(url: str) -> None:
    assert with_driver(url, "psycopg") == "postgresql+psycopg://u:p@h/d"
    assert libpq(url) == "postgresql://u:p@h/d"


@pytest.mark.parametrize("port", ["http", "0", "80", "99999", "-1", ""])
def test_a_bad_port_is_refused_in_words(port: str, tmp_path: Path) -> None:
    environment = {"BACKOFFICE_HOME": str(tmp_path), "BACKOFFICE_PORT": port}
    if port == "":
        assert Places.from_environment(environment).port == 8080
        return
    with pytest.raises(InstallationError, match="BACKOFFICE_PORT"):
        Places.from_environment(environment)


def test_the_virtual_clock_is_refused_in_production(tmp_path: Path) -> None:
    with pytest.raises(InstallationError, match="запрещены"):
        Installation(tmp_path, clock="virtual", environment={"BACKOFFICE_ENV": "production"})
    Installation(tmp_path, clock="real", environment={"BACKOFFICE_ENV": "production"})


def test_one_database_from_outside_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(InstallationError, match="двумя адресами"):
        Installation(tmp_path, keep=True, environment={"BACKOFFICE_DATABASE_URL": "postgresql://h/d"})


def test_databases_from_outside_replace_the_embedded_server(tmp_path: Path) -> None:
    given = {"BACKOFFICE_DATABASE_URL": "postgresql://h/b", "AIRFLOW_DATABASE_URL": "postgres://h/a"}
    one = Installation(tmp_path, keep=True, environment=given)
    assert one.postgres is None
    assert one.airflow_database_url == "postgresql+psycopg2://h/a"
    assert one.env()["BACKOFFICE_DATABASE_URL"] == "postgresql+psycopg://h/b"


def test_a_strangers_airflow_settings_do_not_leak_in(tmp_path: Path) -> None:
    outer = {
        "AIRFLOW__CORE__EXECUTOR": "Other",
        "AIRFLOW_HOME": "/elsewhere",
        "PYTHONPATH": "/x",
        "PATH": "/bin",
    }
    environment = Installation(tmp_path / "home", environment=outer).env()
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert environment["AIRFLOW_HOME"].startswith(str(tmp_path))
    assert environment["PYTHONPATH"] == str(PROJECT)
    assert environment["PATH"] == "/bin"


def test_airflows_settings_of_metrics_are_passed_on(tmp_path: Path) -> None:
    """docs/runbook.md: the only settings of Airflow that `make up` takes from outside."""
    outer = {"AIRFLOW__METRICS__STATSD_ON": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    environment = Installation(tmp_path / "home", environment=outer).env()
    assert {name: environment[name] for name in outer} == outer


def test_replicas_are_read_and_nonsense_is_refused() -> None:
    one = dict.fromkeys(AIRFLOW_PROGRAMS, 1)
    assert replicas("scheduler=2, triggerer=3") == one | {"scheduler": 2, "triggerer": 3}
    assert replicas("2") == dict.fromkeys(AIRFLOW_PROGRAMS, 2) | {"dag-processor": 1}
    assert set(replicas("").values()) == set(replicas(None).values()) == set(replicas("1").values()) == {1}
    for text in ("worker=2", "scheduler", "scheduler=0", "scheduler=many", "0", "10", "-2", "2,triggerer=3", "=2"):
        with pytest.raises(InstallationError, match="REPLICAS"):
            replicas(text)


def test_one_of_each_is_airflows_own_commands_and_two_share_the_address(tmp_path: Path) -> None:
    one = program_table(Places(tmp_path), postgres_command=None)
    assert [(program.name, program.door) for program in one] == [(name, None) for name in AIRFLOW_PROGRAMS]
    assert one[0].command[1:] == ("-m", "include.installation.airflow_program", "api-server")
    two = {
        one.name: one for one in program_table(Places(tmp_path, port=9000), postgres_command=None, counts=replicas("2"))
    }
    assert set(two) == set(AIRFLOW_PROGRAMS) | {f"{kind}-2" for kind in AIRFLOW_PROGRAMS if kind != "dag-processor"}
    assert {name: one.door for name, one in two.items() if one.door} == {"api-server": 9011, "api-server-2": 9012}
    assert two["api-server-2"].command[-3:] == ("include.installation.api_server", "--door", "9012")


def test_no_two_programs_of_a_kind_have_one_name_in_airflows_jobs(tmp_path: Path) -> None:
    names = [
        (program.job_type, hostname_of(int(program.extra_environment["BACKOFFICE_REPLICA"])))
        for program in program_table(Places(tmp_path), postgres_command=None, counts=replicas("3"))
        if program.job_type
    ]
    assert len(names) == len(set(names)) == 7


def test_a_machine_without_a_domain_is_not_called_localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines at one database: the supervisor of one must not end the rows of the other."""
    monkeypatch.setattr("socket.getfqdn", lambda: "localhost")
    monkeypatch.setattr("socket.gethostname", lambda: "office-1")
    hostname._machine.cache_clear()
    try:
        assert [hostname_of(1), hostname_of(2)] == ["office-1", "office-1-2"]
    finally:
        hostname._machine.cache_clear()


def test_doors_are_reserved_before_anything_starts(tmp_path: Path) -> None:
    installation = Installation(tmp_path, port=9000, environment={"REPLICAS": "2"})
    assert {9000, 9003, 9011, 9012} == set(installation.ports())
    assert {9000, 9003} == set(Installation(tmp_path, port=9000, environment={}).ports())
