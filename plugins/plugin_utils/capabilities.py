# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capabilities that the collection has, each from its ``content/CAPABILITY/capability.yml``.

A capability has the same name everywhere: its content, its role, its packages. A scan asks for all of them in one task.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, looks
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.looks import Look

# Ansible's fact ``system`` of a platform, where it is another word.
_SYSTEMS = {"win32nt": "windows"}
_UNKNOWN = "Not available on "
# Those that call a role beside its main.yml, by the task file of the same name.
PLAYBOOKS = ("protect", "learn", "simulate", "respond", "remove_rules", "remove_locks", "remove")


@dataclasses.dataclass(frozen=True)
class Capability:
    """One capability.

    defender: its name in Defender for servers. playbooks: those of PLAYBOOKS that call the role, beside scan. state:
    the directories on hosts, below ``state_dir``, that it keeps its state in. looks: what a scan asks a host for it.
    checked_by_module: variables of the role that its modules check, more clearly than an argument specification can.
    has_fleet_findings: whether ``plugin_utils/CAPABILITY/fleet_findings.py`` says at the end of a run what is to be
    found about all hosts together. has_requirements: whether ``plugin_utils/CAPABILITY/requirements.py`` says what it
    needs on the controller; without that, only a scan that names it asks for it. has_protection: whether
    ``plugin_utils/CAPABILITY/protection.py`` deploys it; otherwise the playbook protect includes the tasks of its role.
    on_request: whether a scan asks for it only if somebody names it or sets what its looks wait for; it is no part of a
    host's coverage and score then, and raises no alerts.
    """

    id: str
    title: str
    defender: str
    platforms: tuple[str, ...]
    playbooks: tuple[str, ...]
    state: tuple[str, ...]
    looks: tuple[Look, ...]
    checked_by_module: tuple[str, ...]
    has_fleet_findings: bool = False
    has_requirements: bool = False
    has_protection: bool = False
    on_request: bool = False

    def looks_at(self, system: str | None) -> tuple[Look, ...]:
        """Return the looks at hosts of a system, as Ansible's fact calls it; None stands for Linux."""
        platform = platform_of(system or "linux")
        return tuple(look for look in self.looks if platform in look.platforms)


@functools.lru_cache(maxsize=1)
def load() -> t.Mapping[str, Capability]:
    """Return all capabilities by id, in alphabetical order; raise ContentError when a file is wrong or missing."""
    directories = sorted({path.parent for path in catalogue.CONTENT.glob("*/*.yml")})
    return {
        directory.name: parse(catalogue.read(directory / "capability.yml"), directory.name)
        for directory in directories
        if directory.name not in catalogue.SHARED
    }


def chosen(playbook: str | None = None, platform: str | None = None) -> list[str]:
    """Return the ids of the capabilities that a playbook calls and that know a platform (``platform_of``)."""
    return [
        capability.id
        for capability in load().values()
        if (playbook is None or playbook in capability.playbooks)
        and (platform is None or platform_of(platform) in capability.platforms)
    ]


def platform_of(system: str) -> str:
    """Return the platform that a value of Ansible's fact ``system`` means, whose case does not matter."""
    return _SYSTEMS.get(system.lower(), system.lower())


def unknown_platform(system: str) -> str:
    """Return the reason why a capability does not check a host. system: a value of Ansible's fact ``system``."""
    return f"{_UNKNOWN}{'Windows' if platform_of(system) == 'windows' else f'the platform {system}'}."


def is_unknown_platform(reason: str) -> bool:
    """Return whether a capability did not check a host because it does not know the platform."""
    return reason.startswith(_UNKNOWN)


def parse(data: t.Any, identifier: str) -> Capability:
    """Return one capability from the mapping that its file holds; raise ContentError for an entry that is wrong."""
    where = f"{identifier}/capability.yml"
    if not isinstance(data, dict):
        raise ContentError(f"{where}: a mapping is needed, not {type(data).__name__}")
    known = [field.name for field in dataclasses.fields(Capability) if field.name != "id"]
    for name in data:
        if name not in known:
            raise ContentError(f"{where}: unknown entry '{name}'; known are {', '.join(known)}")
    capability = _capability(data, identifier, where)
    asked = {platform for look in capability.looks for platform in look.platforms}
    if asked and asked != set(capability.platforms):
        raise ContentError(
            f"{where}: platforms is {', '.join(capability.platforms)}, and looks are at {', '.join(sorted(asked))};"
            " name the same platforms"
        )
    return capability


def _capability(data: t.Mapping[str, t.Any], identifier: str, where: str) -> Capability:
    return Capability(
        id=identifier,
        title=_text(data, "title", where),
        defender=_text(data, "defender", where),
        platforms=_names(data, "platforms", where, looks.PLATFORMS),
        playbooks=_names(data, "playbooks", where, PLAYBOOKS),
        state=_names(data, "state", where),
        looks=looks.parse(data.get("looks"), where),
        checked_by_module=_names({"checked_by_module": [], **data}, "checked_by_module", where),
        has_fleet_findings=_flag(data, "has_fleet_findings", where),
        has_requirements=_flag(data, "has_requirements", where),
        has_protection=_flag(data, "has_protection", where),
        on_request=_flag(data, "on_request", where),
    )


def _text(data: t.Mapping[str, t.Any], name: str, where: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ContentError(f"{where}: {name} is missing or no text; give it one")
    return value


def _flag(data: t.Mapping[str, t.Any], name: str, where: str) -> bool:
    value = data.get(name, False)
    if not isinstance(value, bool):
        raise ContentError(f"{where}: {name} is true or false")
    return value


def _names(
    data: t.Mapping[str, t.Any], name: str, where: str, choices: t.Collection[str] | None = None
) -> tuple[str, ...]:
    values = data.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ContentError(f"{where}: {name} is missing or no list of names; [] says that there are none")
    for value in values:
        if choices is not None and value not in choices:
            raise ContentError(f"{where}: {name} has '{value}', which is not one of {', '.join(choices)}")
    return tuple(values)
