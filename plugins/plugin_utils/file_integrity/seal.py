# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller knows of a host's baseline: the seal, and the two-phase change of both.

The baseline is on the host and its digest, the seal, in the store. Both must change together although
either side can fail at any moment. So a new baseline is first staged beside the old one, its digest
noted in the store as proposed; then it takes the old one's place, and the proposal becomes the seal.
Wherever that is cut off, the baseline on the host matches the seal or the proposal. That there is no baseline
is such a state, too: before the first one, and once removing it was proposed.
"""

from __future__ import annotations

import contextlib
import re
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import NO_BASELINE
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.watches import Difference
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.capability import CapabilityActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import accepted
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

_DIGEST = re.compile(r"[0-9a-f]{64}")
# Of the names that a host says its baseline had, for the history of seals.
_MOST_REMOVED = 100
_LONGEST_NAME = 100


class SealedActionBase(CapabilityActionBase):
    """An action whose module keeps a sealed baseline on the host."""

    capability = "file_integrity"

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        self._store_url: str | None = arguments.pop("store", None)
        self._baseline: str = arguments.get("baseline") or "default"
        return arguments

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return [watch["name"] for watch in arguments.get("watches") or ()]

    def execute(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        host = self.host(task_vars).name
        expected = self._expected(host)
        result = super().execute({**arguments, "_expected_digests": expected}, task_vars)
        while expected and _found(result) not in (None, *expected):
            # Another run may have changed the baseline while the module was on its way, which is no tampering.
            before, expected = expected, self._expected(host)
            if expected == before:
                break
            result = super().execute({**arguments, "_expected_digests": expected}, task_vars)
        # The controller was cut off between the host's change and its own; the next proposal must not forget this one.
        if _found(result) in expected[1:] and not self._task.check_mode:
            try:
                self._settle(host, expected[1])
            except AnsibleActionFail as error:
                # What the module found is true all the same, and the next run settles what this one could not.
                return _noticed(
                    result, f"the seal is still the one before, for the next run to settle: {error.message}"
                )
        return result

    def replace_baseline(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], by: str, reason: str | None
    ) -> dict[str, t.Any]:
        """Stage the new baseline on the host, note its digest in the store, and let it take the old one's place.

        reason: why, for the history of the seal; None to say what is done.
        """
        staged = self.execute({**arguments, "_phase": "stage"}, task_vars)
        digest = staged.get("staged_digest")
        if staged.get("failed") or staged.get("unreachable") or not digest:
            return staged
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            # It would become the seal: above all the host must not propose that there is no baseline.
            raise AnsibleActionFail("the host answered with a staged digest that is no SHA-256; it cannot be trusted")
        host = self.host(task_vars).name
        with self.open_store() as store:
            why = reason or _what_is_done(store, host, self._baseline, arguments, staged)
            taken = accepted.read(self.capability, staged) if arguments.get("accept") else None
            store.propose_seal(host, self._baseline, digest, by=by, reason=why, accepted=taken, now=time.time())
        committed = self.execute({**arguments, "_phase": "commit", "_digest": digest}, task_vars)
        if committed.get("failed") or committed.get("unreachable"):
            return committed
        self._settle(host, digest)
        return {**staged, **committed}

    def forget_baseline(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], by: str, reason: str
    ) -> dict[str, t.Any]:
        """Note in the store that the baseline may go, remove it from the host, and then the seal."""
        host = self.host(task_vars).name
        if not self._task.check_mode:
            with self.open_store() as store:
                if store.seal(host, self._baseline):
                    store.propose_seal(host, self._baseline, NO_BASELINE, by=by, reason=reason, now=time.time())
        # What was proposed is settled once the host shows it.
        return self.execute(arguments, task_vars)

    def _expected(self, host: str) -> list[str]:
        with self.open_store() as store:
            return store.expected_digests(host, self._baseline)

    def _settle(self, host: str, digest: str) -> None:
        with self.open_store() as store:
            store.confirm_seal(host, self._baseline, digest, now=time.time())

    def host(self, task_vars: dict[str, t.Any]) -> events.Host:
        return events.Host.from_vars(self.host_vars(task_vars))

    @contextlib.contextmanager
    def open_store(self) -> t.Iterator[Store]:
        try:
            mode: t.Literal["write", "check"] = "check" if self._task.check_mode else "write"
            with contextlib.closing(Store.open(self._store_url, mode=mode)) as store:
                yield store
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from None


def _what_is_done(
    store: Store, host: str, baseline: str, arguments: t.Mapping[str, t.Any], staged: t.Mapping[str, t.Any]
) -> str:
    """Return what is sealed, as far as the controller knows it itself; of the host's answer only names of watches."""
    expected = store.expected_digests(host, baseline)
    if not expected or (NO_BASELINE in expected and staged.get("created") is True):
        before = {entry.action for entry in store.seal_history(host, baseline)}
        return "Baseline taken anew." if before & {"confirmed", "removed"} else "First baseline."
    asked = [watch["name"] for watch in arguments.get("watches") or ()]
    told = {kind: staged.get(f"watches_{kind}") for kind in Difference._fields}
    names = {kind: value if isinstance(value, list) else [] for kind, value in told.items()}
    return Difference(
        added=tuple(name for name in asked if name in names["added"]),
        removed=tuple(_shown(name) for name in names["removed"][:_MOST_REMOVED] if name not in asked),
        changed=tuple(name for name in asked if name in names["changed"]),
    ).sentence()


def _shown(name: t.Any) -> str:
    return visible(name, _LONGEST_NAME)


def _noticed(result: dict[str, t.Any], sentence: str) -> dict[str, t.Any]:
    """Return a module's result with a warning of the controller's."""
    notices = result.get("notices")
    return {**result, "notices": [sentence, *(notices if isinstance(notices, list) else [])]}


def _found(result: t.Mapping[str, t.Any]) -> str | None:
    """Return the digest of the baseline that a module found or made, or that there is none."""
    baseline = result.get("baseline")
    if result.get("failed") or not isinstance(baseline, dict):
        return None
    return NO_BASELINE if baseline.get("exists") is False else baseline.get("digest")
