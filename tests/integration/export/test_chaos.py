# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many writers, and an exporter and receivers that are killed all the time: every change arrives, in order.

Elasticsearch and Splunk are test servers that keep to the documented contract, rsyslog and the Kafka broker are real.
The broker loses all it has when it is killed, so that only the exporter is killed before it. The disk of the file
destination is full for a while.
"""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.integration.export._chaos import Arrived, Exporter, Killer, Receivers, Writers, receiver_killer, register
from tests.support import postgresql, waiting
from tests.support.receivers.kafka_broker import Broker
from tests.support.receivers.syslog_daemons import Rsyslog

pytestmark = [
    pytest.mark.long,
    pytest.mark.requires("root", "postgresql", "module:psycopg", *Rsyslog.NEEDS, *Broker.NEEDS),
    pytest.mark.xdist_group("chaos"),
]

# Of each receiver and of the exporter. Before a release: 20, which takes four minutes.
_KILLS = int(os.environ.get("BULWARK_CHAOS_KILLS", "5"))

# Those that promise it, whoever is killed.
_EXACTLY_ONCE = ("elastic", "file")


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_every_change_arrives_in_order_whoever_is_killed(tmp_path: pathlib.Path, database: str) -> None:
    findings, rounds, kills = 10, 4 * _KILLS, _KILLS
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{tmp_path}/state/findings.db"
        if database == "postgresql":
            url = stack.enter_context(postgresql.running()).empty_database()
        receivers = stack.enter_context(Receivers(tmp_path))
        destinations, start = receivers.destinations(), time.time()
        store = stack.enter_context(contextlib.closing(Store.open(url)))
        register(store, destinations, start)
        writers = stack.enter_context(Writers(url, 8, findings))
        exporter = Exporter(url, destinations, start)
        stack.callback(exporter.stop)
        killers = {name: receiver_killer(*victim, kills) for name, victim in receivers.victims.items()}
        killers["exporter"] = Killer(lambda _moments: exporter.kill(), receivers.size, kills)
        for killer in killers.values():
            killer.start()

        for number in range(rounds):
            # Changes come for as long as somebody is to be killed, and are not kept back when nothing is under way.
            due = kills * number / rounds
            _until(lambda due=due: min(k.killed for k in killers.values()) >= due or not _waits(store), exporter)
            writers.record()
            if number == rounds // 2:
                with receivers.full_disk():
                    _until(lambda: "cannot be written" in (_errors(store)["file"] or ""), exporter)
        for killer in killers.values():
            _until(lambda killer=killer: not killer.is_alive() or not _waits(store), exporter)
            killer.end()
        assert {name: killer.killed for name, killer in killers.items()} == dict.fromkeys(killers, kills)
        _until(lambda: not _waits(store), exporter)

        # What the writers did, whatever the store made of it.
        steps = ["new", *["resolved", "reopened"] * rounds][:rounds]
        subjects = {(host, f"/etc/file{item}") for host in writers.hosts for item in range(findings)}
        assert {(state.set_aside, state.dropped) for state in store.destinations()} == {(0, 0)}
        for kind, events in receivers.arrived().items():
            assert _steps(events) == dict.fromkeys(subjects, steps), kind
            if kind in _EXACTLY_ONCE:
                assert len(events) == len(subjects) * rounds, kind


def _steps(events: t.Sequence[Arrived]) -> dict[tuple[str, str], list[str]]:
    """Return the changes of each finding in the order in which they arrived first."""
    first: dict[str, Arrived] = {}
    for event in events:
        first.setdefault(event.uid, event)
    steps = collections.defaultdict(list)
    for event in first.values():
        steps[event.host, event.subject].append(event.change)
    return dict(steps)


def _until(condition: t.Callable[[], t.Any], exporter: Exporter) -> None:
    """Wait for something, and keep an exporter at work meanwhile."""

    def holds() -> bool:
        exporter.keep_up()
        time.sleep(0.1)
        return bool(condition())

    waiting.until(holds, "the export did not get on")


def _waits(store: Store) -> int:
    return sum(state.waiting for state in store.destinations())


def _errors(store: Store) -> dict[str, str | None]:
    return {state.destination.name: state.last_error for state in store.destinations()}
