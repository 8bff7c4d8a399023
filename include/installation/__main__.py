"""The commands behind the Makefile: `python -m include.installation up|down|reset|…`."""

import sys

from include.installation.commands import main

sys.exit(main(sys.argv[1:]))
