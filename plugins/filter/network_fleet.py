# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up what the hosts of a play saw of the same sources, and say of one host what the others saw."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import fleet

_TRAFFIC = "network_hardening_seen"
_SIGNED_IN = "network_hardening_signed_in"


def network_fleet(hostvars: t.Any, hosts: t.Any) -> str:
    """Return the sum over hosts as text. hostvars: Ansible's variable of that name; hosts: the names of the hosts."""
    if not isinstance(hosts, list | tuple) or not all(isinstance(host, str) for host in hosts):
        raise AnsibleFilterError("network_fleet: hosts is not a list of names; give ansible_play_hosts")
    # What is registered holds no templates; a host's other variables need not be templated for it.
    get = getattr(hostvars, "raw_get", None) or getattr(hostvars, "get", None)
    if get is None:
        raise AnsibleFilterError("network_fleet: this is not a mapping of hosts; give hostvars")
    return fleet.sum_up(_results(get(host)) for host in hosts)


def _results(variables: t.Any) -> tuple[t.Any, t.Any]:
    found = variables if isinstance(variables, t.Mapping) else {}
    return found.get(_TRAFFIC), found.get(_SIGNED_IN)


def network_fleet_elsewhere(total: t.Any, traffic: t.Any, signed_in: t.Any = None) -> list[dict[str, t.Any]]:
    """Return what other hosts saw of the sources of one host; raise AnsibleFilterError for what is no sum."""
    try:
        return fleet.elsewhere(total, traffic, signed_in)
    except fleet.FleetError as error:
        raise AnsibleFilterError(f"network_fleet_elsewhere: {error}") from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"network_fleet": network_fleet, "network_fleet_elsewhere": network_fleet_elsewhere}
