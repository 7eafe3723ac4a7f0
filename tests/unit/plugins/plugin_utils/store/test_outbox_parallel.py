# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import collections
import contextlib
import pathlib
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Destination, Store, runs

from tests.unit.plugins.plugin_utils.store import exporters, processes
from tests.unit.plugins.plugin_utils.store.outboxes import NAME, waiting
from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, start

WRITERS = 4
ROUNDS = 6
EXPORTERS = 3
KILLS = 6
BATCH = 7
LEASE = 2.0
# Nobody exports to this one: it has all that was queued.
WITNESS = "witness"


@pytest.mark.timeout(300)
def test_exporters_that_are_killed_lose_nothing_and_keep_the_order(store_url: str, tmp_path: pathlib.Path) -> None:
    """Writers and exporters are processes of their own. Exporters are killed while both work."""
    with contextlib.closing(Store.open(store_url)) as store:
        for name in (NAME, WITNESS):
            store.register_destination(Destination(name, "file", "/x"), now=0)
    file = tmp_path / "received"
    writers = [processes.spawn("writer", store_url, f"w{number}", str(ROUNDS)) for number in range(WRITERS)]
    running = [exporters.spawn(store_url, f"e{number}", file, BATCH, LEASE) for number in range(EXPORTERS)]
    for kill in range(KILLS):
        # A moment of each kill that differs: while it starts, claims, sends or settles.
        time.sleep(0.7 + 0.13 * kill)
        victim = running.pop(0)
        victim.kill()
        victim.communicate()
        running.append(exporters.spawn(store_url, f"e{EXPORTERS + kill}", file, BATCH, LEASE))
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    (tmp_path / "received.end").touch()
    assert [process.wait() for process in running] == [0] * EXPORTERS

    with contextlib.closing(Store.open(store_url, mode="read")) as store:
        queued = waiting(store, WITNESS)
        actions = collections.Counter(entry.action for entry in store.history())
        states = {state.destination.name: state for state in store.destinations()}
    sent = exporters.received(file)
    assert collections.Counter(change.change for change in queued if change.change != "coverage") == actions
    assert len({change.uid for change in queued}) == len(queued)
    assert {(change_id, uid) for _exporter, change_id, _key, uid in sent} == {(each.id, each.uid) for each in queued}
    assert (states[NAME].waiting, states[NAME].sent, states[WITNESS].waiting) == (0, len(queued), len(queued))
    assert len(sent) - len(queued) <= KILLS * BATCH
    first: dict[str, list[int]] = collections.defaultdict(list)
    for _exporter, change_id, key, _uid in sent:
        if change_id not in first[key]:
            first[key].append(change_id)
    assert all(ids == sorted(ids) for ids in first.values())
    assert max(len(ids) for ids in first.values()) > 1


def test_coverage_of_a_host_by_two_runs_at_once_comes_in_the_order_of_their_ends(store_url: str) -> None:
    """A run that ends later waits for the one before, so that nobody sees its coverage first."""
    with contextlib.closing(Store.open(store_url)) as store, contextlib.closing(Store.open(store_url)) as other:
        store.register_destination(Destination(NAME, "file", "/x"), now=0)
        first, second = start(store, 1), start(store, 2)
        later = threading.Thread(target=other.finish_run, args=(second, 4))

        def end_while_another_ends(connection: t.Any) -> bool:
            runs.finish(connection, first, 3, {})
            later.start()
            later.join(1)
            return later.is_alive()

        assert store._database.write(end_while_another_ends)
        later.join()
        assert [change.event["unmapped"]["run"] for change in waiting(store)] == [first, second]


@pytest.mark.timeout(300)
def test_a_destination_that_comes_while_a_run_records_misses_nothing(store_url: str) -> None:
    """Whatever the moment, a finding is either there before, or recorded after."""
    with contextlib.closing(Store.open(store_url)) as store:
        start(store, 1)
    writers = [processes.spawn("writer", store_url, f"w{number}", "3") for number in range(2)]
    registered = []
    while any(writer.poll() is None for writer in writers):
        time.sleep(0.1)
        with contextlib.closing(Store.open(store_url)) as store:
            name = f"d{len(registered)}"
            store.register_destination(Destination(name, "file", "/x"), now=time.time(), existing_since=0)
        registered.append(name)
    assert [writer.wait() for writer in writers] == [0, 0]
    with contextlib.closing(Store.open(store_url)) as store:
        uids = {found.uid for found in store.query()}
        assert uids
        for name in registered:
            known = {change.key for change in waiting(store, name) if change.change in ("new", "existing")}
            assert known == uids
        # And there is no finding of which the last change is missing.
        run = start(store, time.time())
        store.record(run, "web1", CAPABILITY, [finding()], [checked()], time.time())
        assert all(waiting(store, name)[-1].host == "web1" for name in registered)
