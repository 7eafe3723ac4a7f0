# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store adds up which programs ran on which hosts."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program, Sighting
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    HostsWith,
    ProgramHost,
    ProgramQuery,
    Query,
    Selection,
    Store,
    program_log,
    program_results,
)

from tests.unit.plugins.plugin_utils.store.programs import (
    CAPABILITY,
    CHECKPOINT,
    DAY,
    SCOPE,
    described,
    program,
    record,
    result,
    sighting,
    start,
)

NOON = DAY // 2


def stored(store: Store, **query: t.Any) -> list[Sighting]:
    return [found.sighting for found in store.programs(ProgramQuery(**query))]


def finding(subject: str = "/tmp/x", host: str = "web1", **changes: t.Any) -> dict[str, t.Any]:
    about = {"alert": "app_unapproved_program", "scope": SCOPE, "subject": subject, "evidences": [], **changes}
    return events.finding(_finding.detection(**about), catalogue.load(), events.Device(host), 1000)


def test_sightings_add_up(store: Store) -> None:
    record(store, sighting(users=("alice",), parents=("/bin/sh",)))
    record(store, sighting(day=2, executions=5, explained=2, users=("bob", "alice"), parents=("/bin/zsh",)), day=2)
    assert stored(store) == [
        Sighting(
            program(),
            first=DAY + NOON,
            last=2 * DAY + NOON,
            days=2,
            last_day=2,
            executions=6,
            explained=2,
            users=("bob", "alice"),
            parents=("/bin/zsh", "/bin/sh"),
        )
    ]


@pytest.mark.parametrize(
    ("looks", "days"),
    [([(1, 1), (1, 1)], 1), ([(3, 3), (3, 1), (4, 1)], 4), ([(3, 2), (5, 3)], 4), ([(5, 1), (4, 1)], 1)],
)
def test_a_day_that_two_looks_saw_counts_once(store: Store, looks: list[tuple[int, int]], days: int) -> None:
    for last_day, number in looks:
        record(store, sighting(day=last_day, days=number), day=last_day)
    assert [found.days for found in stored(store)] == [days]


def test_a_result_that_is_recorded_again_adds_nothing(store: Store) -> None:
    look = result(sighting(), token="t")
    run = start(store, 2 * DAY, "web1")
    for _attempt in range(2):
        store.record_host(run, "web1", [look, look], 2 * DAY)
    assert [found.executions for found in stored(store)] == [1]


def test_a_result_that_another_run_overtook_adds_nothing(store: Store) -> None:
    record(store, sighting(), token="one")
    record(store, sighting("/usr/bin/late"), token="two", after=None, ended=[])
    assert [found.program.path for found in stored(store)] == ["/usr/bin/nginx"]
    assert store.checkpoint("web1", CHECKPOINT) == "one"


def test_facts_stand_once_for_all_hosts(store: Store) -> None:
    names = ["web1", "web2", "web3"]
    for host in names:
        record(store, sighting(), sighting(f"/usr/bin/{host}"), host=host)
    fleet = store.fleet()
    assert [found.path for found in fleet.programs] == ["/usr/bin/nginx", *(f"/usr/bin/{host}" for host in names)]
    assert [host.name for host in fleet.hosts] == names
    for host in fleet.hosts:
        paths = sorted(fleet.programs[position].path for position in host.programs)
        assert paths == ["/usr/bin/nginx", f"/usr/bin/{host.name}"]
        assert (list(host.first), list(host.last)) == ([DAY + NOON] * 2, [DAY + NOON] * 2)
        assert (list(host.days_seen), list(host.executions)) == ([1, 1], [1, 1])
        assert (host.distribution, host.since, host.until, host.days) == ("debian 12", DAY, DAY + NOON, 1)


def test_the_fleet_can_be_a_part_of_the_hosts(store: Store) -> None:
    for host in ("web1", "web2"):
        record(store, sighting(f"/usr/bin/{host}"), host=host)
    fleet = store.fleet(["web2", "unknown"])
    assert [host.name for host in fleet.hosts] == ["web2"]
    assert [found.path for found in fleet.programs] == ["/usr/bin/web2"]
    assert (store.fleet([]).hosts, store.fleet([]).programs) == ([], [])


def test_a_host_without_programs_is_of_the_fleet(store: Store) -> None:
    record(store, facts={"roles": ["web"], "groups": ["webservers"]})
    (host,) = store.fleet().hosts
    assert (host.name, list(host.programs), host.roles, host.groups) == ("web1", [], ("web",), ("webservers",))
    assert store.program_hosts() == [ProgramHost("web1", "debian 12", DAY, DAY + NOON, 1, ("web",))]


def test_a_new_version_is_another_program_at_the_same_path(store: Store) -> None:
    record(store, sighting())
    record(store, sighting(program(version="1.1", sha256="b" * 64), day=2), day=2)
    assert [(found.program.version, found.days) for found in stored(store)] == [("1.0", 1), ("1.1", 1)]


def test_a_host_that_lost_its_memory_was_observed_no_less(store: Store) -> None:
    record(store, day=20)
    record(store, day=21, facts={"since": 21.0 * DAY, "days": 1})
    assert store.program_hosts() == [ProgramHost("web1", "debian 12", DAY, 21 * DAY + NOON, 20, ())]


def test_times_of_a_host_without_an_audit_log_say_nothing(store: Store) -> None:
    unobserved = {"since": 0.0, "until": 0.0, "days": 0}
    record(store, sighting(), day=5, facts=unobserved)
    assert store.program_hosts() == [ProgramHost("web1", "debian 12", 0.0, 0.0, 0, ())]
    record(store, day=10, facts={"since": 8.0 * DAY, "days": 3})
    observed = [ProgramHost("web1", "debian 12", 8.0 * DAY, 10 * DAY + NOON, 3, ())]
    assert store.program_hosts() == observed
    record(store, day=12, facts=unobserved)
    assert store.program_hosts() == observed


def test_programs_are_looked_up_by_host_path_package_digest_kind_and_time(store: Store) -> None:
    record(store, sighting(), sighting(program("/opt/run.sh", kind="script", sha256="b" * 64, package="")))
    record(store, sighting(day=3), day=3, host="web2")

    def found(**query: t.Any) -> list[tuple[str, str]]:
        return [(each.host, each.sighting.program.path) for each in store.programs(ProgramQuery(**query))]

    both = [("web1", "/opt/run.sh"), ("web1", "/usr/bin/nginx"), ("web2", "/usr/bin/nginx")]
    assert found() == both
    assert found(hosts=["web2"]) == found(since=2.0 * DAY) == both[2:]
    assert found(paths=["/opt/*"]) == found(kinds=["script"]) == found(digests=["b" * 64]) == both[:1]
    assert found(programs=[program()]) == both[1:]
    assert found(programs=[program()], newest=1) == both[2:]
    assert found(programs=[]) == found(programs=[program(version="2")]) == []
    assert found(packages=["ngin?"]) == both[1:]
    assert found(limit=1, offset=1) == both[1:2]


def test_the_programs_of_a_role_are_those_of_hosts_that_have_it_now(store: Store) -> None:
    record(store, sighting(), sighting("/usr/bin/old"), facts={"roles": ["web", 'a "b"']})
    record(store, sighting(day=3), sighting("/usr/bin/new", day=3), day=3, facts={"roles": ["web", 'a "b"']})
    record(store, sighting("/usr/bin/other"), host="web2", facts={"roles": ["web2", "Web"]})

    def paths(role: str, since: float) -> list[str]:
        return sorted(found.path for found in store.programs_of_role(role, since))

    assert paths("web", 0) == ["/usr/bin/new", "/usr/bin/nginx", "/usr/bin/old"]
    assert paths("web", 2.0 * DAY) == paths('a "b"', 2.0 * DAY) == ["/usr/bin/new", "/usr/bin/nginx"]
    assert (paths("eb", 0), paths("Web", 0)) == ([], ["/usr/bin/other"])
    record(store, day=4, facts={"roles": []})
    assert paths("web", 0) == []


def test_hosts_are_found_by_digest_and_path(store: Store) -> None:
    for number in range(30):
        record(store, sighting(), host=f"web{number:02}")
    record(store, sighting(program(sha256="b" * 64)), host="web00")
    names = tuple(f"web{number:02}" for number in range(20))
    assert store.hosts_with(["a" * 64, "b" * 64, "c" * 64, ""], ["/usr/bin/nginx", "/nothing"]) == HostsWith(
        by_digest={"a" * 64: (30, names), "b" * 64: (1, ("web00",))}, by_path={"/usr/bin/nginx": (30, names)}
    )
    assert store.hosts_with() == HostsWith({}, {})


def test_what_is_no_program_costs_the_result_and_says_why(store: Store) -> None:
    bad = {**sighting("/x"), "kind": "poem"}
    recorded = record(store, sighting(), bad, findings=[finding()])
    reason = "the programs of web1 cannot be stored: /x: one of program, script, library is needed"
    assert recorded.refused == reason
    assert (store.fleet().hosts, store.query()) == ([], [])
    assert store.checkpoint("web1", CHECKPOINT) is None
    (covered,) = store.coverage()
    assert (covered.status, covered.entries[0]["reason"]) == ("not_checked", f"its result was refused: {reason}")


def test_what_there_is_no_room_for_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_results, "SIGHTINGS_LIMIT", 3)
    record(store, sighting("/a"), sighting("/b"))
    record(store, sighting("/b", day=2), sighting("/c", day=2), sighting("/d", day=2), day=2)
    assert [(found.program.path, found.days) for found in stored(store)] == [("/a", 1), ("/b", 2), ("/c", 1)]
    (covered,) = store.coverage()
    assert covered.status == "partial"
    assert "1 programs were dropped: a host has at most 3 in the store" in str(covered.entries)


def test_programs_that_are_read_in_several_batches_are_all_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_log, "_BATCH", 2)
    monkeypatch.setattr("ansible_collections.bulwark.servers.plugins.plugin_utils.store.program_query._BATCH", 2)
    monkeypatch.setattr("ansible_collections.bulwark.servers.plugins.plugin_utils.store.program_query._VALUES", 2)
    for day in (1, 2):
        for host in ("web1", "web2"):
            sightings = [sighting(f"/usr/bin/{number}", day=day) for number in range(5)]
            record(store, *sightings, day=day, host=host)
    assert [found.days for found in stored(store)] == [2] * 10
    assert [list(host.days_seen) for host in store.fleet().hosts] == [[2] * 5] * 2
    assert len(store.hosts_with(paths=[f"/usr/bin/{number}" for number in range(5)]).by_path) == 5


def test_programs_without_a_checkpoint_cannot_be_counted_once_and_are_left_out(store: Store) -> None:
    run = start(store, 2 * DAY, "web1")
    look = result(sighting())
    without = type(look)(**{**vars(look), "checkpoint": None})
    store.record_host(run, "web1", [without], 2 * DAY)
    assert store.fleet().hosts == []


def test_a_finding_whose_program_an_allowlist_has_is_resolved(store: Store) -> None:
    others = [finding("/tmp/y"), finding("/tmp/z")]
    record(store, findings=[finding("/tmp/x"), *others])
    store.suppress(Selection(subject="/tmp/z"), reason="known", by="alice", now=DAY)
    ended = [
        {"alert": "app_unapproved_program", "subject": subject, "reason": "allowlist web has it"}
        for subject in ("/tmp/x", "/tmp/z", "/tmp/unknown")
    ]
    recorded = record(store, day=2, ended=[*ended, {"alert": "other", "subject": "/tmp/y", "reason": "no"}])
    assert (recorded.resolved, recorded.refused) == (2, None)
    assert {found.subject: (found.status, found.status_by, found.status_reason) for found in store.query()} == {
        "/tmp/x": ("resolved", None, "allowlist web has it"),
        "/tmp/y": ("open", None, None),
        "/tmp/z": ("resolved", None, "allowlist web has it"),
    }
    assert "resolved" in {entry.action for entry in store.history(Query(subjects=["/tmp/x"]))}


def test_what_a_result_has_seen_does_not_end_with_it(store: Store) -> None:
    record(store, findings=[finding("/tmp/x")])
    ended = [{"alert": "app_unapproved_program", "subject": "/tmp/x", "reason": "allowlist web has it"}]
    record(store, day=2, findings=[finding("/tmp/x")], ended=ended)
    assert [found.status for found in store.query()] == ["open"]


def test_a_result_ends_no_finding_of_another_host_or_capability(store: Store) -> None:
    record(store, findings=[finding("/tmp/x", host="web2")], host="web2")
    record(store, ended=[{"alert": "app_unapproved_program", "subject": "/tmp/x", "reason": "no"}])
    assert [found.status for found in store.query()] == ["new"]


def test_pruning_removes_programs_that_nobody_ran_since(store: Store) -> None:
    record(store, sighting(), sighting("/usr/bin/old"))
    record(store, sighting(day=5), day=5)
    record(store, sighting("/usr/bin/old"), host="gone")
    store.prune(3.0 * DAY)
    fleet = store.fleet()
    assert [host.name for host in fleet.hosts] == ["web1"]
    assert [found.path for found in fleet.programs] == ["/usr/bin/nginx"]


def test_forgetting_a_host_leaves_nothing_of_its_programs(store: Store) -> None:
    record(store, sighting(), sighting("/usr/bin/mine"))
    record(store, sighting(), host="web2")
    store.forget(["web1"], by="bob", now=9.0 * DAY)
    fleet = store.fleet()
    assert [host.name for host in fleet.hosts] == ["web2"]
    assert [found.path for found in fleet.programs] == ["/usr/bin/nginx"]
    store.forget(None, capabilities=[CAPABILITY], by="bob", now=9.0 * DAY)
    assert (store.fleet().hosts, store.fleet().programs) == ([], [])


def test_a_program_is_what_it_was(store: Store) -> None:
    given = Program(
        kind="library",
        path="/opt/é.so",
        image="nginx:1",
        interpreter="/usr/bin/python3",
        sha256="",
        content="memory",
        manager="rpm",
        package="p",
        version="1:2-3",
        verification="no_digest",
        origin="ab12",
        owner="www-data",
        writers=("www-data", "group adm"),
    )
    record(store, sighting(given))
    (found,) = store.fleet().programs
    assert found == given
    assert described()["roles"] == []
