# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller knows of a host's baseline: the seal, and the two-phase change of both.

The baseline is on the host and its digest, the seal, in the store. Both must change together although
either side can fail at any moment. So a new baseline is first staged beside the old one, its digest
noted in the store as proposed; then it takes the old one's place, and the proposal becomes the seal.
Wherever that is cut off, the baseline on the host matches the seal or the proposal.
"""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils import ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.action import CapabilityActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError


class SealedActionBase(CapabilityActionBase):
    """An action whose module keeps a sealed baseline on the host."""

    capability = "file_integrity"

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        self._store_url: str | None = arguments.pop("store", None)
        self._baseline: str = arguments.get("baseline") or "default"
        return arguments

    def execute(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        host = self.host(task_vars).name
        with self.open_store() as store:
            expected = store.expected_digests(host, self._baseline)
        result = super().execute({**arguments, "_expected_digests": expected}, task_vars)
        found = result["baseline"].get("digest") if isinstance(result.get("baseline"), dict) else None
        # The controller was cut off between the host's change and its own; the next proposal must not forget this one.
        if found in expected[1:] and not result.get("failed"):
            with self.open_store() as store:
                store.confirm_seal(host, self._baseline, found, now=time.time())
        return result

    def replace_baseline(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], by: str, reason: str
    ) -> dict[str, t.Any]:
        """Stage the new baseline on the host, note its digest in the store, and let it take the old one's place."""
        staged = self.execute({**arguments, "_phase": "stage"}, task_vars)
        digest = staged.get("staged_digest")
        if staged.get("failed") or staged.get("unreachable") or not digest:
            return staged
        host = self.host(task_vars).name
        with self.open_store() as store:
            store.propose_seal(host, self._baseline, digest, by=by, reason=reason, now=time.time())
        committed = self.execute({**arguments, "_phase": "commit", "_digest": digest}, task_vars)
        if committed.get("failed") or committed.get("unreachable"):
            return committed
        with self.open_store() as store:
            store.confirm_seal(host, self._baseline, digest, now=time.time())
        return {**staged, **committed}

    def forget_baseline(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], by: str, reason: str | None
    ) -> dict[str, t.Any]:
        """Remove the baseline from the host, then its seal from the store."""
        removed = self.execute(arguments, task_vars)
        if not removed.get("failed") and not removed.get("unreachable") and not self._task.check_mode:
            with self.open_store() as store:
                store.remove_seal(self.host(task_vars).name, self._baseline, by=by, reason=reason, now=time.time())
        return removed

    def host(self, task_vars: dict[str, t.Any]) -> ocsf.Host:
        return ocsf.Host.from_vars(self.host_vars(task_vars))

    @contextlib.contextmanager
    def open_store(self) -> t.Iterator[Store]:
        try:
            with contextlib.closing(Store.open(self._store_url)) as store:
                yield store
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from error
