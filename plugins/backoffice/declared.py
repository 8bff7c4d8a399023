"""What the files in dags/ declare to listen to, read without running them.

The relay needs it to tell "nobody listens" from "the listener is not parsed yet": an event to a process that Airflow
has not parsed (first start, broken file) must wait, not vanish.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

from airflow.configuration import conf

_WORDS = {"StageProcess", "EventProcess", "FormProcess"}


def declared_listeners() -> dict[str, str]:
    """Return ``{process id: listen tag}`` of every process file in the DAG folders."""
    found: dict[str, str] = {}
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
def _read(path: Path, _changed: int) -> dict[str, str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError):
        return {}
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _WORDS:
            said = _said(node)
            process = said.get("process_id")
            listens = _listens(node.func.id, said)
            if process and listens:
                found[process] = listens
    return found


def _said(call: ast.Call) -> dict[str, str]:
    said = {one.arg: one.value.value for one in call.keywords if one.arg and isinstance(one.value, ast.Constant)}
    if call.args and isinstance(call.args[0], ast.Constant):
        said["process_id"] = call.args[0].value
    return {name: value for name, value in said.items() if isinstance(value, str)}


def _listens(word: str, said: dict[str, str]) -> str | None:
    if word == "FormProcess":
        return f"on:form:{said.get('process_id')}"
    if word == "StageProcess" and "funnel" in said and "stage" in said:
        return f"on:stage:{said['funnel']}/{said['stage']}"
    if word == "EventProcess" and "field" in said:
        return f"on:field:{said['field']}"
    return f"on:event:{said['event']}" if word == "EventProcess" and "event" in said else None
