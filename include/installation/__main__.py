"""The commands behind the Makefile: `python -m include.installation up|down|reset|migrate|doctor|supervise`."""

import sys

from include.installation.commands import main

sys.exit(main(sys.argv[1:]))
