# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What explained changes, and when a host was last looked at."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Explanation, Store

from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, record, start

SSHD = {"by": "openssh-server 1:10.0", "count": 31, "examples": ["/usr/sbin/sshd", "/etc/ssh/moduli"]}
BASH = {"by": "bash 5.2", "count": 2, "examples": ["/usr/bin/bash"]}


def explained(*explanations: t.Any, scope: str = "etc", **changes: t.Any) -> dict[str, t.Any]:
    return checked(scope, explained=list(explanations), **changes)


def test_coverage_says_what_explains_changes_and_notes(store: Store) -> None:
    record(store, 100, [], [explained(SSHD, BASH, explained_count=40, note="a note"), explained(BASH, scope="bin")])
    (covered,) = store.coverage()
    assert [(entry["scope"], entry["explained"]) for entry in covered.entries] == [
        ("etc", [SSHD, BASH]),
        ("bin", [BASH]),
    ]
    assert [(entry["explained_count"], entry["note"]) for entry in covered.entries] == [(40, "a note"), (2, None)]


def test_each_run_keeps_its_explanations_until_it_is_pruned(store: Store) -> None:
    record(store, 100, [], [explained(BASH)])
    record(store, 200, [], [explained(SSHD)], host="web2")
    record(store, 300, [], [explained(SSHD)])
    assert [(item.time, item.host, item.explained_by) for item in store.explanations()] == [
        (300, "web1", SSHD["by"]),
        (200, "web2", SSHD["by"]),
        (100, "web1", BASH["by"]),
    ]
    (first,) = store.explanations(by=["bash *"])
    run_id = store.runs()[-1].id
    assert first == Explanation(run_id, 100, "web1", CAPABILITY, "etc", "bash 5.2", 2, ("/usr/bin/bash",))
    assert store.coverage(run_id)[0].entries[0]["explained"] == [BASH]
    store.prune(before=250)
    # The newest coverage of every host stays.
    assert [(item.time, item.host) for item in store.explanations()] == [(300, "web1"), (200, "web2")]


@pytest.mark.parametrize(
    ("query", "times"),
    [
        ({"by": ["openssh*"]}, [300, 200]),
        ({"by": ["bash 5.2"]}, [100]),
        ({"hosts": ["*1"]}, [300, 100]),
        ({"capabilities": ["audit"]}, []),
        ({"since": 150, "until": 250}, [200]),
        ({"limit": 1}, [300]),
        ({"offset": 1}, [200, 100]),
    ],
)
def test_a_package_is_looked_up(store: Store, query: dict[str, t.Any], times: list[int]) -> None:
    record(store, 100, [], [explained(BASH)])
    record(store, 200, [], [explained(SSHD)], host="web2")
    record(store, 300, [], [explained(SSHD)])
    assert [item.time for item in store.explanations(**query)] == times


def test_a_second_result_of_a_run_takes_the_place_of_its_scopes(store: Store) -> None:
    run_id = start(store, 100)
    record(store, 110, [], [explained(SSHD), explained(BASH, scope="bin")], run_id=run_id)
    record(store, 120, [], [explained(BASH)], run_id=run_id)
    assert sorted((item.scope, item.explained_by) for item in store.explanations()) == [
        ("bin", "bash 5.2"),
        ("etc", "bash 5.2"),
    ]
    record(store, 130, [], [explained(BASH)], run_id=run_id)
    assert len(store.explanations(run_id=run_id)) == 2


@pytest.mark.parametrize(
    "sent",
    [
        {"explained": "all"},
        {"explained": ["bash"]},
        {"explained": [{"by": 7, "count": 1, "examples": []}]},
        {"explained": [{"by": "bash", "count": -1, "examples": []}]},
        {"explained": [{"by": "bash", "count": 1, "examples": "none"}]},
        {"explained_count": "many"},
        {"explained_count": -1},
        {"note": ["a"]},
    ],
)
def test_what_is_none_counts_as_not_checked(store: Store, sent: dict[str, t.Any]) -> None:
    record(store, 100, [], [checked(**sent)])
    (entry,) = store.coverage()[0].entries
    assert entry["status"] == "not_checked"
    assert entry["reason"].startswith("the module returned a coverage entry that cannot be read")


def test_a_flood_of_explanations_is_cut_short_and_its_text_is_made_safe(store: Store) -> None:
    flood = [{"by": f"p{number}\x1b[2J" + "x" * 5_000, "count": 1, "examples": ["/a\n"] * 9} for number in range(1_500)]
    record(store, 100, [], [explained(*flood, scope="s" * 15_000), explained(*flood, scope="bin")])
    (covered,) = store.coverage()
    assert [len(entry["explained"]) for entry in covered.entries] == [1_500, 500]
    kept = covered.entries[0]["explained"][0]
    assert kept["by"].startswith("p0\\x1b[2Jxxx")
    assert (len(kept["by"]), kept["examples"]) == (300, ["/a\\n"] * 3)


def test_a_scope_that_comes_twice_keeps_all_its_explanations(store: Store) -> None:
    record(store, 100, [], [explained(SSHD), explained(BASH)])
    (covered,) = store.coverage()
    assert [entry["explained"] for entry in covered.entries] == [[SSHD, BASH], []]


def test_last_checked_is_when_something_was_looked_at_and_not_when_it_was_tried(store: Store) -> None:
    def last() -> dict[str, float | None]:
        return {covered.host: covered.last_checked for covered in store.coverage()}

    first = start(store, 100, ["web1", "web2"])
    record(store, 110, [], host="web1", run_id=first)
    record(store, 110, [], [checked(status="not_checked", reason="no route")], host="web2", run_id=first)
    assert last() == {"web1": 110, "web2": None}
    start(store, 200, ["web1", "web2"])
    assert last() == {"web1": 110, "web2": None}
    record(store, 300, [], [checked(status="partial")], host="web2")
    assert last() == {"web1": 110, "web2": 300}
