# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send what is asked of a host through the transport, with the options as a module has them."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Entry, Request
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Look

# Compiled content: it is the same for all hosts, and stays on them.
_CONTENT = "_content"
# Seconds that a look without a budget of its own has, and that any has beyond it: to wait for a lock, and to finish.
_LONGEST = 7_200
_GRACE = 600


class WrongArgumentsError(Exception):
    """The arguments do not fit the module; the message is the argument spec's."""


def look_of(name: str, request: Request, entry: Entry, diff: bool) -> Look:
    """Return what the transport takes. Raises WrongArgumentsError."""
    spec = entry.spec()
    validated = ArgumentSpecValidator(_without_paths(spec)).validate(request.arguments)
    if validated.error_messages:
        raise WrongArgumentsError("; ".join(validated.error_messages))
    params = dict(validated.validated_parameters)
    content = {_CONTENT: params.pop(_CONTENT)} if params.get(_CONTENT) is not None else {}
    budget = params.get("time_budget", _LONGEST)
    return Look(
        id=name,
        entry=entry.function,
        params=params,
        check_mode=request.check_mode,
        diff=diff,
        content=content,
        paths=paths(spec),
        # Without a budget it may take as long as all of them may.
        seconds=budget + (params.get("lock_timeout") or 0) + _GRACE if budget else 0,
    )


def paths(spec: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[list[str]]:
    """Return where an argument spec has paths: the names of the options on the way to each."""
    found = []
    for name, option in spec.items():
        if "path" in (option.get("type"), option.get("elements")):
            found.append([name])
        found += [[name, *rest] for rest in paths(option.get("options") or {})]
    return found


def _without_paths(spec: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """Return a spec that takes paths as text: a home directory is the host's, not the controller's."""
    return {name: {key: _without_path(key, value) for key, value in option.items()} for name, option in spec.items()}


def _without_path(key: str, value: t.Any) -> t.Any:
    if key == "options":
        return _without_paths(value)
    return "str" if key in ("type", "elements") and value == "path" else value
