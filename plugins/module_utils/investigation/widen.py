# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk from the subject along the links to everything that belongs to it, with a reason for each step.

A node gets a role. A CORE node is followed in all directions: what it started, wrote, executed and talked to. An
ancestor (UP) is followed upwards, and to what else it started at the same time. A SOURCE, the address of a sign-in, is
followed to its other sign-ins. A LEAF is named and not followed.

What connects everything connects nothing: programs of packages, the processes that start jobs (init, sshd, cron), name
servers, and files or addresses that many use are leaves.
"""

from __future__ import annotations

import collections
import ipaddress
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation import acts, fair_share
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.graph import Graph
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Cut, Link, Node, Reason
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.rules import (
    CORE,
    LEAF,
    MANY,
    RULES,
    UP,
    Rule,
)

# Seconds between what a process started at the same time as another one.
TOGETHER = 3_600.0
# The nearest in time of the children of an ancestor with very many.
_NEAREST = 12
# Parts of all nodes that the processes, and another kind of neighbours, of one node may take, so that a flood of files
# leaves place for peers.
_PROCESS_SHARE, _SHARE = 0.5, 0.2
# Links that lead along a family are no distance.
_NEAR = frozenset(("started", "defined_by"))
# Links from the beginning up to which a program is the subject's own.
_OWN_PROGRAM = 2
# They have links to most processes and files, whose own links say the same.
_CROWDED = frozenset(("account", "package"))
# Everybody writes there.
_SHARED = ("/dev/", "/proc/", "/sys/", "/var/log/", "/run/utmp", "/var/run/utmp", "/var/lib/systemd/")
_NOT_SHARED = ("/dev/shm/",)  # noqa: S108 - nothing is written there


class Limits(t.NamedTuple):
    """depth: links from the subject, those between parents and children aside. seconds: for the walk."""

    depth: int = 6
    nodes: int = 500
    seconds: float = 5.0


class Widened(t.NamedTuple):
    """The connected nodes, in the order in which they were reached."""

    nodes: dict[str, Node]
    roles: dict[str, int]
    reasons: list[Reason]
    links: list[Link]
    cuts: list[Cut]


def widen(
    graph: Graph,
    seeds: t.Sequence[str],
    limits: Limits,
    shared: t.AbstractSet[str] = frozenset(),
    clock: t.Callable[[], float] = time.monotonic,
) -> Widened:
    """Walk from the seeds. shared: ids that many use, and that are not followed unless they are seeds."""
    walk = _Walk(graph, limits, shared, clock)
    for seed in seeds:
        walk.begin(seed)
    walk.run()
    return walk.result()


class _Walk:
    """The state of one walk."""

    def __init__(self, graph: Graph, limits: Limits, shared: t.AbstractSet[str], clock: t.Callable[[], float]) -> None:
        self._graph = graph
        self._limits = limits
        self._shared = shared
        self._clock = clock
        self._end = clock() + limits.seconds
        self._nodes: dict[str, Node] = {}
        self._roles: dict[str, int] = {}
        self._steps: dict[str, tuple[int, int]] = {}
        self._reasons: dict[str, Reason] = {}
        self._seeds: set[str] = set()
        self._waiting: collections.deque[str] = collections.deque()
        self._left_out: dict[str, set[str]] = {"depth": set(), "nodes": set()}
        self._hubs: dict[str, str] = {}
        self._explained: set[str] = set()
        self._guesses: list[tuple[Node, int, Rule, list[tuple[str, Link]]]] = []
        self._since: float | None = None
        self._is_late = False

    def begin(self, seed: str) -> None:
        node = self._graph.node(seed)
        if node is None or seed in self._nodes:
            return
        self._seeds.add(seed)
        if node.first is not None:
            self._since = min(node.first, self._since if self._since is not None else node.first)
        self._add(node, CORE, (0, 0), Reason(seed, 0, None, None, "it is what the investigation begins with"))

    def run(self) -> None:
        while self._waiting or self._guesses:
            if self._clock() >= self._end:
                self._is_late = True
                return
            if self._waiting:
                identity = self._waiting.popleft()
                self._follow(self._nodes[identity], self._roles[identity])
                continue
            # Only now it is known who belongs to it, and so who somebody else is.
            guesses, self._guesses = self._guesses, []
            for node, role, rule, ends in guesses:
                self._reach(node, role, rule, [end for end in ends if not self._is_of_others(*end)])

    def result(self) -> Widened:
        links = list(
            dict.fromkeys(
                link
                for identity, node in self._nodes.items()
                if node.kind not in _CROWDED
                for link in self._graph.links(identity)
                if link.source in self._nodes and link.target in self._nodes
            )
        )
        return Widened(self._nodes, self._roles, list(self._reasons.values()), links, self._cuts())

    def _cuts(self) -> list[Cut]:
        depth = self._left_out["depth"] - self._nodes.keys()
        nodes = self._left_out["nodes"] - self._nodes.keys()
        cuts = [Cut("hub", text) for text in self._hubs.values()]
        explained = sorted(self._explained - self._nodes.keys())
        if explained:
            names = ", ".join(identity.partition(":")[2] for identity in explained[:3])
            text = "%d files and startups that somebody else changed near in time are left out: %s" % (
                len(explained),
                names + (" and others." if len(explained) > 3 else "."),
            )
            cuts.append(Cut("hub", text, len(explained)))
        if depth:
            cuts.append(Cut("depth", "Items more than %d steps away are left out." % self._limits.depth, len(depth)))
        if nodes:
            is_full = len(self._nodes) >= self._limits.nodes
            text = "Only the nearest %d are listed." if is_full else "Only %d are listed; of many alike, only a few."
            text %= len(self._nodes)
            cuts.append(Cut("nodes", text, len(nodes)))
        if self._is_late:
            cuts.append(Cut("seconds", "Not all connected items were followed: the time budget was used up."))
        return cuts

    def _add(self, node: Node, role: int, step: tuple[int, int], reason: Reason) -> None:
        self._nodes[node.id] = node
        self._roles[node.id] = role
        self._steps[node.id] = step
        self._reasons[node.id] = reason
        if role != LEAF:
            self._waiting.append(node.id)

    def _follow(self, node: Node, role: int) -> None:
        links = [*self._graph.links(node.id), *_same_path(node)]
        groups: dict[Rule, list[tuple[str, Link]]] = {}
        for link in links:
            out = link.source == node.id
            other = link.target if out else link.source
            kind = other.partition(":")[0]
            rule = RULES.get((role, node.kind, link.relation, out, kind)) or RULES.get(
                (role, node.kind, link.relation, out, "")
            )
            if rule is not None and other != node.id and not self._is_explained(node, rule, other, link):
                groups.setdefault(rule, []).append((other, link))
        for rule, ends in groups.items():
            if ends[0][1].relation == "near":
                self._guesses.append((node, role, rule, ends))
            else:
                self._reach(node, role, rule, ends)

    def _reach(self, node: Node, role: int, rule: Rule, ends: t.Sequence[tuple[str, Link]]) -> None:
        """Go from a node to the ends of its links of one kind."""
        distinct = dict(ends)
        if rule.most is not None and len(distinct) > rule.most:
            self._hub(node, rule, len(ends))
            if node.id not in self._seeds or rule.role == LEAF:
                return
            # It is asked for, so that the latest are followed, however many there are.
            latest = sorted(distinct.items(), key=lambda end: end[1].time or 0.0, reverse=True)
            distinct = dict(latest[:MANY])
        for other, link in self._fair(node, role, rule, distinct).items():
            self._step(node, role, rule, other, link)

    def _fair(self, node: Node, role: int, rule: Rule, ends: dict[str, Link]) -> dict[str, Link]:
        """Return the neighbours to follow: of more than a fair share those that differ most from each other."""
        if role == UP and rule.role == CORE and node.facts.get("starts_many"):
            return self._nearest_siblings(node, rule, ends)
        is_family = all(other.startswith("process:") for other in ends)
        most = max(MANY, int(self._limits.nodes * (_PROCESS_SHARE if is_family else _SHARE)))
        if len(ends) <= most:
            return ends
        followed = fair_share.varied(self._graph, ends, most)
        self._left_out["nodes"] |= ends.keys() - followed.keys()
        return followed

    def _nearest_siblings(self, node: Node, rule: Rule, ends: dict[str, Link]) -> dict[str, Link]:
        via = self._nodes.get(self._reasons[node.id].via or "")
        if via is None or via.first is None or len(ends) <= _NEAREST:
            return ends
        self._hub(node, rule, len(ends))
        return fair_share.nearest(self._graph, ends, via.first, _NEAREST)

    def _hub(self, node: Node, rule: Rule, count: int) -> None:
        text = "%s has %d neighbours (%s), which were not all followed." % (node.label, count, rule.text % "it")
        self._hubs.setdefault(node.id + rule.text, text)

    def _step(self, node: Node, role: int, rule: Rule, other: str, link: Link) -> None:
        if self._roles.get(other, -1) >= rule.role:
            return
        target = self._nodes.get(other) or self._graph.node(other)
        if target is None or (target.facts.get("helper") and node.kind != "finding"):
            return
        if role == UP and link.source == node.id and not self._is_together(node, target, rule):
            return
        gets = rule.role if rule.role == LEAF or self._is_telling(target) else LEAF
        if self._roles.get(other, -1) >= gets:
            return
        steps, distance = self._steps[node.id]
        step = steps + 1, distance + (link.relation not in _NEAR)
        if step[1] > self._limits.depth:
            self._left_out["depth"].add(other)
            return
        if other in self._nodes:
            # It is more than was thought; the first reason stays, as it is the shorter way.
            self._roles[other] = gets
            self._waiting.append(other)
            return
        if len(self._nodes) >= self._limits.nodes:
            self._left_out["nodes"].add(other)
            return
        self._add(target, gets, step, Reason(other, step[0], node.id, link.relation, rule.text % node.label))

    def _is_explained(self, node: Node, rule: Rule, other: str, link: Link) -> bool:
        """Say whether a link says nothing, as it is known why else it is there."""
        if link.relation == "mentions" and node.kind == "startup" and other.startswith("session:"):
            return acts.is_old_key(self._graph, node, link)
        if self._is_guess(node) and link.source == node.id:
            # Only what is new about it leads on: neither whose it is, nor what it has named for long.
            named = self._graph.node(other) if link.relation == "mentions" else None
            is_old = named is not None and acts.was_there_before(named, self._since)
            return is_old or link.relation == "runs_as"
        if node.kind == "file" and link.relation in ("executes", "requested") and link.target == node.id:
            # A program that is older than the attack and that others use, such as a shop with a vulnerability.
            is_far = self._steps[node.id][1] > _OWN_PROGRAM
            return is_far and node.id not in self._seeds and acts.was_there_before(node, self._since)
        return False

    def _is_of_others(self, other: str, link: Link) -> bool:
        # Where it is known whose request it was, those of others at the same time are no guess any more.
        is_client = other.startswith("address:")
        if is_client and any(reason.relation == "requested" for reason in self._reasons.values()):
            return True
        # Nor where somebody who signed in started it: a program of theirs may be called like a server.
        if is_client and acts.is_of_sign_in(self._graph, link.target):
            return True
        if not acts.is_written_by_others(self._graph, other, link.time, self._nodes.keys()):
            return False
        self._explained.add(other)
        return True

    def _is_guess(self, node: Node) -> bool:
        """Say whether a startup or its file is there for the time of its change alone."""
        each = self._reasons[node.id]
        if each.relation == "defined_by" and each.via is not None:
            each = self._reasons[each.via]
        return each.relation == "near"

    def _is_together(self, parent: Node, child: Node, rule: Rule) -> bool:
        """Say whether an ancestor started another process for the same reason as the one that led to it."""
        if rule.role == LEAF:
            return True
        if parent.facts.get("starts_jobs") or child.facts.get("path") == parent.facts.get("path"):
            return False
        if self._is_own_request(parent, child):
            return False
        via = self._reasons[parent.id].via
        known = self._nodes.get(via) if via else None
        if known is None or known.first is None or child.first is None:
            return False
        return abs(known.first - child.first) <= TOGETHER

    def _is_own_request(self, parent: Node, child: Node) -> bool:
        """Say whether a server started a script for a request: the next one is somebody else's."""
        script = child.facts.get("script")
        known = self._nodes.get("file:%s" % script)
        # A script that is part of it is new, or what the intruder made use of as others do.
        if not script or (known is not None and not acts.was_there_before(known, self._since)):
            return False
        return any(link.relation == "listens" for link in self._graph.links(parent.id))

    def _is_telling(self, node: Node) -> bool:
        """Say whether a node connects what belongs together, and not everything."""
        if node.id in self._shared:
            return False
        value = node.id.partition(":")[2]
        if node.kind == "file":
            is_packaged = node.facts.get("package") and node.facts.get("verified") not in ("modified", "unpackaged")
            return not is_packaged and (value.startswith(_NOT_SHARED) or not value.startswith(_SHARED))
        if node.kind == "address":
            try:
                return not ipaddress.ip_address(value).is_loopback
            except ValueError:
                return True
        return True


def _same_path(node: Node) -> list[Link]:
    """Return the link between a startup and its file, which have the same path."""
    kind, _colon, value = node.id.partition(":")
    if not value.startswith("/") or kind not in ("startup", "file"):
        return []
    return [Link("startup:" + value, "file:" + value, "defined_by", "path")]
