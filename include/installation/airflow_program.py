"""Airflow's own command, whose output a full disk does not stop."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence

from include.installation.outlet import bear_a_full_disk


def main(arguments: Sequence[str]) -> None:
    """Run ``airflow`` with the arguments."""
    bear_a_full_disk()
    sys.argv = ["airflow", *arguments]
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
