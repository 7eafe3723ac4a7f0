# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sets of the recorder: what each counts, and how it is named.

A name says size and timeout, too: the kernel can change neither of a set that is there. A set of another kind is
another set, and the one before it keeps what it has counted until that is read.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import remembered
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import (
    IN,
    OUT,
    Settings,
)

# Holds one address that is none: which table this is, written by whoever reads it first.
IDENTITY = "identity"
# SAMPLED: packets that this host sent on connections that were made, one in SAMPLE of them.
COUNT, ANSWERED, SAMPLED = "count", "answered", "sampled"
SAMPLE = 16
VERSIONS = (4, 6)
# Seconds without a packet after which one of UDP begins a new connection; as long as connection tracking waits.
FLOW_TIMEOUT = 180
_ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
_NAME = re.compile(r"([a-z_]+)([46])_(\d+)_(\d+)s\Z")


@dataclasses.dataclass(frozen=True)
class Kind:
    """counts: what a packet stands for in it, None where being in it is all. proven: who is in it can't be made up.

    flow: its keys are those of a single flow of UDP: address, port there, port here. short: the kernel forgets after
    FLOW_TIMEOUT. begins, goes_on: its time is when a connection of TCP last began, or was last seen to be there.
    """

    direction: str
    counts: str | None = None
    proven: bool = False
    flow: bool = False
    short: bool = False
    begins: bool = False
    goes_on: bool = False

    @property
    def told(self) -> bool:
        """Say whether its elements say who connected."""
        return not self.short


# When the sets for all (tried, offered) are full, those who have proven that they are somebody still find a place in
# sets of their own (known, answered): a flood of made-up sources does not take the place of any that took part in a
# handshake. UDP knows no such proof but that it was answered, so that it has sets of its own.
# What is looked up has no counters, as the kernel counts each packet that finds an element, too.
KINDS: t.Mapping[str, Kind] = {
    "in_tried": Kind(IN, COUNT),
    "in_offered": Kind(IN, ANSWERED, begins=True),
    "in_pending": Kind(IN, short=True),
    "in_proven": Kind(IN, proven=True, goes_on=True),
    "in_known": Kind(IN, COUNT, proven=True),
    "in_answered": Kind(IN, ANSWERED, proven=True, begins=True),
    "in_sampled": Kind(IN, SAMPLED, proven=True, goes_on=True),
    "udp_tried": Kind(IN, COUNT),
    "udp_known": Kind(IN, COUNT, proven=True),
    "udp_proven": Kind(IN, proven=True),
    "udp_answered": Kind(IN, ANSWERED, proven=True),
    "udp_flows": Kind(IN, flow=True, short=True),
    "udp_replied": Kind(IN, flow=True, short=True),
    # Those that this host has begun are there whatever is recorded: what answers them is no connection to this host.
    "udp_own": Kind(OUT, flow=True, short=True),
    "out_tried": Kind(OUT, COUNT, proven=True),
    "out_pending": Kind(OUT, short=True),
    "out_answered": Kind(OUT, ANSWERED, proven=True),
    "udpout_tried": Kind(OUT, COUNT, proven=True),
    "udpout_answered": Kind(OUT, ANSWERED, proven=True),
    "udpout_replied": Kind(OUT, flow=True, short=True),
}


def wanted(settings: Settings) -> dict[str, str]:
    """Return what is between the braces of each set that the settings need."""
    found = {IDENTITY: "type ipv6_addr;"}
    for kind, fields in KINDS.items():
        if fields.direction in settings.directions or kind == "udp_own":
            for version in VERSIONS:
                services = "inet_service . inet_service" if fields.flow else "inet_proto . inet_service"
                found[name(settings, kind, version)] = remembered(
                    "%s . %s" % (_ADDRESS[version], services), settings.size, _timeout(settings, kind)
                )
    return found


def name(settings: Settings, kind: str, version: int) -> str:
    """Return the name of a set: ``in_tried4_8192_604800s``."""
    return "%s%d_%d_%ds" % (kind, version, settings.size, _timeout(settings, kind))


def _timeout(settings: Settings, kind: str) -> int:
    return FLOW_TIMEOUT if KINDS[kind].short else settings.timeout


class Parsed(t.NamedTuple):
    """The parts of a set's name. timeout: seconds."""

    kind: str
    version: int
    size: int
    timeout: int


def parsed(text: str) -> Parsed | None:
    """Return what a name says, None where it is none of the recorder's."""
    found = _NAME.match(text)
    if not found or found.group(1) not in KINDS:
        return None
    return Parsed(found.group(1), int(found.group(2)), int(found.group(3)), int(found.group(4)))
