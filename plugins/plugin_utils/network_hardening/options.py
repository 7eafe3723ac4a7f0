# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the options of the recommender, and parse them to blocks."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import prefixes, sources
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import sign_ins as signs
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import Port
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.judge import Known
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.sources import InputError

# Where everybody is expected: web servers, and those of mail and names.
PUBLIC_PORTS = ("80/tcp", "443/tcp", "443/udp", "25/tcp", "53/tcp", "53/udp")
# Where SSH listens when the host doesn't say so.
SSH: Port = (22, "tcp")
MINIMUM_DAYS = 14
MAX_PREFIXES = 16
_WIDEST = {4: 8, 6: 16}


@dataclasses.dataclass(frozen=True)
class Options:
    """listening: the ports, and whether each is open to more than this host; None: those that answered.

    names: what to call sources within a block. observed: the first and the last day, since the epoch, on which traffic
    would have been seen; None: those of the traffic.
    """

    listening: t.Mapping[Port, bool] | None = None
    known: Known = dataclasses.field(default_factory=Known)
    names: t.Mapping[prefixes.Block, str] = dataclasses.field(default_factory=dict)
    public: frozenset[Port] = frozenset()
    minimum_days: int = MINIMUM_DAYS
    max_prefixes: int = MAX_PREFIXES
    observed: tuple[int, int] | None = None

    def name_of(self, version: int, source: int) -> str:
        """Return the name of the smallest named block around a source, or nothing."""
        for length in range(prefixes.WIDTH[version], -1, -1):
            name = self.names.get(prefixes.around(version, source, length))
            if name is not None:
                return name
        return ""


def read(
    listening: t.Any,
    trusted: t.Any,
    threats: t.Any,
    findings: t.Any,
    names: t.Any,
    public_ports: t.Any,
    minimum_days: t.Any,
    max_prefixes: t.Any,
    observed: t.Any = None,
    sign_ins: t.Any = None,
    sign_ins_observed: t.Any = None,
    fleet: t.Any = None,
) -> Options:
    """Return the options; raise InputError for the first that makes no sense."""
    ssh = _ssh(listening) or [SSH]
    signed_in = signs.read(
        sign_ins,
        None if sign_ins_observed is None else _observed(sign_ins_observed, "sign_ins_observed"),
        ssh,
    )
    return Options(
        None if listening is None else _listening(listening),
        Known(
            _blocks(trusted, "trusted", "it is in the trusted network {name}", widest=False),
            _blocks(threats, "threats", "a threat list names {name}", widest=True),
            _found(findings),
            signed_in,
            signs.fleet(fleet),
            frozenset(ssh),
        ),
        _names(names),
        frozenset(port(text, "public_ports") for text in _list(public_ports, "public_ports")),
        _whole(minimum_days, "minimum_days", 1, 3650),
        _whole(max_prefixes, "max_prefixes", 1, 256),
        None if observed is None else _observed(observed, "observed"),
    )


def _observed(value: t.Any, option: str) -> tuple[int, int]:
    moments = _list(value, option)
    good = [one for one in moments if isinstance(one, int | float) and 0 <= one <= sources.LATEST]
    if len(moments) != 2 or good != moments or moments[0] > moments[1]:
        raise InputError(f"{option} is not a list of two times, the first before the last, in seconds since the epoch")
    return int(moments[0] // 86_400), int(moments[1] // 86_400)


def port(text: t.Any, option: str) -> Port:
    """Return port and protocol of ``22/tcp``; raise InputError."""
    number, _slash, protocol = text.partition("/") if isinstance(text, str) else ("", "", "")
    good = number.isascii() and number.isdigit() and len(number) <= 5 and 0 < int(number) <= 65535
    if not good or protocol not in sources.PROTOCOLS:
        raise InputError(f"{option} has an entry that is not a port with its protocol, like 22/tcp")
    return int(number), protocol


def _list(value: t.Any, option: str) -> list[t.Any]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise InputError(f"{option} is not a list but of type {type(value).__name__}")
    return list(value)


def _whole(value: t.Any, option: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(f"{option} is not a whole number from {least} to {most}")
    return value


def _listening(value: t.Any) -> dict[Port, bool]:
    found: dict[Port, bool] = {}
    for entry in _list(value, "listening"):
        if not isinstance(entry, dict):
            raise InputError("listening has an entry that is not a dictionary with port and protocol")
        place = port(f"{entry.get('port')}/{entry.get('protocol', 'tcp')}", "listening")
        address = str(entry.get("address", "*"))
        try:
            parsed = ipaddress.ip_address("::" if address == "*" else address.partition("%")[0])
        except ValueError:
            raise InputError(f"listening has an address on port {place[0]} that is none") from None
        if not parsed.is_loopback:
            found[place] = found.get(place, False) or parsed.is_unspecified
    return found


def _ssh(listening: t.Any) -> list[Port]:
    """Return the ports that a process of SSH listens on, as far as the host says so."""
    found = []
    for entry in listening if isinstance(listening, list) else []:
        process = entry.get("process") if isinstance(entry, dict) else None
        if isinstance(process, dict) and str(process.get("name")).startswith("sshd"):
            found.append(port(f"{entry.get('port')}/{entry.get('protocol', 'tcp')}", "listening"))
    return list(dict.fromkeys(found))


def _block(text: t.Any, option: str, widest: bool) -> prefixes.Block:
    try:
        block = prefixes.block_of(text if isinstance(text, str) else "")
    except ValueError:
        raise InputError(f"{option} has an entry that is not an address or prefix") from None
    if widest and block.length < _WIDEST[block.version]:
        raise InputError(f"{option} has the prefix {block}, which is too wide to be meant")
    return block


def _blocks(value: t.Any, option: str, text: str, widest: bool) -> dict[prefixes.Block, str]:
    """Return what to say of each block of a list of prefixes, or of dictionaries with ``prefix`` and ``name``."""
    found = {}
    for entry in _list(value, option):
        given, name = (entry.get("prefix"), entry.get("name")) if isinstance(entry, dict) else (entry, None)
        block = _block(given, option, widest)
        found[block] = text.format(name=name if isinstance(name, str) and name else block)
    return found


def _names(value: t.Any) -> dict[prefixes.Block, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"names is not a dictionary but of type {type(value).__name__}")
    return {_block(prefix, "names", widest=False): str(name) for prefix, name in value.items()}


def _found(value: t.Any) -> dict[prefixes.Block, str]:
    """Return what to say of the addresses that open findings name as the source of something."""
    found: dict[prefixes.Block, str] = {}
    for finding in _list(value, "findings"):
        if not isinstance(finding, dict):
            raise InputError("findings has an entry that is not a finding of this collection")
        info = finding.get("finding_info")
        title = info.get("title") if isinstance(info, dict) else None
        evidences = finding.get("evidences")
        for evidence in evidences if isinstance(evidences, list) else []:
            endpoint = evidence.get("src_endpoint") if isinstance(evidence, dict) else None
            address = endpoint.get("ip") if isinstance(endpoint, dict) else None
            if isinstance(address, str):
                try:
                    block = prefixes.block_of(address)
                except ValueError:
                    continue  # a name, or what a log has in place of an address
                found.setdefault(block, f"there is an open finding on it: {title or 'without a title'}")
    return found
