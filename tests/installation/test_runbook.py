"""Whatever the doctor says stands in the runbook, and the doctor says it of a sick database."""

from __future__ import annotations

import re

import pytest

from include.installation import doctor
from include.installation.places import PROJECT

pytestmark = pytest.mark.unit


def test_every_code_has_its_heading_and_no_heading_is_orphaned() -> None:
    text = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    assert headings == set(doctor.ACTIONS)


def test_every_finding_in_the_code_has_an_action() -> None:
    source = (PROJECT / "include" / "installation" / "doctor.py").read_text(encoding="utf-8")
    used = set(re.findall(r'finding\(\s*"(\w+)"', source)) | set(doctor.PARTS.values())
    assert used == set(doctor.ACTIONS)
