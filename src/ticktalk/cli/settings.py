"""Settings that need not be given each time: from the environment, or from a file.

`TICKTALK_MANAGER` and `TICKTALK_CREDENTIALS` stand for `--manager` and `--credentials` of commands that ask a manager.
Where they are not set, `ticktalk.toml` in the current folder sets them, or else `~/.config/ticktalk/config.toml`.
"""

from __future__ import annotations

import os
from pathlib import Path

from ticktalk.errors import TTError

VARIABLES = {"manager": "TICKTALK_MANAGER", "credentials": "TICKTALK_CREDENTIALS"}
"""By key in a file."""

HERE = "ticktalk.toml"


def read_settings() -> None:
    """Set the variables of the environment that a file sets, and that are not set yet.

    Raises:
        TTError: the file cannot be read, or has something else in it; the message says what.
    """
    try:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "ticktalk" / "config.toml"
    except RuntimeError:  # there is no home
        home = Path(HERE)
    path = next((path for path in (Path(HERE), home) if os.path.isfile(path)), None)  # False where it may not look
    if path is None:
        return
    import tomllib  # loaded where there is a file only

    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TTError(f"{path}: the settings cannot be read: {error}") from None
    for key, value in found.items():
        if key not in VARIABLES:
            raise TTError(f"{path}: there is no setting {key!r}; there are: {', '.join(VARIABLES)}")
        if not isinstance(value, str):
            raise TTError(f'{path}: {key} is a text: write {key} = "..."')
        if key == "credentials":
            value = str(path.parent / os.path.expanduser(value))  # leaves an unknown ~NAME as it is
        os.environ.setdefault(VARIABLES[key], value)
