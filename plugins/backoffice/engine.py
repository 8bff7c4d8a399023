"""The engine of processes, a program of its own: relay, hub and reconciler (``python -m backoffice.engine``).

Any number may run at once, on any machines; pages do not slow it and it does not slow pages (docs/adr/0010).
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal

log = logging.getLogger("backoffice.engine")

PARTS = ("backoffice.relay", "backoffice.hub", "backoffice.reconciler", "backoffice.retention", "backoffice.metrics")
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


async def keep_running(module: str) -> None:
    """Run a part of the engine until cancelled; one that dies is started again."""
    pause = FIRST_PAUSE
    while True:
        begun = asyncio.get_running_loop().time()
        try:
            await importlib.import_module(module).run_forever()
            log.error("%s кончился сам, начинаю его снова", module)
        except Exception:
            log.exception("%s упал, начинаю его снова", module)
        lived = asyncio.get_running_loop().time() - begun
        pause = FIRST_PAUSE if lived > 60 else min(pause * 2, LONGEST_PAUSE)
        await asyncio.sleep(pause)


async def run() -> None:
    """Run all parts until the program is told to stop."""
    parts = [asyncio.create_task(keep_running(name), name=name) for name in PARTS]
    stopping = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stopping.set)
    await stopping.wait()
    for part in parts:
        part.cancel()
    await asyncio.gather(*parts, return_exceptions=True)


def main() -> None:
    """Set Airflow up as one of its server programs does, then run."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    from airflow import settings  # noqa: PLC0415 - its import reads the environment

    settings.initialize()  # type: ignore[no-untyped-call]
    from backoffice import masking  # noqa: PLC0415 - it masks what Airflow has just set up

    masking.install()
    asyncio.run(run())


if __name__ == "__main__":
    main()
