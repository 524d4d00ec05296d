"""Remedies for errors of a program's code, where Python's own words give none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ticktalk.errors import TTError

EXTRAS = {
    "distributed": "dask",
    "hypothesis": "explore",
    "lz4": "record",
    "matplotlib": "plot",
    "mcap": "record",
    "numpy": "numpy",
    "opentelemetry": "otel",
    "ortools": "optimal",
    "paho": "mqtt",
    "perfetto": "trace",
    "prometheus_client": "web",
    "psutil": "telemetry",
    "pyarrow": "parquet",
    "rosbags": "rosbag",
    "serial": "serial",
    "starlette": "web",
    "uvicorn": "web",
    "websockets": "web",
}
"""Top-level modules, and the extra of TickTalk that brings them."""


@contextmanager
def wanted_by(what: str, instead: str = "") -> Iterator[None]:
    """Import what an extra brings, for `what`, such as `--plot`; `instead`: another way, for the message.

    Raises:
        TTError: it is not installed, or cannot be imported.
    """
    try:
        yield
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        if module in ("", "ticktalk"):
            raise  # a defect of ours
        broken = "" if isinstance(error, ModuleNotFoundError) else f", which cannot be imported ({error})"
        # What an extra brings may lack something itself.
        remedy = f"pip install 'ticktalk[{EXTRAS[module]}]'" if module in EXTRAS else "install the package that has it"
        raise TTError(f"{what} needs {module}{broken}: {remedy}{instead}") from None


def told(error: BaseException) -> str:
    """The text of an error that a statement raised, with the remedy."""
    return f"{type(error).__name__}: {error}{hint(error)}"


def hint(error: BaseException) -> str:
    """The remedy for an error, after a semicolon; "" if Python has said it all."""
    text = ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        text = f"install what has it there, or lay {top!r} beside the program"
        if top in EXTRAS:
            text = f"install it there: pip install 'ticktalk[{EXTRAS[top]}]'"
    elif isinstance(error, ImportError) and "relative import" in str(error):
        text = "the program is in no package: write the import without its leading dots"
    elif isinstance(error, UnboundLocalError):
        text = "bind it above; what is kept for the next firing is in `sq_state`"
    elif isinstance(error, ValueError) and str(error).endswith(" is read-only"):  # of NumPy
        text = "other SQs may have it, too: change a copy, `a.copy()`"
    return text and f"; {text}"
