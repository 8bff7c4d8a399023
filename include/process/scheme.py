"""The scheme of a process: its steps, their order and the settings they read, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

TASK_WORDS = frozenset({"EmployeeTask", "Confirm", "FormRequest"})
APPROVAL_WORDS = frozenset({"Approval", "Rework"})
HUMAN_WORDS = TASK_WORDS | APPROVAL_WORDS  # a person has something to do
LISTEN_PREFIX = "on:"
RUN_PREFIX = "run:"  # of an event that starts the run of an instance made already: run:<process>
PROCESS_TAG = "процесс"
REPEAT_PREFIX = "repeat:"  # in a scheme the process is not named yet: repeat:<step>


def scheme_body(title: str, number: int, steps: Iterable[tuple[str, list[str], Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the scheme made of ``(id, ids before it, spec)``; steps stand in the order of the work."""
    known = {step: (before, spec) for step, before, spec in steps}
    body = [
        {
            "id": step,
            "title": known[step][1]["title"],
            "word": known[step][1]["word"],
            "upstream": sorted(known[step][0]),
        }
        for step in _ordered({step: before for step, (before, _) in known.items()})
    ]
    terms = _settings(spec for _, spec in known.values())
    scheme = {"title": title, "number": number, "steps": body, "settings": terms + _switches(title, known)}
    begins_if = next((spec["begins_if"] for _, spec in known.values() if "begins_if" in spec), None)
    return scheme if begins_if is None else {**scheme, "begins_if": begins_if}


def repeat_setting(process: str, step: str) -> str:
    """Return the code of the switch that gives a task anew at every entry of its stage (AG-6)."""
    return f"{REPEAT_PREFIX}{process}.{step}"


def _ordered(before: Mapping[str, list[str]]) -> list[str]:
    done: list[str] = []
    left = dict(before)
    while left:
        ready = sorted(step for step, needs in left.items() if not set(needs) & set(left))
        if not ready:
            msg = f"Шаги ждут друг друга: {', '.join(sorted(left))}"
            raise ValueError(msg)
        done.extend(ready)
        for step in ready:
            del left[step]
    return done


def _switches(title: str, known: Mapping[str, tuple[list[str], Mapping[str, Any]]]) -> list[dict[str, Any]]:
    return [
        {
            "code": REPEAT_PREFIX + step, "title": f"{title}: ставить «{spec['title']}» заново при каждом заходе",
            "kind": "switch", "default": spec.get("reentry") == "repeat",
        }
        for step, (_, spec) in sorted(known.items())
        if spec["word"] in TASK_WORDS and spec.get("reentry") != "replace"
    ]  # fmt: skip


def _settings(specs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for spec in specs:
        for ref in _terms(spec):
            if ref.get("setting"):
                found[ref["setting"]] = {
                    "code": ref["setting"], "title": ref.get("title") or ref["setting"],
                    "kind": ref.get("kind", "term"),
                    "default": ref["default"],
                }  # fmt: skip
    return [found[code] for code in sorted(found)]


def _terms(value: Any) -> Iterable[dict[str, Any]]:
    if isinstance(value, Mapping):
        if "setting" in value and "default" in value:
            yield dict(value)
        else:
            for part in value.values():
                yield from _terms(part)
    elif isinstance(value, list):
        for part in value:
            yield from _terms(part)
