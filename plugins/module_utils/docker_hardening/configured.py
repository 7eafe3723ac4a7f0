# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written for an engine: its unit and daemon.json, beside the command line that it was started with."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import (
    configuration,
    flags,
    listeners,
    units,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Listener, Setting
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.processes import Daemon

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root

CONFIGURATION = "/etc/docker/daemon.json"
_UNIX, _TCP = "unix://", "tcp://"


class Configured(t.NamedTuple):
    """What is written for an engine, and what its process was started with, None for one that is stopped."""

    config: configuration.Read
    written: configuration.Written
    running: t.Mapping[str, flags.Flag] | None
    file_problem: str | None

    @classmethod
    def of_process(cls, daemon: Daemon, root: Root, account: units.Account, unit: units.Unit) -> Configured:
        running = flags.parse(map(flags.Word, daemon.arguments))
        default = posixpath.join(account.home, ".config") if account.is_user else ""
        default = daemon.environment.get("XDG_CONFIG_HOME") or default if account.is_user else "/etc"
        default = posixpath.join(default, "docker/daemon.json")
        path = _config_path(running, daemon.directory, default)
        config = configuration.read(root, path)
        problem = configuration.why_file_says_nothing(config, daemon.started)
        next_flags = unit_flags(unit)
        if next_flags is None:
            return cls(config, configuration.Written(running, config.file, config.file.problem), running, problem)
        next_path = _config_path(next_flags, "/", default)
        following = config if next_path == path else configuration.read(root, next_path)
        problems = [*unit.problems, *filter(None, [following.file.problem])]
        return cls(
            config, configuration.Written(next_flags, following.file, "; ".join(problems) or None), running, problem
        )

    @classmethod
    def of_unit(cls, root: Root, unit: units.Unit, default: str) -> Configured:
        words = unit_flags(unit) or {}
        config = configuration.read(root, _config_path(words, "/", default))
        problems = [*unit.problems, *filter(None, [config.file.problem])]
        return cls(config, configuration.Written(words, config.file, "; ".join(problems) or None), None, None)

    def settings(self, api: t.Mapping[str, t.Any]) -> dict[str, Setting]:
        return configuration.settings(self.running, self.written, self.file_problem, api)


def _config_path(found: t.Mapping[str, flags.Flag], directory: str, default: str) -> str:
    path = found["config-file"].values[-1] if "config-file" in found else default
    return posixpath.normpath(posixpath.join(directory or "/", path))


def unit_of(daemon: Daemon, root: Root, account: units.Account) -> units.Unit:
    """Return the unit that started an engine, by its control group; one without a name where none did."""
    name = next((word for word in reversed(daemon.group.split("/")) if word.endswith(".service")), "")
    unit = units.load(root, name, account) if name else units.Unit("")
    # What somebody starts by hand is in the group of whatever that person signed in by.
    program = posixpath.basename(unit.command[0].text) if unit.command else ""
    return unit if "docker" in program or name.startswith("snap.docker.") else units.Unit("")


def unit_flags(unit: units.Unit) -> dict[str, flags.Flag] | None:
    """Return the flags that a unit starts dockerd with; None where it does not say them."""
    if not unit.command or not posixpath.basename(unit.command[0].text).startswith("dockerd"):
        return None
    return flags.parse(unit.command[1:])


def service_of(root: Root, address: str, account: units.Account) -> units.Unit:
    """Return the unit that would start an engine at an address; one without a name where none would.

    It is needed where no control group tells: without systemd, and for an engine that somebody started by hand.
    """
    for name in units.services(root, account):
        unit = units.load(root, name, account)
        if unit_flags(unit) is not None and next_name(root, unit, account) == address:
            return unit
    return units.Unit("")


def next_name(root: Root, unit: units.Unit, account: units.Account) -> str:
    """Return the address of the engine that a unit starts, the same as when it runs."""
    hosts = Configured.of_unit(root, unit, CONFIGURATION).settings({})["hosts"]
    addresses = [one.address for one in next_addresses(hosts, socket_of(root, unit, account).listens)]
    return next((address for address in addresses if address.startswith(_UNIX)), listeners.MAIN_ADDRESS)


def socket_of(root: Root, unit: units.Unit, account: units.Account) -> units.Unit:
    """Return the socket unit of a service."""
    return units.load(root, (unit.name or "docker.service").rpartition(".")[0] + ".socket", account)


def next_addresses(hosts: Setting, listens: t.Sequence[str]) -> list[Listener]:
    """Return where the next start would offer the API. hosts: the setting. listens: of the socket unit."""
    found = []
    for address in listeners.written(hosts.written, {}, False):
        if address != listeners.INHERITED:
            found.append(Listener(address, hosts.source))
            continue
        for place in listens:
            address = _UNIX + place if place.startswith("/") else _TCP + (":" + place if place.isdigit() else place)
            found.append(Listener(listeners.normalized(address), "systemd"))
    return found
