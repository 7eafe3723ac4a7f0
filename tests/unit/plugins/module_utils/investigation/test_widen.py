# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk from a subject: what connects, what is a hub, how far, and what limits leave out."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.graph import FactsGraph, merged
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.widen import Limits, Widened, widen
from hypothesis import given
from hypothesis import strategies as st

_HOUR = 3_600.0


def _graph(*links: tuple[str, str, str], **facts: t.Mapping[str, t.Any]) -> FactsGraph:
    """Return a graph of links (source, relation, target). facts: by the part of an id after its kind."""
    ids = dict.fromkeys(itertools.chain.from_iterable((source, target) for source, _relation, target in links))
    nodes = []
    for identity in ids:
        known = dict(facts.get(identity.partition(":")[2], {}))
        nodes.append(Node(identity, identity, known, known.pop("first", 0.0)))
    return FactsGraph([Facts(nodes, [Link(source, target, relation, "x") for source, relation, target in links])])


def _widen(graph: FactsGraph, seed: str, **limits: t.Any) -> Widened:
    return widen(graph, [seed], Limits(**limits), {"address:192.0.2.53"})


def test_descendants_and_ancestors_are_named_but_not_what_ancestors_did_else() -> None:
    graph = _graph(
        ("process:init", "started", "process:nginx"),
        ("process:nginx", "started", "process:sh"),
        ("process:sh", "started", "process:x"),
        ("process:x", "started", "process:y"),
        ("process:nginx", "wrote", "file:/var/cache/a"),
        ("process:init", "started", "process:cron"),
        init={"starts_jobs": True},
        cron={"path": "/cron"},
    )
    named = _widen(graph, "process:sh").nodes

    assert set(named) == {f"process:{name}" for name in ("init", "nginx", "sh", "x", "y")}


@pytest.mark.parametrize(
    ("between", "session", "is_named"),
    [
        ("bash", ["session:7"], False),
        # Somebody started the web server by hand.
        ("nginx", ["session:7"], True),
        ("nginx", [], True),
        # Nobody knows who started it.
        ("bash", [], True),
    ],
)
def test_requests_at_the_same_time_say_nothing_of_what_a_sign_in_started(
    between: str, session: list[str], is_named: bool
) -> None:
    graph = _graph(
        ("process:init", "started", "process:between"),
        ("process:between", "started", "process:curl"),
        ("process:curl", "started", "process:implant"),
        ("address:203.0.113.9", "near", "process:curl"),
        *(("process:curl", "belongs_to", identity) for identity in session),
        between={"name": between},
        curl={"name": "curl"},
        # An intruder chooses this name.
        implant={"name": "node"},
        init={"starts_jobs": True},
    )
    assert ("address:203.0.113.9" in _widen(graph, "process:curl").nodes) is is_named


def test_processes_that_started_each_other_end_the_search_for_a_sign_in() -> None:
    graph = _graph(
        ("process:a", "started", "process:b"),
        ("process:b", "started", "process:a"),
        ("address:203.0.113.9", "near", "process:a"),
    )
    assert "address:203.0.113.9" in _widen(graph, "process:a").nodes


@pytest.mark.parametrize(
    ("facts", "is_named"),
    [
        ({"first": 100.0, "path": "/bin/other"}, True),
        ({"first": 2 * _HOUR, "path": "/bin/other"}, False),
        # A worker that was only forked.
        ({"first": 100.0, "path": "/nginx"}, False),
    ],
)
def test_what_an_ancestor_started_at_the_same_time_is_named(facts: dict[str, t.Any], is_named: bool) -> None:
    graph = _graph(
        ("process:nginx", "started", "process:sh"),
        ("process:nginx", "started", "process:other"),
        nginx={"path": "/nginx"},
        sh={"first": 50.0},
        other=facts,
    )
    assert ("process:other" in _widen(graph, "process:sh").nodes) is is_named


@pytest.mark.parametrize(
    ("facts", "is_named"),
    [
        ({}, True),
        ({"package": "bash 5", "verified": "verified"}, False),
        ({"package": "bash 5"}, False),
        # A packaged file with another content is the intruder's.
        ({"package": "bash 5", "verified": "modified"}, True),
    ],
)
def test_a_program_connects_unless_a_package_has_it(facts: dict[str, t.Any], is_named: bool) -> None:
    graph = _graph(
        ("process:a", "executes", "file:/opt/x"),
        ("process:b", "executes", "file:/opt/x"),
        **{"/opt/x": facts},
    )
    named = _widen(graph, "process:a").nodes

    assert "file:/opt/x" in named
    assert ("process:b" in named) is is_named


@pytest.mark.parametrize("hub", ["192.0.2.53", "127.0.0.1", "::1"])
def test_name_servers_and_loopback_connect_nothing(hub: str) -> None:
    graph = _graph(
        ("process:a", "connected", f"address:{hub}"),
        ("process:b", "connected", f"address:{hub}"),
    )
    assert set(_widen(graph, "process:a").nodes) == {"process:a", f"address:{hub}"}


def test_an_address_of_many_connects_nothing_and_that_is_noted() -> None:
    talkers = [(f"process:{number}", "connected", "address:203.0.113.9") for number in range(30)]
    result = _widen(_graph(*talkers), "process:3")

    assert set(result.nodes) == {"process:3", "address:203.0.113.9"}
    (cut,) = result.cuts
    assert (cut.limit, cut.text) == (
        "hub",
        "address:203.0.113.9 has 30 neighbours (it connected to it), which were not all followed.",
    )


def test_whoever_asks_for_a_hub_gets_its_latest_neighbours() -> None:
    talkers = [(f"process:{number}", "connected", "address:203.0.113.9") for number in range(30)]

    assert len(_widen(_graph(*talkers), "address:203.0.113.9").nodes) == 31


def test_a_startup_connects_what_wrote_it_with_what_it_starts() -> None:
    graph = _graph(
        ("process:editor", "wrote", "file:/etc/cron.d/x"),
        ("startup:/etc/cron.d/x", "starts", "file:/opt/x"),
        ("process:x", "executes", "file:/opt/x"),
    )
    result = _widen(graph, "process:x")

    assert set(result.nodes) == {
        *("process:x", "file:/opt/x", "startup:/etc/cron.d/x", "file:/etc/cron.d/x", "process:editor")
    }
    reasons = {reason.node: (reason.step, reason.text) for reason in result.reasons}
    assert reasons["startup:/etc/cron.d/x"] == (2, "it starts file:/opt/x")
    assert reasons["process:editor"] == (4, "it wrote file:/etc/cron.d/x")


def test_a_session_connects_its_members_and_its_source_names_other_sessions_only() -> None:
    graph = _graph(
        ("process:a", "belongs_to", "session:7"),
        ("process:b", "belongs_to", "session:7"),
        ("address:198.51.100.1", "signed_in", "session:7"),
        ("address:198.51.100.1", "signed_in", "session:8"),
        ("process:c", "belongs_to", "session:8"),
    )
    assert set(_widen(graph, "process:a").nodes) == {
        *("process:a", "process:b", "session:7", "session:8", "address:198.51.100.1")
    }


@pytest.mark.parametrize("path", ["/var/log/syslog", "/dev/null", "/run/utmp", "/proc/1/oom_score_adj"])
def test_files_that_everybody_writes_connect_nothing(path: str) -> None:
    graph = _graph(("process:a", "wrote", f"file:{path}"), ("process:b", "wrote", f"file:{path}"))
    assert "process:b" not in _widen(graph, "process:a").nodes


@pytest.mark.parametrize(("count", "named"), [(3, 3), (13, 0)])
def test_files_that_changed_at_the_same_time_are_named_unless_many_did(count: int, named: int) -> None:
    near = [(f"file:/opt/{number}", "near", "process:a") for number in range(count)]
    assert len(_widen(_graph(*near), "process:a").nodes) == 1 + named


def test_shared_memory_connects() -> None:
    graph = _graph(("process:a", "wrote", "file:/dev/shm/x"), ("process:b", "wrote", "file:/dev/shm/x"))
    assert "process:b" in _widen(graph, "process:a").nodes


def _chain(length: int) -> FactsGraph:
    links = []
    for number in range(length):
        links.append((f"process:{number}", "wrote", f"file:/opt/{number}"))
        links.append((f"process:{number + 1}", "executes", f"file:/opt/{number}"))
    return _graph(*links)


def test_depth_is_a_limit_and_what_it_leaves_out_is_counted() -> None:
    result = _widen(_chain(10), "process:0", depth=4)

    assert len(result.nodes) == 5
    assert [(cut.limit, cut.left_out) for cut in result.cuts] == [("depth", 1)]
    assert max(reason.step for reason in result.reasons) == 4


def test_generations_are_no_depth() -> None:
    graph = _graph(*((f"process:{number}", "started", f"process:{number + 1}") for number in range(50)))
    assert len(_widen(graph, "process:0", depth=2).nodes) == 51


def test_the_nearest_stay_where_there_are_too_many() -> None:
    links = [("process:0", "wrote", f"file:/opt/{number}") for number in range(100)]
    result = _widen(_graph(*links), "process:0", nodes=10)

    assert len(result.nodes) == 10
    assert [(cut.limit, cut.left_out) for cut in result.cuts] == [("nodes", 91)]


def test_a_flood_of_files_hides_neither_the_peer_nor_the_file_that_differs() -> None:
    """An intruder's program can write thousands of files before it does what it is for."""
    links = [("process:0", "wrote", f"file:/tmp/noise/{number}") for number in range(2_000)]
    links += [("process:0", "wrote", "file:/etc/cron.d/x"), ("process:0", "connected", "address:203.0.113.9")]
    result = _widen(_graph(*links), "process:0")

    assert {"file:/etc/cron.d/x", "address:203.0.113.9"} <= result.nodes.keys()
    assert [(cut.limit, cut.left_out) for cut in result.cuts] == [("nodes", 2_001 - 100)]


def test_a_flood_of_children_does_not_hide_what_began_with_the_subject() -> None:
    """A shell with more than 24 children was one whose children have nothing to do with each other, unsaid."""
    links = [("process:shell", "started", f"process:{number}") for number in range(100)]
    facts: dict[str, dict[str, t.Any]] = {
        str(number): {"first": number * 10.0, "path": f"/bin/{number}"} for number in range(100)
    }
    facts["shell"] = {"starts_many": True}
    result = _widen(_graph(*links, **facts), "process:50")

    siblings = result.nodes.keys() - {"process:shell", "process:50"}
    assert {"process:49", "process:51"} <= siblings
    assert len(siblings) < 20
    assert [cut.limit for cut in result.cuts] == ["hub"]


def test_time_is_a_limit() -> None:
    ticks = itertools.count()
    result = widen(_chain(10), ["process:0"], Limits(20, 100, 3), clock=lambda: float(next(ticks)))

    assert 1 < len(result.nodes) < 10
    assert [cut.limit for cut in result.cuts] == ["seconds"]


def test_a_leaf_that_turns_out_to_be_more_is_followed() -> None:
    graph = _graph(
        ("process:a", "opened", "file:/opt/x"),
        ("process:a", "started", "process:b"),
        ("process:b", "wrote", "file:/opt/x"),
        ("process:c", "executes", "file:/opt/x"),
    )
    assert "process:c" in _widen(graph, "process:a").nodes


def test_what_several_sources_know_of_a_node_is_one_node() -> None:
    nodes = [
        Node("file:/x", "/x", {"size": 1, "package": None}, 5.0, 6.0, True),
        Node("file:/x", "other", {"package": "p"}, 3.0),
    ]
    assert merged(nodes) == Node("file:/x", "/x", {"size": 1, "package": "p"}, 3.0, 6.0, False)


_IDS = st.sampled_from(
    [f"{kind}:{number}" for kind in ("process", "file", "address", "session", "startup") for number in range(4)]
)
_RELATIONS = st.sampled_from(
    ["started", "executes", "wrote", "opened", "connected", "belongs_to", "signed_in", "starts", "mentions", "near"]
)


@given(st.lists(st.tuples(_IDS, _RELATIONS, _IDS), min_size=1, max_size=30), st.integers(1, 6), st.integers(1, 12))
def test_any_graph_ends_within_its_limits_and_gives_reasons(
    links: list[tuple[str, str, str]], depth: int, nodes: int
) -> None:
    seed = links[0][0]
    result = _widen(_graph(*links), seed, depth=depth, nodes=nodes)
    reasons = {reason.node: reason for reason in result.reasons}

    assert 1 <= len(result.nodes) <= nodes
    assert reasons.keys() == result.nodes.keys() == result.roles.keys()
    assert reasons[seed].via is None
    assert all(reason.via in result.nodes for reason in result.reasons if reason.node != seed)
    assert all(link.source in result.nodes and link.target in result.nodes for link in result.links)
