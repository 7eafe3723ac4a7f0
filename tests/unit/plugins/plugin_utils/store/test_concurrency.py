# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import collections
import contextlib
import subprocess
import time

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store

from tests.unit.plugins.plugin_utils.store import processes
from tests.unit.plugins.plugin_utils.store.processes import SHARED

WRITERS = 8
ROUNDS = 8


@pytest.mark.timeout(300)
def test_eight_writers_at_once_lose_nothing(store_url: str) -> None:
    """Each is a process of its own, and the first of them create the store."""
    running = [processes.spawn("writer", store_url, f"w{number}", str(ROUNDS)) for number in range(WRITERS)]
    assert [process.wait() for process in running] == [0] * WRITERS

    with contextlib.closing(Store.open(store_url, mode="read")) as store:
        runs = store.runs()
        assert len(runs) == WRITERS * ROUNDS
        assert all(run.finished and run.statuses == {"checked": 2, "not_checked": 1} for run in runs)

        fleet = store.fleet()
        assert len(fleet.programs) == 20 * ROUNDS
        assert [len(host.programs) for host in fleet.hosts] == [20 * ROUNDS] * WRITERS
        assert {executions for host in fleet.hosts for executions in host.executions} == {1}

        (everyones,) = store.query(Query(subjects=["/etc/all"]))
        assert everyones.count == WRITERS * ROUNDS
        events = store.query(Query(hosts=[SHARED], subjects=["w* *"]))
        assert {event.subject for event in events} == {f"w{w} {r}" for w in range(WRITERS) for r in range(ROUNDS)}
        assert {(event.status, event.count) for event in events} == {("suppressed", 1)}

        for number in range(WRITERS):
            host = f"host-w{number}"
            statuses = collections.Counter(found.status for found in store.query(Query(hosts=[host])))
            assert statuses == {"resolved": ROUNDS - 1, "new": 1}
            assert store.expected_digests(host, "default") == [str(ROUNDS - 1)]
            assert len(store.seal_history(host, "default")) == 2 * ROUNDS

        actions = collections.Counter(entry.action for entry in store.history())
        assert actions["new"] == 2 * WRITERS * ROUNDS + 1
        assert actions["resolved"] == WRITERS * (ROUNDS - 1)
        open_now = sum(store.counts().open_by_severity.values())
        (trend,) = store.trend(since=time.time(), until=time.time(), points=1)
        assert sum(trend.open.values()) == open_now == WRITERS + 1


@pytest.mark.timeout(300)
def test_fifty_forks_open_a_store_that_is_not_there_yet(store_url: str) -> None:
    process = processes.spawn("forks", store_url, "50", stderr=subprocess.PIPE)
    _output, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    with contextlib.closing(Store.open(store_url, mode="read")) as store:
        assert len(store.runs()) == 50
        assert store.counts(Query(hosts=[SHARED], subjects=["/etc/all"])).total == 1
        assert store.counts().total == 50 + 50 + 1


@pytest.mark.timeout(300)
def test_a_controller_that_is_killed_leaves_whole_records(store_url: str) -> None:
    for moment in (0.05, 0.13, 0.21):
        process = processes.spawn("endless", store_url, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moment)
        process.kill()
        process.communicate()
        with contextlib.closing(Store.open(store_url)) as store:
            by_run = collections.Counter(found.last_run for found in store.query())
            assert set(by_run.values()) == {100}
            unfinished = {
                covered.run_id for run in store.runs() for covered in store.coverage(run.id) if not covered.recorded
            }
            assert not unfinished & by_run.keys()
