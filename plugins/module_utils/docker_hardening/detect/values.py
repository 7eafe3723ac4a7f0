# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read values of the API's answers: each has the type that it must have, or is not known.

An engine that is older or newer, or no engine at all, may answer with anything. A missing value is not an empty one.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Json

_ABSENT = object()


class UnknownError(Exception):
    """Why something can't be judged, as the end of a sentence."""


def text(source: Json, path: str, default: str | None = None) -> str:
    """Return a string. path: keys, joined by dots. default: of one that the engine may leave out."""
    return t.cast(str, _typed(source, path, str, "text", _ABSENT if default is None else default))


def number(source: Json, path: str, null: int | None = None) -> int:
    """Return an integer. null: what ``null`` means."""
    return t.cast(int, _typed(source, path, int, "a number", null=null))


def flag(source: Json, path: str) -> bool:
    return t.cast(bool, _typed(source, path, bool, "a truth value"))


def mapping(source: Json, path: str, may_miss: bool = False) -> Json:
    """Return an object; ``null`` is an empty one, and so is a missing one that may miss."""
    return t.cast(Json, _typed(source, path, dict, "an object", {} if may_miss else _ABSENT, {}))


def array(source: Json, path: str, may_miss: bool = False) -> t.Sequence[t.Any]:
    """Return a list; ``null`` is an empty one, and so is a missing one that may miss."""
    return t.cast("t.Sequence[t.Any]", _typed(source, path, list, "a list", [] if may_miss else _ABSENT, []))


def texts(source: Json, path: str, may_miss: bool = False) -> t.Sequence[str]:
    return t.cast("t.Sequence[str]", _all(array(source, path, may_miss), path, str, "text"))


def mappings(source: Json, path: str, may_miss: bool = False) -> t.Sequence[Json]:
    return t.cast("t.Sequence[Json]", _all(array(source, path, may_miss), path, dict, "an object"))


def _all(values: t.Sequence[t.Any], path: str, kind: type, expected: str) -> t.Sequence[t.Any]:
    if not all(isinstance(value, kind) for value in values):
        raise UnknownError(f"something in the engine's {path} is not {expected}")
    return values


def _typed(source: t.Any, path: str, kind: type, expected: str, default: t.Any = _ABSENT, null: t.Any = None) -> t.Any:
    *above, last = path.split(".")
    for key in above:
        if not isinstance(source, dict) or key not in source:
            raise UnknownError(f"the engine does not say {path}")
        source = source[key]
    value = source.get(last, default) if isinstance(source, dict) else _ABSENT
    if value is _ABSENT:
        raise UnknownError(f"the engine does not say {path}")
    if value is None and null is not None:
        return null
    # True is an integer to Python alone.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UnknownError(f"the engine's {path} is not {expected}")
    return value
