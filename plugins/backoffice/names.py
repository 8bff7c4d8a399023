"""How runs are named: the relay begins a run's id with the key of its case (``deal-42-visit-417``)."""

from __future__ import annotations

import re

CASE_KEY = re.compile(r"^([a-z_]+-\d+)-")
