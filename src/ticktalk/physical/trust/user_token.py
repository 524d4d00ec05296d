"""The token of a user on this host: what proves, on loopback and without credentials, to be of the same user.

It is a file that only the user can read, made once. So a manager and the ensembles and commands of one user find it by
themselves, also after any of them was restarted.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ticktalk.errors import TTError

LENGTH = 32
"""Bytes of a token."""


def new_token() -> bytes:
    """A token that nobody knows yet."""
    return os.urandom(LENGTH)


def own_token(folder: Path | None = None) -> bytes:
    """The token of this user; it is made if there is none.

    Args:
        folder: where the file is; default: the folder of this user for the time that the host runs.

    Raises:
        TTError: the file cannot be made or read, or others could have read it.
    """
    folder = folder or _folder()
    path = folder / "token"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _check(folder)
        if not path.exists():
            _make(path)
        _check(path)
        token = path.read_bytes()
    except OSError as error:
        raise TTError(f"{error.filename or path}: the token of this user cannot be used: {error.strerror}") from None
    if len(token) != LENGTH:
        raise TTError(f"{path}: the token of this user is damaged: delete the file, and start all again")
    return token


def _folder() -> Path:
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    home = Path(given) if given else Path(f"/run/user/{os.getuid()}")
    if home.is_dir() and home.stat().st_uid == os.getuid() and os.access(home, os.W_OK):
        return home / "ticktalk"
    return Path(f"/tmp/ticktalk-{os.getuid()}")


def _make(path: Path) -> None:
    """Put a whole file in place, unless another process was faster."""
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(new_token())
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(name)


def _check(path: Path) -> None:
    found = path.lstat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077 or stat.S_ISLNK(found.st_mode):
        raise TTError(
            f"{path}: other users of this host can use it, so it keeps no secret: delete it (or have its owner do so),"
            " and start all again; or use credentials (`ticktalk keys init`)"
        )
