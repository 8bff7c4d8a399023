"""Small files of 1C of our own making, for the tests of the reader."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from include.exchange_1c.reader import CommerceFile
from include.exchange_1c.records import Limits, Record, Reject, Remark

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "samples" / "commerceml"
NO_SAMPLES = "нет папки с образцами выгрузок ../shared/samples/commerceml"

Kind = TypeVar("Kind")


def whole(inner: str, *, root: str = 'ВерсияСхемы="2.10"', declared: str = "UTF-8") -> str:
    """Return a file with this inside its root."""
    return (
        f'<?xml version="1.0" encoding="{declared}"?>\n<КоммерческаяИнформация {root}>{inner}</КоммерческаяИнформация>'
    )


def offers(inner: str, before: str = "") -> str:
    """Return a file of offers."""
    return whole(f"<ПакетПредложений>{before}<Предложения>{inner}</Предложения></ПакетПредложений>")


def classifier(inner: str) -> str:
    """Return a file with a classifier only."""
    return whole(f"<Классификатор><Ид>k</Ид>{inner}</Классификатор>")


def read_all(path: Path, body: str | bytes, limits: Limits | None = None) -> list[Record]:
    """Write the file and return everything that is in it."""
    file = path / "file.xml"
    file.write_bytes(body if isinstance(body, bytes) else body.encode())
    return list(CommerceFile(file, limits, everything=True).records())


def of_kind(records: list[Record], kind: type[Kind]) -> list[Kind]:
    """Return the records of one kind."""
    return [record for record in records if isinstance(record, kind)]


def remarks(records: list[Record]) -> list[str]:
    """Return the words of the remarks."""
    return [record.text for record in of_kind(records, Remark)]


def rejects(records: list[Record]) -> list[tuple[str, str]]:
    """Return what was refused and why."""
    return [(record.entity, record.reason) for record in of_kind(records, Reject)]
