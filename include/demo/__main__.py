"""`python -m include.demo` loads the demo company, `… start` moves it, `… summary` tells about it."""

from __future__ import annotations

import sys

from include.demo.company import prepare
from include.demo.start import start
from include.demo.summary import summary
from include.shared.errors import BackofficeError


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Do what the first word asks for; 0 when it succeeded."""
    try:
        match arguments:
            case []:
                for line in prepare():
                    say(line)
            case ["start"]:
                start(say)
            case ["summary"]:
                say(summary())
            case _:
                sys.stderr.write("python -m include.demo [start | summary]\n")
                return 2
    except (BackofficeError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
