# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recommender of allowlists on generated fleets: learned from sixty days, held against the next thirty.

What is assumed of the fleets stands in tests/bench/_app_worlds.py, and the figures are worth as much as that.
Thresholds were chosen on the seeds 1 to 60, and the seeds 101 to 120 and 201 to 220 each led to a change. These figures
are the worst of seeds that led to none:

- hosts_misgrouped: hosts whose roles are not exactly the roles that they have. Each role that was found stands for one
  role of the world, the most alike first; one that is left over stands for none. roles_found: least and most.
- hosts_regrouped: hosts whose roles are others, or have another name, after fifteen more days with upgrades, new hosts
  and odd programs, when the roles of before are known. Hosts that are new are none of them.
- malware_recommended: malicious programs that the judge of the collection allows by the recommended rules of their
  host, of malware in all. A directory of own software counts as a rule, also for malware in it.
- later_allowed: share of the legitimate executions of the thirty days that recommended rules allow, of all hosts, also
  of those that were observed for three days only. later_allowed_role: the same, of the worst role.
- directories_max: rules by directory that a role has. review_items: items that a role or base has for review, also
  those that are not listed; undecided: packages and files in neither list, of too few hosts and days.

Those that begin with large_ are of tests/bench/_app_large.py: ten thousand hosts are grouped and all rules recommended,
in a process of its own. large_s is processor time, large_peak_mb includes the fleet itself. Those that begin with
events_ are of a look at programs on a host, in tests/bench/_app_control_events.py. Those that begin with enforced_ are
of executions where fapolicyd enforces an allowlist, in tests/bench/_app_control_enforced.py.

The peer allows every content that was seen twice anywhere, and groups hosts by how many of their programs are the same.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
import time
import typing as t
from array import array

from tests.bench import _app_control_enforced, _app_control_events, _app_worlds, _measure

JUDGED: t.Sequence[int] = range(301, 321)
LARGE_HOSTS = 10_000
EVENTS, PAIRS = 100_000, 3
EXECUTIONS, ROUNDS = 1_000, 7


class Outcome(t.NamedTuple):
    """The figures of one world."""

    misgrouped: int
    roles: int
    regrouped: int
    malware_recommended: int
    malware: int
    later_allowed: float
    later_allowed_role: float
    directories: int
    review_items: int
    undecided: int
    seconds: float


class Advice(t.NamedTuple):
    """roles: by name, the hosts. allows: whether a host may run a program. The rest as in Outcome.

    regroup: returns how many hosts change their roles later.
    """

    roles: t.Mapping[str, t.Collection[str]]
    allows: t.Callable[[str, t.Any], bool]
    directories: int = 0
    review_items: int = 0
    undecided: int = 0
    regroup: t.Callable[[], int] = int


def run() -> dict[str, t.Any]:
    """Return the figures, the same each time but for seconds and memory."""
    # Afterwards nothing of the collection is found that was imported in another way before.
    _measure.module_loader()
    ours: list[Outcome] = []
    peers: list[Outcome] = []
    for seed in JUDGED:
        world = _app_worlds.world(seed)
        ours.append(outcome(world, recommended))
        peers.append(outcome(world, seen_twice))
    ours_s, peer_s = sum(one.seconds for one in ours), sum(one.seconds for one in peers)
    return {
        "ours_s": round(ours_s, 3),
        "peer_s": round(peer_s, 3),
        "ratio": round(ours_s / peer_s, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 1),
        **_worst(ours),
        **{f"peer_{name}": value for name, value in _worst(peers).items()},
        "worlds": len(ours),
        **json.loads(_measure.output([sys.executable, "-m", "tests.bench._app_large", str(LARGE_HOSTS)])),
        **_app_control_events.figures(EVENTS, PAIRS),
        **_app_control_enforced.figures(EXECUTIONS, ROUNDS),
    }


def _worst(outcomes: t.Sequence[Outcome]) -> dict[str, t.Any]:
    return {
        "hosts_misgrouped": max(one.misgrouped for one in outcomes),
        "roles_found": [min(one.roles for one in outcomes), max(one.roles for one in outcomes)],
        "hosts_regrouped": max(one.regrouped for one in outcomes),
        "malware_recommended": max(one.malware_recommended for one in outcomes),
        "malware": min(one.malware for one in outcomes),
        "later_allowed": round(min(one.later_allowed for one in outcomes), 5),
        "later_allowed_role": round(min(one.later_allowed_role for one in outcomes), 5),
        "directories_max": max(one.directories for one in outcomes),
        "review_items": max(one.review_items for one in outcomes),
        "undecided": max(one.undecided for one in outcomes),
    }


def outcome(world: _app_worlds.World, advise: t.Callable[[_app_worlds.World], Advice]) -> Outcome:
    """Learn from a world, and hold the time after it against what comes of that."""
    begun = time.process_time()
    advice = advise(world)
    seconds = time.process_time() - begun
    allowed: dict[str, list[int]] = {}
    for host, rows in zip(world.fleet.hosts, world.later, strict=True):
        counts = allowed[host.name] = [0, 0]
        for program, executions in rows:
            counts[0] += executions if advice.allows(host.name, program) else 0
            counts[1] += executions
    shares = []
    for role in {role for some in world.roles.values() for role in some}:
        some = [counts for host, counts in allowed.items() if role in world.roles[host]]
        shares.append(sum(good for good, _all in some) / sum(every for _good, every in some))
    bad = [*world.malware, *world.inside]
    return Outcome(
        misgrouped(advice.roles, world.roles),
        len(advice.roles),
        advice.regroup(),
        sum(advice.allows(host, program) for host, program, _kind in bad),
        len(bad),
        sum(good for good, _all in allowed.values()) / sum(every for _good, every in allowed.values()),
        min(shares),
        advice.directories,
        advice.review_items,
        advice.undecided,
        seconds,
    )


def misgrouped(found: t.Mapping[str, t.Collection[str]], truth: t.Mapping[str, frozenset[int]]) -> int:
    """Return how many hosts have other roles than they really have."""
    real: dict[int, set[str]] = {}
    for host, roles in truth.items():
        for role in roles:
            real.setdefault(role, set()).add(host)
    pairs = sorted(
        (-len(hosts & set(some)) / len(hosts | set(some)), name, role)
        for name, some in found.items()
        for role, hosts in real.items()
    )
    meaning: dict[str, t.Any] = {}
    for likeness, name, role in pairs:
        if likeness < 0 and name not in meaning and role not in meaning.values():
            meaning[name] = role
    have: dict[str, set[t.Any]] = {host: set() for host in truth}
    for name, some in found.items():
        for host in some:
            have[host].add(meaning.get(name, name))
    return sum(have[host] != roles for host, roles in truth.items())


def recommended(world: _app_worlds.World) -> Advice:
    """Return what the collection recommends."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import options, recommend

    findings = [options.OpenFinding(*finding) for finding in world.findings]
    result = recommend.recommend(world.fleet, options.Options(), {}, findings)
    allowed = _Judges(result)
    return Advice(
        {role.name: role.hosts for role in result.roles if not role.distribution},
        lambda host, program: allowed(result.hosts[host], program),
        max(sum(bool(one.rule.directory) for one in role.rules) for role in result.roles),
        max(len(role.review) + role.left_out for role in result.roles),
        sum(role.undecided for role in result.roles),
        lambda: _regrouped(world.fleet),
    )


class _Judges:
    """The judge of the collection, with the recommended rules of a host's roles as its allowlist."""

    def __init__(self, result: t.Any) -> None:
        self._rules = {role.name: tuple(one.rule for one in role.rules) for role in result.roles}
        self._judges: dict[tuple[str, ...], t.Any] = {}
        self._verdicts: dict[tuple[tuple[str, ...], t.Any], bool] = {}

    def __call__(self, roles: tuple[str, ...], program: t.Any) -> bool:
        """Return whether a host that has these roles may run a program."""
        if (roles, program) not in self._verdicts:
            self._verdicts[roles, program] = self._judge(roles).judge(program, ()).allowed
        return self._verdicts[roles, program]

    def _judge(self, roles: tuple[str, ...]) -> t.Any:
        from ansible_collections.bulwark.servers.plugins.module_utils.app_control import allowlist, judge

        if roles not in self._judges:
            rules = tuple(rule for name in roles for rule in self._rules[name])
            self._judges[roles] = judge.Judge(allowlist.Allowlist(roles, rules, ()), 0.0)
        return self._judges[roles]


def _regrouped(fleet: t.Any) -> int:
    """Return how many hosts change their roles when a fleet is looked at again."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import recommend

    before = recommend.recommend(_earlier(fleet, fleet.hosts[0].until - 15 * _app_worlds.SECONDS))
    known = {role.name: role.hosts for role in before.roles if not role.distribution}
    after = recommend.recommend(fleet, previous=known)
    return sum(names != after.hosts[host] for host, names in before.hosts.items())


def _earlier(fleet: t.Any, until: float) -> t.Any:
    """Return a fleet as it was at a time."""
    hosts = []
    for host in fleet.hosts:
        if host.since < until:
            columns = (host.programs, host.first, host.last, host.days_seen, host.executions)
            rows = [row for row in zip(*columns, strict=True) if row[1] < until]
            hosts.append(
                dataclasses.replace(
                    host,
                    until=until,
                    days=int((until - host.since) // _app_worlds.SECONDS),
                    programs=array("I", [row[0] for row in rows]),
                    first=array("d", [row[1] for row in rows]),
                    last=array("d", [min(row[2], until) for row in rows]),
                    days_seen=array("H", [_days_before(row, until) for row in rows]),
                    executions=array("Q", [row[4] for row in rows]),
                )
            )
    return dataclasses.replace(fleet, hosts=hosts)


def _days_before(row: tuple[int, float, float, int, int], until: float) -> int:
    _program, first, last, days, _executions = row
    span = last - first + _app_worlds.SECONDS
    return max(1, round(days * (min(last, until) - first + _app_worlds.SECONDS) / span))


def seen_twice(world: _app_worlds.World) -> Advice:
    """Allow every content that ran twice, and group hosts of which four in five programs are the same."""
    counts: dict[tuple[str, str], int] = {}
    for host in world.fleet.hosts:
        for number, executions in zip(host.programs, host.executions, strict=True):
            program = world.fleet.programs[number]
            key = (program.path, program.sha256)
            counts[key] = counts.get(key, 0) + executions
    groups: list[tuple[set[str], list[str]]] = []
    for host in sorted(world.fleet.hosts, key=lambda host: (-len(host.programs), host.name)):
        names = {world.fleet.programs[number].path for number in host.programs}
        likeness, number = max(
            ((len(names & leader) / len(names | leader), -number) for number, (leader, _hosts) in enumerate(groups)),
            default=(0.0, 0),
        )
        if likeness >= 0.8:
            groups[-number][1].append(host.name)
        else:
            groups.append((names, [host.name]))
    return Advice(
        {str(number): hosts for number, (_leader, hosts) in enumerate(groups)},
        lambda _host, program: counts.get((program.path, program.sha256), 0) >= 2,
    )
