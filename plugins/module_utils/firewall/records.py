# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files of JSON in the state directory of a capability, which describe its rules."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import (
    DamagedError,
    NewerError,
    StateDirectory,
    StateError,
)

# Names in the state directory of each capability that has a policy: what is in force, and what is on trial.
LOCK, POLICY, PROPOSED = "lock", "policy.json", "proposed.json"
_VERSION = 1
_LONGEST = 1 << 25
_ASIDE = ".damaged"

_T = t.TypeVar("_T")


def read(
    where: StateDirectory | None, name: str, parsed: t.Callable[[t.Mapping[str, t.Any]], _T], lost: str
) -> _T | None:
    """Return what ``parsed`` makes of a file, None where there is none. Raises StateError.

    lost: what isn't known when the file is damaged, for the sentence that says so.
    """
    descriptor = where.open_file(name) if where else None
    if where is None or descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(_LONGEST + 1)
    path = os.path.join(where.path, name)
    try:
        content = json.loads(data)
        if int(content["version"]) > _VERSION:
            raise NewerError("%s was written by a newer version of the collection; use that one" % path)
        return parsed(content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedError(
            "%s is damaged, so it isn't known what %s; find out why, remove it, and set the policy again" % (path, lost)
        ) from error


def write(where: StateDirectory, name: str, content: t.Mapping[str, t.Any]) -> None:
    """Put a file in the place of the one before. Raises StateError."""
    data = json.dumps({"version": _VERSION, **content}, indent=1).encode("ascii")
    if len(data) > _LONGEST:
        # ``read`` would take it for damaged.
        raise StateError("%s would have %d bytes, and at most %d can be read" % (name, len(data), _LONGEST))
    with where.written(name) as stream:
        stream.write(data)


def damaged(reads: t.Mapping[str, t.Callable[[], object]]) -> list[str]:
    """Return which files are damaged, of those that are read so."""
    return [name for name, reading in reads.items() if _is_damaged(reading)]


def _is_damaged(reading: t.Callable[[], object]) -> bool:
    try:
        reading()
    except DamagedError:
        return True
    except StateError:
        pass  # It says so itself when the file is needed.
    return False


def together(error: DamagedError, where: StateDirectory | None, names: t.Sequence[str], lost: str) -> DamagedError:
    """Return the error that names all files that are damaged, in place of the one that was met first."""
    if where is None or len(names) < 2:
        return error
    paths = [os.path.join(where.path, name) for name in names]
    return DamagedError(
        "%s and %s are damaged, so it isn't known what %s; find out why, remove them, and set the policy again"
        % (", ".join(paths[:-1]), paths[-1], lost)
    )


def set_aside(where: StateDirectory, names: t.Sequence[str]) -> list[str]:
    """Keep damaged files under other names, for whoever looks into them; return a sentence on each. Raises StateError.

    One that was set aside before is replaced.
    """
    for name in names:
        where.rename(name, name + _ASIDE)
    paths = [os.path.join(where.path, name) for name in names]
    return ["%s was damaged, and is kept as %s%s." % (path, path, _ASIDE) for path in paths]
