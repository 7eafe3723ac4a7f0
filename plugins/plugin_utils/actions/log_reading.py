# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of a module that reads logs from where the last recorded run stopped (module_utils/_checkpoint.py).

Only what is recorded was read: with ``run`` the module is told how far the store knows its host's logs, and returns how
far it read now, which ``findings`` keeps together with what was found. Without a run, and in check mode, the same is
read and nothing goes on.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.capability import CapabilityActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError


class ReadingActionBase(CapabilityActionBase):
    """Fill in ``_token`` and ``_advance``, and keep ``run`` and ``store`` on the controller.

    An action of it sets ``READER``, the name of its module's checkpoint.
    """

    READER: t.ClassVar[str]

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        self._store_url: str | None = arguments.pop("store", None)
        self._run: str | None = arguments.pop("run", None)
        return arguments

    def execute(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if self._run:
            host = events.Host.from_vars(self.host_vars(task_vars)).name
            token = self._token(host)
            arguments = {**arguments, "_advance": True, **({"_token": token} if token else {})}
        return super().execute(arguments, task_vars)

    def _token(self, host: str) -> str | None:
        mode: t.Literal["write", "check"] = "check" if self._task.check_mode else "write"
        try:
            with contextlib.closing(Store.open(self._store_url, mode=mode)) as store:
                return store.checkpoint(host, self.READER)
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from None
