# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the entry points of all modules share."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _crash, _imports
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# Here, as this is the first that every module imports.
_imports.compile_once()

Action = t.Callable[[t.Mapping[str, t.Any], bool], t.Dict[str, t.Any]]

# Stands among expected digests for a host that may have no baseline: its first one, or its removal, was cut off.
NO_BASELINE = "none"

# The number of -v that a traceback is shown with.
_SHOW_TRACEBACK = 3


class UsageError(Exception):
    """An option has a value that can't be used; the message names the option and what to do."""


class HostError(Exception):
    """The host can't be looked at, whatever the options are; the message says what is missing there."""


def run_module(module: AnsibleModule, action: Action) -> None:
    """Run an action with a module's options, and leave with what ``outcome`` returns for it."""
    try:
        result = outcome(action, module.params, module.check_mode, module._diff)
    except Exception as error:  # noqa: BLE001
        # Since ansible-core 2.21 the action would get no message from a module that just ends with it.
        details = {"traceback": _crash.format_traceback(error)} if module._verbosity >= _SHOW_TRACEBACK else {}
        module.fail_json(msg=_crash.describe(error), **details)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def outcome(action: Action, params: t.Mapping[str, t.Any], check_mode: bool, diff: bool) -> dict[str, t.Any]:
    """Return the result of ``action(params, check_mode)``, or ``failed`` with the sentence of the error it raised.

    An error of usage is marked with ``usage_error``, so that it can be told from a host that could not be looked at.
    A result may hold ``failed`` with ``msg``, ``diff``, which is only returned in diff mode, and ``warnings``. Those go
    to the action plugin as ``notices``: it shows them, while what a module sends as warnings is not believed.
    """
    try:
        result = action(params, check_mode)
    except UsageError as error:
        return {"failed": True, "msg": str(error), "usage_error": True}
    except (HostError, StateError) as error:
        return {"failed": True, "msg": str(error)}
    if not diff:
        result.pop("diff", None)
    if "warnings" in result and not result.get("failed"):
        result["notices"] = result.pop("warnings")
    return result


def scanning_spec() -> dict[str, dict[str, t.Any]]:
    """Return the options of every module that reads much of a host, as the shared documentation describes them."""
    return {
        "time_budget": {"type": "int", "default": 0},
        "workers": {"type": "int", "default": 2},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
    }


def sealed_spec() -> dict[str, dict[str, t.Any]]:
    """Return the options of every module whose baseline on the host is sealed by the controller.

    ``_expected_digests`` are those that the baseline may have, ``NO_BASELINE`` among them where it may be missing;
    empty when the controller holds no seal.
    """
    return {
        "baseline": {"type": "str", "default": "default"},
        "state_dir": {"type": "path"},
        "store": {"type": "str"},
        "_expected_digests": {"type": "list", "elements": "str"},
    }


def reading_spec() -> dict[str, dict[str, t.Any]]:
    """Return the options of every module that reads logs from where the last recorded run stopped.

    ``_token`` says where that was, ``_advance`` that this run is recorded, too; ``run`` and ``store`` are the action's.
    ``_simulated``: the sessions of simulated attacks that the controller recorded (``automation.simulated``).
    """
    return {
        "state_dir": {"type": "path"},
        "store": {"type": "str"},
        "run": {"type": "str"},
        "_token": {"type": "str", "no_log": False},
        "_advance": {"type": "bool", "default": False},
        "_simulated": {"type": "str", "no_log": False},
    }


def check_options(params: t.Mapping[str, t.Any], paths: t.Sequence[str], least: t.Mapping[str, int]) -> None:
    """Raise UsageError for a relative path, or a number that is too small; least: of the options that are numbers."""
    for option in paths:
        given = params[option] or []
        for value in [given] if isinstance(given, str) else given:
            if not os.path.isabs(value):
                raise UsageError("%s: '%s' is relative; give an absolute path" % (option, value))
    for option, smallest in least.items():
        if params[option] < smallest:
            raise UsageError("%s is %d; use %d or more" % (option, params[option], smallest))
