"""The queues of the workers: a long exchange of files must not keep a short step waiting (docs/scaling.md).

LocalExecutor of one machine knows no queues; docker-compose.yaml has workers for each.
"""

from __future__ import annotations

SHORT = "default"
#: Files, documents, mail, HTTP: minutes of waiting for something outside.
HEAVY_IO = "io"
QUEUES = frozenset({SHORT, HEAVY_IO})
