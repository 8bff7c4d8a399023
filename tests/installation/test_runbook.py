"""Whatever the doctor says stands in the runbook, and the doctor says it of a sick database."""

from __future__ import annotations

import re

import pytest

from include.installation.places import PROJECT
from include.ops.checks_backoffice import PARTS
from include.ops.findings import ACTIONS

pytestmark = pytest.mark.unit

LOOKS = [PROJECT / "include" / "installation" / "doctor.py", *(PROJECT / "include" / "ops").glob("*.py")]


def test_every_code_has_its_heading_and_no_heading_is_orphaned() -> None:
    text = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    assert headings == set(ACTIONS)


def test_every_finding_in_the_code_has_an_action() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in LOOKS)
    used = set(re.findall(r'finding\(\s*"(\w+)"', source)) | set(PARTS.values()) | {"step_failed", "step_marked"}
    assert used == set(ACTIONS)
