# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a finding is about: the host by its name in the inventory, described by its facts."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import host_facts
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence

# Stands for all hosts together in findings that are about no single one. No host may be called so.
FLEET = "(fleet)"

_FACT_LIMIT = 256
_TEXTS = ("system", "distribution", "distribution_version", "kernel", "domain", "virtualization_role")
# OCSF's os.type_id (https://schema.ocsf.io/1.5.0/objects/os) by Ansible's fact ``system``.
_SYSTEMS = {"Linux": (200, "Linux"), "Win32NT": (100, "Windows"), "Darwin": (300, "macOS")}


@dataclasses.dataclass(frozen=True)
class Device:
    """A host as a finding describes it. ``name`` is its identity, all else comes from its facts, where it has any."""

    name: str
    ip: str | None = None
    domain: str | None = None
    is_virtual: bool | None = None
    system: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    kernel: str | None = None

    @classmethod
    def from_vars(cls, task_vars: t.Mapping[str, t.Any]) -> Device:
        """Return the host that a task's variables belong to.

        Facts are read from ``ansible_facts``, with or without their prefix, or as variables of their own. The host
        wrote them, so a fact of an unexpected kind counts as not gathered.
        """
        role = _fact(task_vars, "virtualization_role")
        return cls(
            name=host_name(task_vars["inventory_hostname"]),
            ip=_address(task_vars),
            domain=_fact(task_vars, "domain"),
            is_virtual=None if role is None else role == "guest",
            system=_fact(task_vars, "system"),
            os_name=_fact(task_vars, "distribution"),
            os_version=_fact(task_vars, "distribution_version"),
            kernel=_fact(task_vars, "kernel"),
        )

    def to_ocsf(self) -> dict[str, t.Any]:
        """Return the OCSF ``device`` (https://schema.ocsf.io/1.5.0/objects/device)."""
        type_id, type_name = {None: (0, "Unknown"), True: (6, "Virtual"), False: (1, "Server")}[self.is_virtual]
        device: dict[str, t.Any] = {"hostname": self.name, "name": self.name, "type_id": type_id, "type": type_name}
        if self.ip:
            device["ip"] = self.ip
        if self.domain:
            device["domain"] = self.domain
        if self.system or self.os_name:
            device["os"] = self._os()
        return device

    def _os(self) -> dict[str, t.Any]:
        os_type_id, os_type = _SYSTEMS.get(self.system or "", (99, self.system) if self.system else (0, "Unknown"))
        described = {"name": self.os_name or self.system, "type_id": os_type_id, "type": os_type}
        if self.os_version:
            described["version"] = self.os_version
        if self.kernel:
            described["kernel_release"] = self.kernel
        return described


def platform_facts(facts: t.Any) -> dict[str, t.Any]:
    """Return those of the facts of a host that ``Device`` is made of, under Ansible's names for them."""
    sent = {"ansible_facts": facts}
    found: dict[str, t.Any] = {f"ansible_{name}": _fact(sent, name) for name in _TEXTS}
    address = _address(sent)
    if address is not None:
        found["ansible_default_ipv6" if ":" in address else "ansible_default_ipv4"] = {"address": address}
    return {name: value for name, value in found.items() if value is not None}


def host_name(inventory_hostname: str) -> str:
    """Return an inventory name as findings and the store write it."""
    return evidence.text(inventory_hostname)


def _fact(task_vars: t.Mapping[str, t.Any], name: str) -> str | None:
    value = _raw_fact(task_vars, name)
    if not isinstance(value, str) or not value:
        return None
    return evidence.text(value, _FACT_LIMIT)


def _raw_fact(task_vars: t.Mapping[str, t.Any], name: str) -> t.Any:
    return host_facts.fact(task_vars, host_facts.facts(task_vars), name)


def _address(task_vars: t.Mapping[str, t.Any]) -> str | None:
    for name in ("default_ipv4", "default_ipv6"):
        interface = _raw_fact(task_vars, name)
        if isinstance(interface, t.Mapping):
            try:
                return evidence.address(interface.get("address"))
            except evidence.UnfitError:
                continue
    addresses = _raw_fact(task_vars, "ip_addresses")  # what Windows has instead
    for address in addresses[:10] if isinstance(addresses, list) else []:
        try:
            return evidence.address(address)
        except evidence.UnfitError:
            continue
    return None
