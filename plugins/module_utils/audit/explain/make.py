# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The explainers that a run of audit_events_info asks."""

from __future__ import annotations

import functools
import itertools
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.model import PACKAGE, Explainer, Explanation

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import About


def explainers_of(params: t.Mapping[str, t.Any]) -> list[Explainer]:
    """Return the explainers of a run with the options of the module, in the order in which they are asked.

    Raises UsageError for an option that can't be used.
    """
    accounts = params.get("automation_users") or ()
    addresses = params.get("automation_addresses") or ()
    names = params.get("automation_units") or ()
    _check(accounts, addresses, names)
    # Only tests name another root.
    root = params.get("_root") or ""
    explainers: list[Explainer] = []
    # Each takes long to load, and most looks need none of them.
    if accounts or addresses:
        from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain import controller, listeners
        from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.sessions import Sessions

        explainers.append(Sessions(accounts, controller.networks(addresses, accounts), listeners.running(root)))
    if names:
        from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain import units

        explainers.append(units.Units(functools.partial(units.running, names)))
    explainers.append(_Packages(os.fsencode(root or "/")))
    return explainers


def _check(accounts: t.Sequence[str], addresses: t.Sequence[str], names: t.Sequence[str]) -> None:
    """Raise UsageError for an option that can't be used."""
    if not all(accounts):
        raise UsageError("automation_users: '' is no account; give the name that automation signs in with")
    if addresses:
        from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain import controller

        for address in addresses:
            if not controller.is_network(address):
                raise UsageError(
                    "automation_addresses: '%s' is no address or network; give one such as 192.0.2.10 or 192.0.2.0/24"
                    % address
                )
    if names:
        from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain import units

        for name in names:
            if not units.is_name(name):
                raise UsageError(
                    "automation_units: '%s' is no service; give its name as systemctl shows it, such as puppet.service"
                    % name
                )
        if len(names) > units.MOST:
            raise UsageError("automation_units: these are %d services; give at most %d" % (len(names), units.MOST))


class _Packages(Explainer):
    """Explains hits by packages of the host; what that takes is loaded for the first one."""

    name = "packages"
    kind = PACKAGE

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._explainer: Explainer | None = None

    def explain(self, about: About, view: t.Mapping[str, t.Any]) -> Explanation | None:
        if not _names_manager(about):
            return None
        if self._explainer is None:
            from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.packages import PackageExplainer

            self._explainer = PackageExplainer(self._root)
        return self._explainer.explain(about, view)


# Part of the name of each program that ``package_chain`` takes for a package manager.
_MANAGER = re.compile(rb"dpkg|rpm|dnf|yum")


def _names_manager(about: About) -> bool:
    """Return whether a package manager may be above an event, or be who acts; of most it is ruled out quickly."""
    if _MANAGER.search(about.event.raw):
        return True
    processes = itertools.chain([about.process] if about.process else [], views.ancestors(about.parent))
    return any(_MANAGER.search(process.exe) or _MANAGER.search(process.original) for process in processes)
