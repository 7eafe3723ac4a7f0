# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recommender on generated traffic: learned from the first thirty days, held against the next thirty.

What is assumed of the traffic stands in tests/bench/_traffic.py, and the figures are worth as much as that. All are the
worst of the seeds, without and with a record of how much was transferred:

- legitimate_denied: share of the legitimate connections of the second half, on all ports but 8080, which nobody needs.
  legitimate_denied_by_people: the same without monitoring and application servers, which are most of all connections.
- attackers_allowed: attackers that reached any of the ports in the second half.
- reduction: how many times less addresses a port is open to, of IPv4 and of IPv6 the lesser. A port that is left open
  because it is unclear who needs it does not count; only 8080, where sweepers were answered, may be one.
- unused_left_open: in how many worlds 8080 is, so that everybody still gets to it.
- prefixes_max: of IPv4 and IPv6 together, on one port.
- inside_attackers_allowed, inside_attackers: the same number, and how many there are, when one attacker in fifty has an
  address of a pool of legitimate sources. No prefix can tell them apart.

For small servers, which tests/bench/_small.py describes, it is the worst of four: with and without a record of what
connections transferred, and with and without one of who signed in.

- small_legitimate_denied: share of the people who would have been denied on any day of the second half. A port that is
  left open denies nobody.
- small_attackers_allowed: attackers that reached a port of SSH through the prefixes of a recommendation.
- small_closed_to_people: ports that were recommended to be closed, although people use them.
- small_with_sign_ins_with_bytes and so on: what becomes of the port of SSH on how many servers. To leave all of them
  open would deny nobody, and be worth nothing.

The weights of the model are learned from large worlds with seeds of their own (tests/bench/_learn.py), and never from
small ones. What else decides was chosen on the small worlds 0 to 399; UNSEEN are others.

The peer is what advisers do that allow every address that was answered, put together where they are neighbours.
"""

from __future__ import annotations

import collections
import ipaddress
import math
import resource
import sys
import time
import typing as t

from tests.bench import _small, _traffic
from tests.support import paths

SEEDS = range(20)
INSIDE_SEEDS = range(3)
SMALL_SEEDS: t.Sequence[int] = range(200)
UNSEEN: t.Sequence[int] = range(9000, 9050)
_MACHINES = ("monitoring", "application")


class Outcome(t.NamedTuple):
    """What came of one world."""

    denied: float
    denied_by_people: float
    attackers_allowed: int
    attackers: int
    reduction: float
    prefixes_max: int
    left_open: int
    seconds: float


def run() -> dict[str, t.Any]:
    """Return the figures, the same each time but for seconds and memory."""
    paths.link_collection()
    sys.path.insert(0, str(paths.COLLECTIONS))
    ours: list[Outcome] = []
    peers: list[Outcome] = []
    for seed in SEEDS:
        for with_bytes in (True, False):
            world = _traffic.world(seed, with_bytes=with_bytes)
            ours.append(outcome(world, recommended))
            peers.append(outcome(world, _answered))
    inside = [outcome(_traffic.world(seed, inside=0.02), recommended) for seed in INSIDE_SEEDS]
    ours_s, peer_s = sum(one.seconds for one in ours), sum(one.seconds for one in peers)
    return {
        "ours_s": round(ours_s, 3),
        "peer_s": round(peer_s, 3),
        "ratio": round(ours_s / peer_s, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 1),
        **_worst(ours),
        **{f"peer_{name}": value for name, value in _worst(peers).items()},
        "inside_attackers_allowed": max(one.attackers_allowed for one in inside),
        "inside_attackers": max(one.attackers for one in inside),
        "worlds": len(ours),
        **small_figures(SMALL_SEEDS),
        **{f"unseen_{name}": value for name, value in small_figures(UNSEEN).items()},
    }


class Small(t.NamedTuple):
    """What came of one small server. people: how many there are."""

    status: str
    people: int
    denied: int
    attackers_allowed: int


def small_figures(seeds: t.Iterable[int]) -> dict[str, t.Any]:
    """Return the worst figures of small servers, and what became of how many."""
    found: dict[tuple[bool, bool], list[Small]] = {}
    for seed in seeds:
        world = _small.world(seed)
        for with_sign_ins in (True, False):
            for with_bytes in (True, False):
                outcomes = found.setdefault((with_sign_ins, with_bytes), [])
                outcomes.append(small_outcome(world, with_sign_ins=with_sign_ins, with_bytes=with_bytes))
    figures: dict[str, t.Any] = {
        "small_legitimate_denied": round(
            max(sum(one.denied for one in some) / sum(one.people for one in some) for some in found.values()), 4
        ),
        "small_attackers_allowed": max(sum(one.attackers_allowed for one in some) for some in found.values()),
        "small_closed_to_people": max(sum(one.status == "close" for one in some) for some in found.values()),
    }
    for (with_sign_ins, with_bytes), some in found.items():
        known = f"{'with' if with_sign_ins else 'without'}_sign_ins_{'with' if with_bytes else 'without'}_bytes"
        statuses = collections.Counter(one.status for one in some)
        figures[f"small_{known}"] = dict(sorted(statuses.items()))
    return figures


def small_outcome(world: _small.World, *, with_sign_ins: bool, with_bytes: bool) -> Small:
    """Learn from the first half of a small world, and hold the second against what comes of its port of SSH."""
    port = small_recommended(world, with_sign_ins=with_sign_ins, with_bytes=with_bytes)
    people = {person for person, _day, _source in world.visits}
    if port["status"] not in ("narrow", "partial", "close"):
        return Small(port["status"], len(people), 0, 0)
    networks = [ipaddress.ip_network(prefix["prefix"]) for prefix in port["prefixes"]]
    denied = {person for person, _day, source in world.visits if not _is_within(source, networks)}
    seen = {entry["source"] for entry in world.entries[1] if entry["port"] == _small.SSH}
    allowed = sum(_is_within(source, networks) for source in seen & world.attackers)
    return Small(port["status"], len(people), len(denied), allowed)


def _is_within(source: str, networks: t.Iterable[t.Any]) -> bool:
    address = ipaddress.ip_address(source)
    return any(address in network for network in networks if network.version == address.version)


def small_recommended(world: _small.World, *, with_sign_ins: bool, with_bytes: bool) -> dict[str, t.Any]:
    """Return what the collection recommends for the port of SSH."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
        model,
        options,
        recommend,
        sources,
    )

    half = [_small.START * 86_400, (_small.START + _small.HALF) * 86_400 - 1]
    asked = options.read(
        [{"port": port, "protocol": "tcp"} for port in _small.LISTENING],
        trusted=[],
        threats=world.threats,
        findings=_findings(world.findings if with_sign_ins else []),
        names={},
        public_ports=options.PUBLIC_PORTS,
        minimum_days=options.MINIMUM_DAYS,
        max_prefixes=options.MAX_PREFIXES,
        observed=half,
        sign_ins=world.sign_ins if with_sign_ins else None,
        sign_ins_observed=half if with_sign_ins else None,
    )
    result = recommend.recommend(sources.read(world.known(with_bytes)), asked, model.load())
    (port,) = (port for port in result["ports"] if port["port"] == _small.SSH)
    return t.cast("dict[str, t.Any]", port)


def _worst(outcomes: t.Sequence[Outcome]) -> dict[str, t.Any]:
    return {
        "legitimate_denied": round(max(one.denied for one in outcomes), 5),
        "legitimate_denied_by_people": round(max(one.denied_by_people for one in outcomes), 5),
        "attackers_allowed": max(one.attackers_allowed for one in outcomes),
        "reduction": math.floor(min(one.reduction for one in outcomes)),
        "prefixes_max": max(one.prefixes_max for one in outcomes),
        "unused_left_open": sum(one.left_open for one in outcomes),
    }


def outcome(world: _traffic.World, advise: t.Callable[[_traffic.World], dict[int, list[str]]]) -> Outcome:
    """Learn from the first half of a world, and hold the second against what comes of it."""
    begun = time.perf_counter()
    rules = advise(world)
    seconds = time.perf_counter() - begun
    networks = {port: [ipaddress.ip_network(prefix) for prefix in found] for port, found in rules.items()}
    left_open = [port for port in _traffic.LISTENING if port not in networks]
    counts = {True: [0, 0], False: [0, 0]}  # by whether machines: denied, all
    allowed: set[str] = set()
    attackers: set[str] = set()
    for entry in world.entries[1]:
        if entry["port"] not in networks:
            continue
        source = entry["source"]
        address = ipaddress.ip_address(source)
        welcome = any(address in network for network in networks[entry["port"]] if network.version == address.version)
        if world.is_legitimate(source):
            count = counts[world.kinds[source] in _MACHINES]
            count[0] += 0 if welcome else entry["count"]
            count[1] += entry["count"]
        else:
            attackers.add(source)
            if welcome:
                allowed.add(source)
    return Outcome(
        (counts[True][0] + counts[False][0]) / (counts[True][1] + counts[False][1]),
        counts[False][0] / counts[False][1],
        len(allowed),
        len(attackers),
        min(_reduction(found, version) for found in networks.values() for version in (4, 6)),
        max(len(found) for found in networks.values()),
        len(left_open),
        seconds,
    )


def _reduction(networks: t.Iterable[t.Any], version: int) -> float:
    open_to = sum(network.num_addresses for network in networks if network.version == version)
    return 2.0 ** (32 if version == 4 else 128) / open_to if open_to else math.inf


def recommended(world: _traffic.World) -> dict[int, list[str]]:
    """Return the prefixes by port that the collection recommends; a port that stays open is none of them."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
        model,
        options,
        recommend,
        sources,
    )

    listening = [{"port": port, "protocol": "tcp"} for port in _traffic.LISTENING]
    asked = options.read(
        listening,
        trusted=[],
        threats=world.threats,
        findings=_findings(world.findings),
        names={},
        public_ports=options.PUBLIC_PORTS,
        minimum_days=options.MINIMUM_DAYS,
        max_prefixes=options.MAX_PREFIXES,
    )
    result = recommend.recommend(sources.read(world.entries[0]), asked, model.load())
    undecided = [port["port"] for port in result["ports"] if port["status"] in ("not_enough_data", "unclear")]
    needed = [port for port in undecided if port != _traffic.UNUSED]
    if needed:
        raise RuntimeError(f"thirty days are not enough to say something of the ports {needed}")
    return {
        port["port"]: [prefix["prefix"] for prefix in port["prefixes"]]
        for port in result["ports"]
        if port["port"] not in undecided
    }


def _findings(addresses: t.Iterable[str]) -> list[dict[str, t.Any]]:
    return [
        {"finding_info": {"title": "Failed SSH brute force attack"}, "evidences": [{"src_endpoint": {"ip": address}}]}
        for address in addresses
    ]


def _answered(world: _traffic.World) -> dict[int, list[str]]:
    """Return every address that was answered, where they are neighbours as a prefix, without those known as bad."""
    bad = {*world.threats, *world.findings}
    rules: dict[int, list[str]] = {}
    for port in _traffic.LISTENING:
        addresses = {
            entry["source"]
            for entry in world.entries[0]
            if entry["port"] == port and entry["answered"] and entry["source"] not in bad
        }
        networks: list[t.Any] = [ipaddress.ip_network(address) for address in sorted(addresses)]
        rules[port] = [
            str(network)
            for version in (4, 6)
            for network in ipaddress.collapse_addresses(one for one in networks if one.version == version)
        ]
    return rules
