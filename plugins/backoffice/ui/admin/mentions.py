"""Which names of reference data the processes are written with, read from their files without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from backoffice.declared import dag_folders, declared_listeners
from include.deals import rules as deals
from include.process import rules as words
from include.reference.rules import Mention

_STAGE = "on:stage:"
_OUR_RULES = (Path(deals.__file__).parent, Path(words.__file__).parent)  # they know some stages and fields by name


def mentions() -> list[Mention]:
    """Return every text that a process file says, with the direction its processes belong to where it is known."""
    listens = declared_listeners()
    found: list[Mention] = []
    for folder in dag_folders():
        for path in sorted(folder.rglob("*.py")):
            texts = _texts(path, path.stat().st_mtime_ns)
            processes = sorted(texts & listens.keys())
            funnels = {tag for one in processes for tag in _funnels(listens[one])} or {None}
            name = ", ".join(processes) or path.stem
            found += [Mention(name, text, funnel) for text in texts for funnel in funnels]
    for folder in _OUR_RULES:
        for path in sorted(folder.glob("*.py")):
            found += [
                Mention(f"правила продукта ({path.stem})", text) for text in _texts(path, path.stat().st_mtime_ns)
            ]
    for process, tags in listens.items():
        for funnel, stage in _stages(tags):
            found += [Mention(process, stage, funnel), Mention(process, funnel, funnel)]
    return found


def _stages(tags: frozenset[str]) -> Iterator[tuple[str, str]]:
    for tag in tags:
        if tag.startswith(_STAGE):
            funnel, _, stage = tag.removeprefix(_STAGE).partition("/")
            yield funnel, stage


def _funnels(tags: frozenset[str]) -> set[str | None]:
    return {funnel for funnel, _ in _stages(tags)}


@lru_cache(maxsize=4096)
def _texts(path: Path, _changed: int) -> frozenset[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError):
        return frozenset()
    return frozenset(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
