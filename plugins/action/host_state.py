# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what the collection keeps on a host: the registry says which directories that are."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import boot
from ansible_collections.bulwark.servers.plugins.module_utils.host_state.options import apply_spec
from ansible_collections.bulwark.servers.plugins.module_utils.scan import kept
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import apply as simulation
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Conversation
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

# What several capabilities share, wherever their state is.
_SHARED = (boot.DIRECTORY, simulation.CAPABILITY)


class ActionModule(CapabilityActionBase):
    """Give the module the names of the directories, and let the store forget how far logs were read."""

    capability = "host_state"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": apply_spec()}

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        self._store_url: str | None = arguments.pop("store", None)
        chosen = arguments.pop("capabilities", None)
        arguments["_roots"] = _roots(chosen, arguments.pop("state_dirs", None) or {})
        return arguments

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        result = yield from super().run_module(arguments, task_vars)
        removed = result.get("removed")
        names = [entry.get("name") for entry in removed if isinstance(entry, dict)] if isinstance(removed, list) else []
        if self._task.check_mode or not names:
            return result
        host = host_name(self._task.delegate_to or task_vars["inventory_hostname"])
        try:
            notices = self._settled(host, names)
        except StoreError as error:
            notices = [f"The store still has how far the logs of this host were read, and its seals: {error}"]
        return {**result, "notices": [*notices, *(result.get("notices") or [])]}

    def _settled(self, host: str, names: t.Collection[t.Any]) -> list[str]:
        """Let the store forget what was on the host; return what is to be done by hand. Raises StoreError.

        names: of the directories that were removed.
        """
        emptied = [each.id for each in capabilities.load().values() if any(name in names for name in each.state)]
        with contextlib.closing(Store.open(self._store_url)) as store:
            store.forget_checkpoints(host, emptied)
            sealed = store.seal_names(host)
        return [
            f"The store still has the seal of the baseline '{name}' of {host}: remove it with bulwark.servers."
            f"file_integrity, baseline={name} and state=absent"
            for name in sealed
        ]


def _roots(chosen: t.Any, state_dirs: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return where state is, and of what is there which names are removed, and which are known. Raises ContentError."""
    registry = capabilities.load()
    given = registry if chosen is None else chosen.split(",") if isinstance(chosen, str) else chosen
    wanted = {str(name).strip() for name in given}
    for name in (*wanted, *state_dirs):
        if name not in registry:
            raise ContentError(f"there is no capability '{name}'; the collection has {', '.join(registry)}")
    is_all = wanted == set(registry)
    every = [name for capability in registry.values() for name in capability.state]
    roots = [{"path": None, "names": [kept.NAME] if is_all else [], "known": [*every, *_SHARED, kept.NAME]}]
    for capability in registry.values():
        removed = [*(capability.state if capability.id in wanted else ()), *(_SHARED if is_all else ())]
        # Somebody else's state may be in the default directory of a host whose state is elsewhere.
        path = state_dirs.get(capability.id) or None
        roots.append({"path": path, "names": removed, "known": [*every, *_SHARED, kept.NAME]})
    return roots
