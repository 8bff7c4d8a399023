"""The documents say what is: the worked example loads, pictures and links exist, the glossary knows every word."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from include.installation.places import PROJECT
from include.process.lifecycle import FINAL_STATES
from include.process.words import WORDS
from include.tasks.core import STATE_TITLES
from tests.dags import test_cards, test_policy

DOCUMENTS = [
    path
    for path in sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
    if ".venv" not in path.parts and ".backoffice" not in path.parts
]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)
OLD_NAME = "services_site_visit"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The process of docs/adding-a-process.md, loaded from a folder of its own."""
    from airflow.dag_processing.dagbag import DagBag

    text = (PROJECT / "docs" / "adding-a-process.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    folder = tmp_path_factory.mktemp("dags")
    (folder / f"{OLD_NAME}.py").write_text(blocks[0], encoding="utf-8")
    bag = DagBag(dag_folder=folder, bundle_path=folder, bundle_name="example")
    assert bag.import_errors == {}
    assert list(bag.dags) == [OLD_NAME]
    return bag


@pytest.mark.parametrize(
    "check",
    [one for module in (test_cards, test_policy) for name, one in vars(module).items()
     if name.startswith("test_") and one.__code__.co_varnames[: one.__code__.co_argcount] == ("dagbag",)
     and name != "test_what_files_declare_is_what_airflow_parses"],
    ids=lambda check: check.__name__,
)  # fmt: skip
def test_the_worked_example_keeps_every_rule(check: Any, example: Any) -> None:
    check(example)


def test_the_worked_example_uses_the_words_it_explains() -> None:
    text = (PROJECT / "docs" / "adding-a-process.md").read_text(encoding="utf-8")
    words = set(importlib.import_module("backoffice.process").__all__) - {"Process", "Step", "Result", "CreateDeal"}
    assert {word for word in words if f"`{word}`" not in text and f"{word}(" not in text} == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_links_and_pictures_exist(path: Path) -> None:
    broken = []
    for target in LINK.findall(re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = unquote(target).partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(path: Path) -> set[str]:
    """Headings as GitHub names them."""
    names = HEADING.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in names}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_documents_name_no_machine(path: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:home|root|work|tmp|Users)/", path.read_text(encoding="utf-8")) == []


def test_the_glossary_knows_every_table_word_and_state() -> None:
    text = (PROJECT / "docs" / "glossary.md").read_text(encoding="utf-8")
    spoken = set(re.findall(r"`([^`]+)`", text))
    tables = set(importlib.import_module("include.models").metadata.tables)
    states = {*FINAL_STATES, *STATE_TITLES, "waiting", "marked", "failed", "live", "ended", "pending", "dead"}
    assert {*tables, *WORDS, *states} - spoken == set()


def test_every_decision_is_listed() -> None:
    index = (PROJECT / "docs" / "README.md").read_text(encoding="utf-8")
    records = sorted((PROJECT / "docs" / "adr").glob("*.md"))
    assert [path.name for path in records if f"adr/{path.name}" not in index] == []
    numbers = [path.name[:4] for path in records]
    assert numbers == [f"{number:04}" for number in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert all(f"## {part}" in text for part in ("Context", "Decision", "Evidence", "Consequences")), path.name


def test_the_readme_names_every_variable_that_an_owner_may_set() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    source = "".join(path.read_text("utf-8") for path in (PROJECT / "include" / "installation").glob("*.py"))
    for_programs = {  # made by us for our own programs, or named in docker-compose.yaml and docs/runbook.md only
        "BACKOFFICE_PROGRAM", "BACKOFFICE_EMBEDDED_POSTGRES", "BACKOFFICE_AUTH_MANAGER", "BACKOFFICE_EXTRA_DAGS",
        "BACKOFFICE_REPLICA",
    }  # fmt: skip
    known = set(re.findall(r"BACKOFFICE_[A-Z_]*[A-Z]", source)) - for_programs
    assert {name for name in known if name not in text} == set()


def test_the_changelog_names_the_present_version() -> None:
    import tomllib

    version = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (PROJECT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
