# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of a module that keeps a baseline on the host, whose seal is in the store.

The seal is the digest of the baseline. Both must change together although either side can fail at any time. So the
host first stages a new baseline next to the old one, and the store takes its digest as a proposal. Then the new
baseline replaces the old one, and the proposal becomes the seal. Whenever a run is cut off, the baseline on the host
matches the seal or the proposal. "No baseline" is such a state, too: before the first one, and after its removal was
proposed.
"""

from __future__ import annotations

import contextlib
import re
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import NO_BASELINE
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Conversation
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Accepted, Store, StoreError

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BaselineActionBase(CapabilityActionBase):
    """Give the module the digests that its baseline may have, and change baseline and seal together.

    A subclass that calls ``replace_baseline`` overrides ``seal_reason`` and, where a person can accept changes,
    ``accepted_changes``.
    """

    def seal_reason(
        self, store: Store, host: str, arguments: t.Mapping[str, t.Any], staged: t.Mapping[str, t.Any]
    ) -> str:
        """Return why the baseline is sealed, for the history of the seal. staged: the module's result."""
        raise NotImplementedError

    def accepted_changes(self, arguments: t.Mapping[str, t.Any], staged: t.Mapping[str, t.Any]) -> Accepted | None:
        """Return the changes that come into the baseline because a person accepted them."""
        return None

    def commit_arguments(self, arguments: t.Mapping[str, t.Any], staged: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Return further arguments for replacing the old baseline by the one that is staged."""
        return {}

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        self._store_url: str | None = arguments.pop("store", None)
        self.baseline: str = arguments.get("baseline") or "default"
        return arguments

    def execute(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        host = self.host(task_vars).name
        expected = self._expected(host)
        result = yield from super().execute({**arguments, "_expected_digests": expected}, task_vars)
        while expected and _digest_of(result) not in (None, *expected):
            # Another run may have changed the baseline in the meantime, which is no tampering.
            before, expected = expected, self._expected(host)
            if expected == before:
                break
            result = yield from super().execute({**arguments, "_expected_digests": expected}, task_vars)
        # The controller was cut off between the host's change and its own; the next proposal must not replace this one.
        if _digest_of(result) in expected[1:] and not self._task.check_mode:
            try:
                self._settle(host, expected[1])
            except AnsibleActionFail as error:
                # The module's result is valid all the same, and the next run settles what this one could not.
                return _with_notice(
                    result, f"the seal is still the one before, for the next run to settle: {error.message}"
                )
        return result

    def replace_baseline(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], by: str, reason: str | None
    ) -> Conversation:
        """Stage the new baseline on the host, propose its digest to the store, and replace the old baseline.

        by: who does this. reason: why, for the history of the seal; None for ``seal_reason``.
        """
        staged = yield from self.execute({**arguments, "_phase": "stage"}, task_vars)
        digest = staged.get("staged_digest")
        if staged.get("failed") or staged.get("unreachable") or not digest:
            return staged
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            # It would become the seal: above all the host must not propose that there is no baseline.
            raise AnsibleActionFail("the host returned a staged digest that is not a SHA-256; it cannot be trusted")
        host = self.host(task_vars).name
        with self.open_store() as store:
            why = reason or self.seal_reason(store, host, arguments, staged)
            accepted = self.accepted_changes(arguments, staged)
            store.propose_seal(host, self.baseline, digest, by=by, reason=why, accepted=accepted, now=time.time())
        asked = {**arguments, "_phase": "commit", "_digest": digest, **self.commit_arguments(arguments, staged)}
        committed = yield from self.execute(asked, task_vars)
        if committed.get("failed") or committed.get("unreachable"):
            return committed
        self._settle(host, digest)
        return {**staged, **committed}

    def forget_baseline(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], by: str, reason: str
    ) -> Conversation:
        """Propose to the store that there is no baseline, remove it from the host, and then the seal."""
        host = self.host(task_vars).name
        if not self._task.check_mode:
            with self.open_store() as store:
                if store.seal(host, self.baseline):
                    store.propose_seal(host, self.baseline, NO_BASELINE, by=by, reason=reason, now=time.time())
        # The proposal is settled once the host shows it.
        return (yield from self.execute(arguments, task_vars))

    def _expected(self, host: str) -> list[str]:
        with self.open_store() as store:
            return store.expected_digests(host, self.baseline)

    def _settle(self, host: str, digest: str) -> None:
        with self.open_store() as store:
            store.confirm_seal(host, self.baseline, digest, now=time.time())

    def host(self, task_vars: dict[str, t.Any]) -> events.Device:
        return events.Device.from_vars(self.host_vars(task_vars))

    @contextlib.contextmanager
    def open_store(self) -> t.Iterator[Store]:
        try:
            mode: t.Literal["write", "check"] = "check" if self._task.check_mode else "write"
            with contextlib.closing(Store.open(self._store_url, mode=mode)) as store:
                yield store
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from None


def _with_notice(result: dict[str, t.Any], notice: str) -> dict[str, t.Any]:
    """Return a module's result with a warning of the controller."""
    notices = result.get("notices")
    return {**result, "notices": [notice, *(notices if isinstance(notices, list) else [])]}


def _digest_of(result: t.Mapping[str, t.Any]) -> str | None:
    """Return the digest of the baseline that a module read or made, NO_BASELINE where there is none."""
    baseline = result.get("baseline")
    if result.get("failed") or not isinstance(baseline, dict):
        return None
    return NO_BASELINE if baseline.get("exists") is False else baseline.get("digest")
