"""`python -m include.reference`: the last step of a migration."""

from __future__ import annotations

import sys

from include.reference.services import load_reference
from include.shared.errors import BackofficeError
from include.shared.work import Actor, transaction


def main() -> int:
    """Load the reference data and say what was added."""
    try:
        with transaction(Actor(kind="system")) as work:
            added = load_reference(work)
    except (BackofficeError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"Справочники: добавлено строк – {added}.\n" if added else "Справочники на месте.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
