"""What the files in dags/ declare to listen to, read without running them.

The relay needs it to tell "nobody listens" from "the listener is not parsed yet": an event to a process that Airflow
has not parsed (first start, broken file) must wait, not vanish.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

from airflow.configuration import conf

_WORDS = {"StageProcess", "EventProcess", "FormProcess", "ButtonProcess"}


def declared_listeners() -> dict[str, frozenset[str]]:
    """Return ``{process id: listen tags}`` of every process file in the DAG folders."""
    found: dict[str, frozenset[str]] = {}
    for folder in dag_folders():
        for path in sorted(folder.rglob("*.py")):
            found.update(_read(path, path.stat().st_mtime_ns))
    return found


def dag_folders() -> list[Path]:
    """Return the folders of all local DAG bundles."""
    bundles = conf.getjson("dag_processor", "dag_bundle_config_list", fallback=[])
    paths = [one.get("kwargs", {}).get("path") for one in bundles if isinstance(one, dict)]  # type: ignore[union-attr]
    folders = {Path(path or conf.get_mandatory_value("core", "dags_folder")) for path in paths or [None]}
    return sorted(folder for folder in folders if folder.is_dir())


@lru_cache(maxsize=4096)
def _read(path: Path, _changed: int) -> dict[str, frozenset[str]]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError):
        return {}
    found: dict[str, frozenset[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _WORDS:
            said = _said(node)
            listens = _listens(node.func.id, said)
            if listens:
                found[said["process_id"][0]] = frozenset(listens)
    return found


def _said(call: ast.Call) -> dict[str, list[str]]:
    """Return the words said in a call that are written out: a text, or a tuple of texts."""
    given = {one.arg: one.value for one in call.keywords if one.arg}
    if call.args:
        given["process_id"] = call.args[0]
    said = {name: _texts(value) for name, value in given.items()}
    return {name: texts for name, texts in said.items() if texts}


def _texts(value: ast.expr) -> list[str]:
    parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value]
    return [one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def _listens(word: str, said: dict[str, list[str]]) -> list[str]:
    """Return what a process listens to; the same tags as its DAG gets in ``backoffice.process.dag``."""
    if "process_id" not in said:
        return []
    if word in ("FormProcess", "ButtonProcess"):
        return [f"on:{'form' if word == 'FormProcess' else 'button'}:{said['process_id'][0]}"]
    if word == "StageProcess":
        return [f"on:stage:{funnel}/{stage}" for funnel in said.get("funnel", []) for stage in said.get("stage", [])]
    heard = [f"on:field:{one}" for one in said.get("field", [])]
    return heard + [f"on:event:{one}" for one in said.get("event", [])]
