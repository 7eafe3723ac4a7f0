# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The explainers that a run of audit_events_info asks."""

from __future__ import annotations

import functools
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.explain.model import (
    PACKAGE,
    Explainer,
    Explanation,
)

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.verdicts import About


def explainers_of(params: t.Mapping[str, t.Any]) -> list[Explainer]:
    """Return the explainers of a run with the options of the module, in the order in which they are asked.

    Raises UsageError for an option that can't be used.
    """
    # Only tests name another root.
    root = params.get("_root") or ""
    found: list[Explainer] = []
    accounts = params.get("automation_users") or ()
    # Each takes long to load, and most looks need none of them.
    if accounts:
        from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.explain import controller, listeners
        from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.explain.sessions import Sessions

        try:
            networks = controller.networks(params.get("automation_addresses") or (), accounts)
        except ValueError as error:
            raise UsageError("automation_addresses: %s" % error) from error
        found.append(Sessions(accounts, networks, listeners.running(root)))
    names = params.get("automation_units") or ()
    if names:
        from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.explain import units

        found.append(units.Units(functools.partial(units.running, names)))
    found.append(_Packages(os.fsencode(root or "/")))
    return found


class _Packages(Explainer):
    """Explains hits by packages of the host; what that takes is loaded for the first one."""

    name = "packages"
    kind = PACKAGE

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._explainer: Explainer | None = None

    def explain(self, about: About, view: t.Mapping[str, t.Any]) -> Explanation | None:
        if self._explainer is None:
            from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.explain.packages import (
                PackageExplainer,
            )

            self._explainer = PackageExplainer(self._root)
        return self._explainer.explain(about, view)
