"""`--otel URL`: firings as spans and the metrics of the status, sent to a collector of OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from ticktalk.cli.streams import say
from ticktalk.error_hints import wanted_by
from ticktalk.printable import without_password
from ticktalk.runtime_manager import TTRuntimeManager, TTRuntimeManagerPhysical

if TYPE_CHECKING:
    from ticktalk.otel.sending import Telemetry


def telemetry(endpoint: str, manager: TTRuntimeManager) -> Telemetry:
    """A taker of records that sends them to a collector, with the manager's status.

    Raises:
        typer.BadParameter: the endpoint is no address. TTError: the extra is not installed.
    """
    try:
        parts = urlsplit(endpoint)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.query
    except ValueError:
        known = False
    if not known:
        given = without_password(endpoint)
        raise typer.BadParameter(f"--otel {given}: give the collector's address, such as http://localhost:4318")
    with wanted_by("--otel"):
        from ticktalk.otel.sending import Telemetry
    name = manager.process.state.manager.name
    return Telemetry(endpoint, name, manager.status, say, isinstance(manager, TTRuntimeManagerPhysical))
