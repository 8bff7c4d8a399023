"""Installations for these tests: each in a folder and on ports of its own, gone when the test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.installation.airflow_settings import SIMPLE_AUTH_MANAGER
from include.installation.installation import Installation, free_port

NewInstallation = Callable[..., Installation]


@pytest.fixture
def new_installation(tmp_path: Path) -> Iterator[NewInstallation]:
    made: list[Installation] = []

    def make(name: str = "home", **options: object) -> Installation:
        options = {"port": free_port(), "auth_manager": SIMPLE_AUTH_MANAGER} | options
        made.append(Installation(tmp_path / name, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.stop()
