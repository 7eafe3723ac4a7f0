# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name variables in place of a module's options in the messages of this collection's own tasks.

A user sets ``jit_source``, and the playbook passes it on as ``source``. The task has the variable of each option.
"""

from __future__ import annotations

import contextlib
import functools
import re
import types
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils import failure_reasons

_OWN_TASKS = "ansible_collections/bulwark/servers/"
# The first variable of a template, but not a function.
_VARIABLE = re.compile(r"\{\{-?\s*\(*([A-Za-z_]\w*)\b(?!\s*\()")

Aliases = t.Mapping[str, str]
_NO_ALIASES: Aliases = types.MappingProxyType({})


def variables(task: t.Any, aliases: Aliases = _NO_ALIASES) -> dict[str, str]:
    """Return the variables that hold the options of a task of this collection, by option; empty for other tasks.

    aliases: other names of options in messages, with the option that each means.
    """
    if _OWN_TASKS not in str(task.get_path() or ""):
        return {}
    options = (task.get_ds() or {}).get(task.action)
    named = {}
    for option, value in options.items() if isinstance(options, dict) else ():
        match = _VARIABLE.search(value) if isinstance(value, str) else None
        if match:
            named[str(option)] = match.group(1)
    return {**named, **{alias: named[option] for alias, option in aliases.items() if option in named}}


def in_result(task: t.Any, result: dict[str, t.Any], aliases: Aliases = _NO_ALIASES) -> dict[str, t.Any]:
    """Return a task's result with variables in its warnings, and in its message if it failed."""
    names = variables(task, aliases) if result.get("failed") or result.get("warnings") else {}
    if not names:
        return result
    renamed = dict(result)
    if isinstance(result.get("msg"), str) and result.get("failed"):
        renamed["msg"] = failure_reasons.renamed(result["msg"], names)
    if isinstance(result.get("warnings"), list):
        renamed["warnings"] = [failure_reasons.renamed(str(warning), names) for warning in result["warnings"]]
    return renamed


@contextlib.contextmanager
def in_errors(task: t.Any, aliases: Aliases = _NO_ALIASES) -> t.Iterator[None]:
    """Raise an AnsibleActionFail of the block again, with variables in its message."""
    try:
        yield
    except AnsibleActionFail as error:
        message = failure_reasons.renamed(error.message, variables(task, aliases))
        if message == error.message:
            raise
        raise AnsibleActionFail(message, result=error.result) from None


_Run = t.Callable[..., dict[str, t.Any]]


def names_variables(run: _Run) -> _Run:
    """Decorate the method ``run`` of an action so that the messages of its failures name variables."""

    @functools.wraps(run)
    def wrapped(self: t.Any, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        with in_errors(self._task):
            return in_result(self._task, run(self, tmp, task_vars))

    return wrapped
