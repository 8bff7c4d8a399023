"""What a bench says: rows of numbers, one table, one JSON file, the results section of docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from include.installation.places import PROJECT

PUBLISHED = PROJECT / "docs" / "benchmarks.json"
PAGE = PROJECT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: make bench PUBLISH=yes -->", "<!-- /results -->"


@dataclass(frozen=True)
class Row:
    """One measured line; what was not measured is None.

    :param name: what was measured, in Russian
    :param unit: с, мс, МБ, КБ, шаг/с, пункты …
    :param ratio: ours against the baseline (or against what ``note`` says)
    :param target: the promise, in words
    :param met: whether the promise was kept; None when there is none
    :param note: n, what the baseline was, what to know when reading
    """

    name: str
    unit: str
    ours_median: float | None = None
    ours_p95: float | None = None
    baseline_median: float | None = None
    baseline_p95: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""


@dataclass
class Report:
    """The rows of one measure with the machine's load before and after."""

    measure: str
    rows: list[Row] = field(default_factory=list)
    load_before: float = 0.0
    load_after: float = 0.0
    began: str = ""
    seconds: float = 0.0
    error: str = ""
    #: Where the profiles of a missed target (or of PROFILE=1) are kept, and their top lines.
    profile: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what the JSON file keeps."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Report:
        """Read what ``as_json`` wrote."""
        return cls(**{**kept, "rows": [Row(**row) for row in kept["rows"]]})


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile: the smallest value that at least 95 % do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


def summary(values: Sequence[float]) -> tuple[float, float]:
    """Return median and 95th percentile."""
    return median(values), p95(values)


def load() -> float:
    """Return the machine's load average of the last minute."""
    return os.getloadavg()[0]


def machine() -> dict[str, Any]:
    """Name the machine that measures."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def say_machine() -> None:
    """Print the machine and its load."""
    print(f"Машина: {_machine_said(machine())}; нагрузка {load():.2f}", flush=True)


def _machine_said(where: dict[str, Any]) -> str:
    return (
        f"ядер {where['cores']}, {where['cpu']}, памяти {number(where['memory_gb'])} ГБ, {where['system']}, "
        f"Python {where['python']}"
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "?"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")


def now() -> str:
    """Return the moment of a measurement as text (a bench measures real time)."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


# --- the table --------------------------------------------------------------------------------------------------

HEADS = ("Что", "ед.", "мы: медиана", "p95", "база: медиана", "p95", "раз", "обещано", "итог")


def table(rows: Iterable[Row]) -> str:
    """Return the rows as one aligned table, each note under its row."""
    rows = list(rows)
    lines = [HEADS, *map(_cells, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADS))]
    text = [_aligned(HEADS, widths), "-" * (sum(widths) + 2 * len(widths) - 2)]
    for row, cells in zip(rows, lines[1:], strict=True):
        text.append(_aligned(cells, widths))
        if row.note:
            text.append(f"    {row.note}")
    return "\n".join(text)


def markdown(rows: Iterable[Row]) -> str:
    """Return the rows as a table of docs/benchmarks.md."""
    head = (*HEADS, "примечание")
    lines = [head, ("---",) * len(head), *((*_cells(row), row.note) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (row.ours_median, row.ours_p95, row.baseline_median, row.baseline_p95, row.ratio)
    met = {True: "да", False: "НЕТ", None: ""}[row.met]
    return (row.name, row.unit, *map(number, numbers), row.target, met)


def number(value: float | None) -> str:
    """Write a number with about three significant digits."""
    if value is None:
        return "–"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or size == 0 else 4
    return f"{value:.{digits}f}".replace(".", ",")


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        text.ljust(width) if i in {0, 1, 7, 8} else text.rjust(width)
        for i, (text, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded).rstrip()


# --- the files --------------------------------------------------------------------------------------------------


def write_json(path: Path, reports: Iterable[Report]) -> None:
    """Keep the reports; what an earlier run measured and this one did not stays."""
    kept = {one.measure: one for one in read_json(path)} | {one.measure: one for one in reports}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {"machine": machine(), "reports": [one.as_json() for one in kept.values()]}, ensure_ascii=False, indent=1
    )
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> list[Report]:
    """Return the kept reports; none when there is no file."""
    if not path.exists():
        return []
    return [Report.from_json(one) for one in json.loads(path.read_text(encoding="utf-8"))["reports"]]


def publish(path: Path = PUBLISHED, page: Path = PAGE) -> None:
    """Write the results section of docs/benchmarks.md from the JSON: no number there is typed by hand."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    reports = [Report.from_json(one) for one in kept["reports"]]
    head, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text(f"{head}{BEGIN}\n{_results(kept['machine'], reports)}\n{END}{tail}", encoding="utf-8")


def _results(where: dict[str, Any], reports: Sequence[Report]) -> str:
    text = [f"Машина: {_machine_said(where)}."]
    for one in reports:
        text += [
            "",
            f"### {one.measure}",
            f"{one.began}, {number(one.seconds)} с; нагрузка машины до {number(one.load_before)}, "
            f"после {number(one.load_after)}.",
            "",
            f"Не измерено: {one.error}" if one.error else markdown(one.rows),
        ]
        if one.profile:
            text += ["", "<details><summary>Где время</summary>", "", "```text", one.profile, "```", "", "</details>"]
    return "\n".join(text)
