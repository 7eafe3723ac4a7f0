# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the ports that containers publish, and in a swarm its services: parts of section 5."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    each_container,
    values,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.each_container import Fault
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Container, Engine, Host
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

_FIRST_UNPRIVILEGED = 1024
# An address that the engine leaves out.
_EVERYWHERE = str(ipaddress.IPv4Address(0))
_PROTOCOLS = ("tcp", "udp", "sctp")
_KEY = re.compile(r"([0-9]{{1,5}})/({})".format("|".join(_PROTOCOLS)))
# As of the option ports: [ADDRESS:]PORT[/PROTOCOL], an IPv6 address in brackets.
_WANTED = re.compile(r"(?:\[?(?P<address>[0-9A-Fa-f.:]+)\]?:)?(?P<port>[0-9]{1,5})(?:/(?P<protocol>[a-z]+))?")


class Published(t.NamedTuple):
    """A port that the engine opens on the host for one inside."""

    address: str
    port: int
    protocol: str
    inside: int

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return "%s:%d/%s to %d" % (address, self.port, self.protocol, self.inside)

    @property
    def is_everywhere(self) -> bool:
        return ipaddress.ip_address(self.address).is_unspecified


def published(container: Container) -> list[Published]:
    """Return what a running container publishes; raise UnknownError."""
    found = []
    for key, bindings in sorted(values.mapping(container.inspect, "NetworkSettings.Ports").items()):
        match = _KEY.fullmatch(key)
        if match is None:
            raise values.UnknownError(f"port '{printable(key)}' is not understood")
        for binding in values.mappings({"Ports": bindings}, "Ports"):
            port, address = values.text(binding, "HostPort"), values.text(binding, "HostIp")
            found.append(Published(_address(address), _number(port), match.group(2), int(match.group(1))))
    return found


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else _EVERYWHERE
    except ValueError:
        raise values.UnknownError(f"address '{printable(text)}' is not understood") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise values.UnknownError(f"port '{printable(text)}' is not understood")
    return int(text)


def _privileged_ports(_host: Host, engine: Engine, _options: Options) -> Verdict:
    def test(container: Container) -> t.Iterator[Fault]:
        yield from (Fault(str(each)) for each in published(container) if each.port < _FIRST_UNPRIVILEGED)

    return each_container.judge(engine, "a published port below 1024", test)


def _all_interfaces(_host: Host, engine: Engine, _options: Options) -> Verdict:
    def test(container: Container) -> t.Iterator[Fault]:
        yield from (Fault(str(each)) for each in published(container) if each.is_everywhere)

    return each_container.judge(engine, "a port that is published on all interfaces", test)


def _unneeded_ports(_host: Host, engine: Engine, options: Options) -> Verdict:
    wanted = options.ports

    def test(container: Container) -> t.Iterator[Fault]:
        for each in published(container):
            if wanted is None or not any(_is_wanted(each, text) for text in wanted):
                yield Fault(str(each))

    def shares_host(container: Container) -> t.Iterator[Fault]:
        if values.text(container.inspect, "HostConfig.NetworkMode") == "host":
            yield Fault("it opens ports in the network of the host")

    fault = "published ports" if wanted is None else "a published port that docker_hardening_ports does not list"
    result = each_container.judge(engine, fault, test)
    if wanted is None and result.status == _control.FAILED:
        return verdict.manual(result.reason, result.items, result.examined)
    hidden = each_container.judge(engine, "the network of the host, where it opens ports itself", shares_host)
    if result.status == _control.PASSED and hidden.status == _control.FAILED:
        return verdict.manual(hidden.reason, hidden.items, hidden.examined)
    return result


def _is_wanted(port: Published, text: str) -> bool:
    match = _WANTED.fullmatch(text.strip().lower())
    if match is None or int(match.group("port")) != port.port:
        return False
    try:
        is_address = not match.group("address") or ipaddress.ip_address(match.group("address")) == ipaddress.ip_address(
            port.address
        )
    except ValueError:
        return False
    return is_address and match.group("protocol") in (None, port.protocol)


CHECKS: t.Mapping[str, verdict.Check] = {
    "docker_container_publishes_privileged_port": _privileged_ports,
    "docker_container_publishes_unneeded_port": _unneeded_ports,
    "docker_container_port_on_all_interfaces": _all_interfaces,
}
