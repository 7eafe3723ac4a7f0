# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The explainers that the options automation_users, automation_addresses and automation_units ask for."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Act, Explainer


def explainers_of(params: t.Mapping[str, t.Any]) -> list[Explainer[Act]]:
    """Return the explainers of automation and of simulations, in the order in which they are asked.

    Raises UsageError for an option that can't be used.
    """
    accounts = params.get("automation_users") or ()
    addresses = params.get("automation_addresses") or ()
    names = params.get("automation_units") or ()
    _check(accounts, addresses, names)
    explainers: list[Explainer[Act]] = []
    if params.get("_simulated"):
        from ansible_collections.bulwark.servers.plugins.module_utils.automation import simulated

        sessions = simulated.sessions_of(params)
        explainers += [sessions] if sessions is not None else []
    # Each takes long to load, and most looks need none of them.
    if accounts or addresses:
        from ansible_collections.bulwark.servers.plugins.module_utils.automation import controller, listeners
        from ansible_collections.bulwark.servers.plugins.module_utils.automation.sessions import Sessions

        # Only tests name another root.
        running = listeners.running(params.get("_root") or "")
        explainers.append(Sessions(accounts, controller.networks(addresses, accounts), running))
    if names:
        from ansible_collections.bulwark.servers.plugins.module_utils.automation import units

        explainers.append(units.Units(functools.partial(units.running, names)))
    return explainers


def _check(accounts: t.Sequence[str], addresses: t.Sequence[str], names: t.Sequence[str]) -> None:
    """Raise UsageError for an option that can't be used."""
    if not all(accounts):
        raise UsageError("automation_users: '' is not an account; give the name that automation signs in with")
    if addresses:
        from ansible_collections.bulwark.servers.plugins.module_utils.automation import controller

        for address in addresses:
            if not controller.is_network(address):
                raise UsageError(
                    "automation_addresses: '%s' is not an address or network; write one as 192.0.2.10 or 192.0.2.0/24"
                    % address
                )
    if names:
        from ansible_collections.bulwark.servers.plugins.module_utils.automation import units

        for name in names:
            if not units.is_name(name):
                raise UsageError(
                    "automation_units: '%s' is not a service; write its name as in systemctl, such as puppet.service"
                    % name
                )
        if len(names) > units.MOST:
            raise UsageError("automation_units: these are %d services; give at most %d" % (len(names), units.MOST))
