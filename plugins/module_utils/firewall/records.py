# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is noted on the host beside the rules: small files of JSON in the state directory of a capability."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, NewerError, StateDirectory

_VERSION = 1
_LONGEST = 1 << 25

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
            "%s is damaged, so it isn't known what %s; look into it, remove it, and set the policy again" % (path, lost)
        ) from error


def write(where: StateDirectory, name: str, content: t.Mapping[str, t.Any]) -> None:
    """Put a file in the place of the one before. Raises StateError."""
    with where.written(name) as stream:
        stream.write(json.dumps({"version": _VERSION, **content}, indent=1).encode("ascii"))
