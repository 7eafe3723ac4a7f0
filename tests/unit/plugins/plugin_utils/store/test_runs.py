# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, record, skipped, start


def test_a_run_opens_with_everything_not_checked(store: Store) -> None:
    run_id = start(store, 100, ["web1", "web2", "web2"])
    (run,) = store.runs()
    assert (run.id, run.started, run.finished, run.hosts, run.capabilities) == (run_id, 100, None, 2, (CAPABILITY,))
    assert (run.playbook, run.user, run.controller, run.version) == ("scan", "alice", "control1", "0.1.0")
    assert run.statuses == {"not_checked": 2}
    assert [(covered.host, covered.status, covered.recorded) for covered in store.coverage()] == [
        ("web1", "not_checked", None),
        ("web2", "not_checked", None),
    ]
    assert store.coverage()[0].entries[0]["reason"].startswith("no result arrived")


def test_results_take_the_place_of_not_checked(store: Store) -> None:
    run_id = start(store, 100, ["web1", "web2", "web3"])
    record(store, 110, [], [checked()], "web1", run_id)
    record(store, 120, [], [checked(), skipped("/etc/x", scope="x")], "web2", run_id)
    assert store.finish_run(run_id, 200)
    (run,) = store.runs()
    assert (run.finished, run.statuses) == (200, {"checked": 1, "partial": 1, "not_checked": 1})


def test_closing_a_run_twice_keeps_the_later_time(store: Store) -> None:
    run_id = start(store, 100)
    assert store.finish_run(run_id, 200)
    assert not store.finish_run(run_id, 150)
    assert store.runs()[0].finished == 200
    with pytest.raises(StoreError, match="there is no run 'lost'"):
        store.finish_run("lost", 100)


def test_closing_a_run_says_why_hosts_have_no_result(store: Store) -> None:
    def reasons(run_id: str) -> dict[str, str | None]:
        return {covered.host: covered.entries[0]["reason"] for covered in store.coverage(run_id)}

    other = start(store, 90, ["web2"])
    run_id = start(store, 100, ["web1", "web2", "web3"])
    assert reasons(run_id)["web2"] == (
        "no result arrived: the run goes on, was stopped, or failed on this host; the job's output says which"
    )
    record(store, 110, [], [checked()], "web1", run_id)
    store.finish_run(run_id, 200, {"web1": "never", "web2": "'port' is undefined\x1b[2J", "web9": "unknown"})
    said = {
        "web1": None,
        "web2": "no result arrived: 'port' is undefined\\x1b[2J",
        "web3": "no result arrived before the run was closed; the job's output says what failed on this host",
    }
    assert reasons(run_id) == said
    # As the second slice of a job does, which knows nothing of these hosts.
    store.finish_run(run_id, 210)
    assert reasons(run_id) == said
    assert reasons(other)["web2"].startswith("no result arrived: the run goes on")  # type: ignore[union-attr]
    record(store, 220, [], [checked()], "web2", run_id)
    assert reasons(run_id)["web2"] is None


def test_slices_of_a_job_share_a_run(store: Store) -> None:
    assert start(store, 100, ["web1"], run_id="job-7") == start(store, 105, ["web2"], run_id="job-7") == "job-7"
    record(store, 110, [], host="web1", run_id="job-7")
    start(store, 115, ["web1", "web3"], run_id="job-7")
    (run,) = store.runs()
    assert (run.started, run.hosts, run.statuses) == (100, 3, {"checked": 1, "not_checked": 2})


def test_the_newest_coverage_is_that_of_the_newest_run_that_planned_the_host(store: Store) -> None:
    first = start(store, 100, ["web1", "web2"])
    record(store, 110, [], host="web1", run_id=first)
    second = start(store, 200, ["web2"])
    # Late, of a run that is older than the newest.
    record(store, 210, [], host="web2", run_id=first)
    assert {covered.host: (covered.run_id, covered.status) for covered in store.coverage()} == {
        "web1": (first, "checked"),
        "web2": (second, "not_checked"),
    }
    assert {covered.host: covered.status for covered in store.coverage(first)} == {"web1": "checked", "web2": "checked"}


def test_coverage_is_narrowed_to_hosts_and_capabilities(store: Store) -> None:
    start(store, 100, ["web1", "web2", "db1"])
    assert [covered.host for covered in store.coverage(hosts=["web*"])] == ["web1", "web2"]
    assert [covered.host for covered in store.coverage(hosts=["db1"], capabilities=[CAPABILITY])] == ["db1"]
    assert store.coverage(capabilities=["audit"]) == []
    with pytest.raises(StoreError, match="there is no run 'lost'"):
        store.coverage("lost")


def test_a_host_that_was_not_planned_is_recorded_all_the_same(store: Store) -> None:
    run_id = start(store, 100, [])
    record(store, 110, [finding()], run_id=run_id)
    assert [(covered.host, covered.status) for covered in store.coverage()] == [("web1", "checked")]


def test_runs_are_listed_the_newest_first(store: Store) -> None:
    ids = [start(store, now) for now in (100, 300, 200)]
    assert [run.id for run in store.runs()] == [ids[1], ids[2], ids[0]]
    assert [run.id for run in store.runs(limit=1)] == [ids[1]]
    assert [run.id for run in store.runs(ids=[ids[0], "lost"])] == [ids[0]]


def test_a_run_from_the_future_is_not_the_newest(store: Store) -> None:
    # One scan by a controller whose clock was fast, in which everything was checked.
    fast = start(store, 9_000, ["web1", "web2"])
    record(store, 9_010, [], host="web1", run_id=fast)
    record(store, 9_010, [], host="web2", run_id=fast)
    store.finish_run(fast, 9_020)
    run_id = start(store, 100, ["web1", "web2"])
    assert [(covered.run_id, covered.status) for covered in store.coverage()] == [(run_id, "not_checked")] * 2
    record(store, 110, [], host="web1", run_id=run_id)
    covered = {covered.host: covered for covered in store.coverage()}
    assert (covered["web1"].run_id, covered["web1"].status, covered["web1"].last_checked) == (run_id, "checked", 110)
    # Of the next run no later clock is left to hide it; of the fast one the coverage can still be read.
    later = start(store, 200, ["web2"])
    assert store.coverage(hosts=["web2"])[0].run_id == later
    assert {covered.status for covered in store.coverage(fast)} == {"checked"}


def test_a_result_that_nobody_planned_is_not_hidden_by_a_run_from_the_future(store: Store) -> None:
    record(store, 9_000, [])
    run_id = start(store, 100, [])
    record(store, 110, [], [skipped("/etc/x")], run_id=run_id)
    assert [(covered.run_id, covered.status) for covered in store.coverage()] == [(run_id, "partial")]
