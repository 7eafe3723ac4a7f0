# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of actions that work on the controller alone, with the store: no connection is made to a host."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import naming
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.actor import actor
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.known_names import UnknownNameError
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.timestamps import TimestampError
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

# Their messages are sentences for people.
_ERRORS = (StoreError, TimestampError, ContentError, UnknownNameError)

STORE_OPTION: t.Mapping[str, t.Any] = {"store": {"type": "str"}}


class StoreActionBase(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Validate the options, open the store, act, and mark what comes back as unsafe.

    An action sets ``ARGUMENTS``, what ``ArgumentSpecValidator`` takes, and ``act``. In check mode it works on a store
    that forgets everything when it is closed; with ``READS_ONLY`` on one that can't be written.
    """

    TRANSFERS_FILES = False
    READS_ONLY = False
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]]

    _requires_connection = False

    def check(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the options; raise UnknownNameError for what is wrong with them, before there is a store."""
        return options

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the result; raise AnsibleActionFail or one of _ERRORS for what can't be done."""
        raise NotImplementedError

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        with naming.in_errors(self._task):
            result.update(self._result(task_vars or {}))
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def _result(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        _validated, options = self.validate_argument_spec(**self.ARGUMENTS)
        mode: t.Literal["write", "check", "read"] = "check" if self._task.check_mode else "write"
        try:
            options = self.check(options)
            with contextlib.closing(Store.open(options["store"], mode="read" if self.READS_ONLY else mode)) as store:
                return self.act(store, options, task_vars)
        except _ERRORS as error:
            # Ansible repeats in its message that of every error which led to it; this one says it all.
            raise AnsibleActionFail(str(error)) from None


def person(task_vars: t.Mapping[str, t.Any]) -> str:
    """Return who runs this: the AWX user where there is one, otherwise the account on the controller."""
    return actor(None, task_vars).name
