# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a report's file in place: whole or not at all, and only when it says something new."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import stat
import tempfile
import typing as t

_OCTAL = re.compile(r"0?[0-7]{3}")


class OutputError(Exception):
    """The file cannot be written; the message names the path and what to do."""


def file_mode(value: t.Any) -> int:
    """Return permission bits from what a playbook gives: ``"0640"``, or the number that YAML reads ``0640`` as."""
    if isinstance(value, str) and _OCTAL.fullmatch(value):
        return int(value, 8)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o777:
        return value
    raise OutputError(f"mode '{value}' is not a file mode: write three octal digits in quotes, as in \"0640\"")


def located(given: str) -> pathlib.Path:
    """Return the path of a file as a person gave it."""
    return pathlib.Path(os.path.abspath(os.path.expanduser(given)))


def check(given: str) -> None:
    """Raise OutputError where no file could be written there later, and change nothing."""
    path = located(given)
    if given.endswith("/") or os.path.isdir(path):
        raise OutputError(f"the report cannot be written to {given}: it is a directory; name the file to write")
    # What is missing is made.
    above = next(parent for parent in path.parents if os.path.lexists(parent))
    if not os.path.isdir(above):
        raise OutputError(f"the report cannot be written to {path}: {above} is not a directory; name a file elsewhere")
    if not os.access(above, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise OutputError(
            f"the report cannot be written to {path}: the account that runs this may not write to {above}; name a "
            "file elsewhere"
        )
    try:
        _status(path)
    except OSError as error:
        raise OutputError(_refusal(path, error)) from error


def put(
    path: pathlib.Path, text: str, mode: int, same: t.Callable[[str, str], bool], *, dry: bool, what: str = "report"
) -> bool:
    """Make the file hold ``text`` with these permissions, unless it does already; return whether it didn't.

    same: whether an old text says the same as a new one. dry: change nothing. what: it is, for errors. A symbolic link
    in the file's place is replaced, never followed: the directory may be one that others can write to. Raises
    OutputError.
    """
    try:
        found = _status(path)
        if found is not None and stat.S_ISREG(found.st_mode) and same(_read(path), text):
            return _set_mode(path, stat.S_IMODE(found.st_mode), mode, dry=dry)
        if not dry:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(path, text, mode)
    except OSError as error:
        raise OutputError(_refusal(path, error, what)) from error
    return True


def _refusal(path: pathlib.Path, error: OSError, what: str = "report") -> str:
    return f"the {what} cannot be written to {path}: {error.strerror or error}"


def _status(path: pathlib.Path) -> os.stat_result | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
        raise OutputError(f"{path} is not a file; give the path of one that is to be written")
    return found


def _read(path: pathlib.Path) -> str:
    # Whatever else is there, it is compared, with its line ends, and then replaced.
    return path.read_bytes().decode("utf-8", errors="replace")


def _set_mode(path: pathlib.Path, before: int, mode: int, *, dry: bool) -> bool:
    if before != mode and not dry:
        path.chmod(mode)
    return before != mode


def _replace(path: pathlib.Path, text: str, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
