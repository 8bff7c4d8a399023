"""Masks every line that a program of Airflow's logs, ours and Airflow's alike, just before it is written.

Airflow writes through structlog (its own loggers) and through one formatter for all others; both end in a renderer,
and a traceback is only made there. So the renderers are wrapped: values are masked before, the finished text after.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter

from include.shared.masking import masked, masked_value, names_of_query


def install() -> None:
    """Mask what this process logs from now on; doing it again changes nothing."""
    processors = structlog.get_config()["processors"]
    if isinstance(processors, list) and processors:  # changed in place: loggers that exist hold this very list
        processors[-1] = _masking(processors[-1])
    handlers = [*logging.getLogger().handlers, *(one for each in _loggers() for one in each.handlers)]
    for formatter in {id(one.formatter): one.formatter for one in handlers if one.formatter is not None}.values():
        if isinstance(formatter, ProcessorFormatter):
            formatter.processors = (*formatter.processors[:-1], _masking(formatter.processors[-1]))
    for handler in handlers:
        if not isinstance(handler.formatter, ProcessorFormatter) and not isinstance(handler.formatter, _Masked):
            handler.setFormatter(_Masked(handler.formatter or logging.Formatter()))


class Renderer:
    """A renderer of log lines whose lines are masked."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, logger: Any, name: str, event: Any) -> Any:
        """Render one line."""
        values: dict[str, Any] = dict(event) if isinstance(event, Mapping) else {}
        if "path" in values and isinstance(values.get("query"), str):  # a line of the access log
            values["query"] = names_of_query(values["query"])
        kept = {key: values.pop(key) for key in ("exc_info", "_record", "_from_structlog") if key in values}
        made = self.inner(logger, name, {**masked_value(values), **kept})
        return masked(made) if isinstance(made, str) else made  # as bytes it is JSON, whose values are masked


class _Masked(logging.Formatter):
    """A formatter of the standard library whose lines are masked."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        return masked(self.inner.format(record))


def _masking(renderer: Any) -> Any:
    return renderer if isinstance(renderer, Renderer) else Renderer(renderer)


def _loggers() -> list[logging.Logger]:
    known = logging.getLogger().manager.loggerDict.values()
    return [one for one in known if isinstance(one, logging.Logger)]
