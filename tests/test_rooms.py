"""The rooms of the project and the doors between them (docs/architecture.md): who may import whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest

PROJECT = Path(__file__).resolve().parents[1]
RULES_MAY_USE = {
    "include.money.purposes",  # pure text
    "include.shared.errors",  # sentences only
    "include.shared.names",  # pure text
    "include.shared.numbers",  # pure text
    "include.shared.texts",  # pure text
    "include.shared.working_time",  # pure arithmetic of working days
    "stdnum",  # checksums of INN and the like: pure, no I/O
}
SQL_OUTSIDE_HOOKS = {
    "plugins/backoffice/airflow_api.py": "the one door to Airflow's own database",
    "plugins/backoffice/airflow_steps.py": "its other wing: our waiting steps there",
    "plugins/backoffice/relay.py": "takes outbox rows with SKIP LOCKED and holds the lock while Airflow makes the run",
}
NAMES_FROM_CODE = {
    "include/exchange_1c/staging.py": "ANALYZE of temporary tables whose names stand in the line above",
}
NEVER_IN_DAGS = {"sqlalchemy", "psycopg", "requests", "httpx", "urllib3", "fastapi", "starlette"}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Give every import of a file: line and full dotted name (`from a import b` is a.b)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield node.lineno, one.name
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:  # a relative import stays in its own folder
                if node.level == 0:
                    yield node.lineno, f"{node.module}.{one.name}"


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def files(*patterns: str) -> list[Path]:
    found = sorted(path for pattern in patterns for path in PROJECT.glob(pattern))
    assert found, f"нет файлов {patterns}"
    return found


def said(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def test_processes_know_words_and_services_only() -> None:
    wrong = []
    for path in files("dags/**/*.py"):
        for line, name in imports(path):
            parts = name.split(".")
            door = (
                within(name, "backoffice.process", "backoffice.operators", "backoffice.sensors")
                or (parts[0] == "include" and len(parts) > 2 and {"services", "forms"} & set(parts[2:4]))
                or within(name, "airflow.sdk", "pendulum")
                or (parts[0] in sys.stdlib_module_names and parts[0] not in NEVER_IN_DAGS)
            )
            if not door:
                wrong.append(f"{said(path)}:{line}: {name}")
    assert wrong == [], "процесс знает только слова (backoffice.process) и услуги (include.*.services|forms)"


def test_the_business_never_knows_airflow() -> None:
    wrong = [
        f"{said(path)}:{line}: {name}"
        for path in files("include/**/*.py")
        for line, name in imports(path)
        if within(name, "airflow", "fastapi", "starlette", "backoffice", "plugins", "dags")
    ]
    assert wrong == [], "include/ не знает ни Airflow, ни веба"


def test_rules_are_pure() -> None:
    wrong = []
    shared = [f"{name.replace('.', '/')}.py" for name in RULES_MAY_USE if name.startswith("include.")]
    for path in files("include/*/rules.py", *shared):
        for line, name in imports(path):
            parts = name.split(".")
            pure = (
                parts[0] in sys.stdlib_module_names
                or within(name, *RULES_MAY_USE)
                or (parts[0] == "include" and len(parts) > 2 and parts[2] == "rules")
                or (path.name == "working_time.py" and parts[0] == "holidays")
            )
            if not pure:
                wrong.append(f"{said(path)}:{line}: {name}")
    assert wrong == [], "правила – чистые решения: только стандартная библиотека и другие правила"


def test_sql_stays_behind_the_services() -> None:
    wrong = [
        f"{said(path)}:{line}: {name}"
        for path in files("plugins/**/*.py")
        for line, name in imports(path)
        if within(name, "sqlalchemy")
        and not fnmatch(said(path), "plugins/backoffice/hooks/*")
        and not fnmatch(said(path), "plugins/backoffice/ui/admin/*")
        and said(path) not in SQL_OUTSIDE_HOOKS
    ]
    assert wrong == [], "SQLAlchemy в plugins/ – только hooks/, ui/admin/ и исключения с причиной"
    for exception in SQL_OUTSIDE_HOOKS:
        assert any(within(name, "sqlalchemy") for _, name in imports(PROJECT / exception)), (
            f"{exception} больше не нуждается в исключении: уберите его"
        )


def test_models_are_not_shown_to_pages_and_processes() -> None:
    wrong = [
        f"{said(path)}:{line}: {name}"
        for path in files("plugins/backoffice/ui/**/*.py", "plugins/backoffice/process/*.py", "dags/**/*.py")
        for line, name in imports(path)
        if name.startswith("include.") and "models" in name.split(".")[2:3] and "/ui/admin/" not in said(path)
    ]
    assert wrong == [], "страницы и процессы читают формы данных (shapes), таблицы знают только услуги"


def test_processes_do_not_know_each_other() -> None:
    wrong = [
        f"{said(path)}:{line}: {name}"
        for path in files("dags/**/*.py")
        for line, name in imports(path)
        if within(name, "dags", *(folder.name for folder in (PROJECT / "dags").iterdir() if folder.is_dir()))
    ]
    assert wrong == []


@pytest.mark.parametrize("root", ["dags", "plugins", "include", "sql", "tests"])
def test_one_spelling_of_backoffice(root: str) -> None:
    """`backoffice.x` and `plugins.backoffice.x` are two modules and two classes of one file."""
    wrong = [
        f"{said(path)}:{line}: {name}"
        for path in files(f"{root}/**/*.py")
        for line, name in imports(path)
        if within(name, "plugins")
    ]
    assert wrong == []


def test_airflow_scans_the_plugin_file_only() -> None:
    """A scanned backoffice/email.py would replace the standard library's email (plugins/.airflowignore says it)."""
    from airflow._shared.module_loading import find_path_from_directory

    found = {
        PurePosixPath(path).relative_to(PROJECT / "plugins").as_posix()
        for path in find_path_from_directory(str(PROJECT / "plugins"), ".airflowignore", "glob")
        if path.endswith(".py")
    }
    assert found == {"backoffice_plugin.py"}


def test_no_query_text_is_built_by_hand() -> None:
    """Values travel as parameters: no f-string, % or format() inside text() or execute()."""
    wrong = []
    for path in files("include/**/*.py", "plugins/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in {"text", "execute"} or not isinstance(node.args[0], ast.JoinedStr):
                continue
            spoken = [
                one.value
                for one in node.args[0].values
                if isinstance(one, ast.FormattedValue)
                and not getattr(one.value, "id", getattr(one.value, "attr", "")).isupper()  # a constant of ours
            ]
            if spoken and said(path) not in NAMES_FROM_CODE:
                wrong.append(f"{said(path)}:{node.lineno}")
    assert wrong == [], "текст запроса собран из строк; подставляйте значения параметрами"
